// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"credbroker/internal/testprograms"
)

// The users of these tests. They need no entry in the password file.
const (
	ownerUID    = 21001
	strangerUID = 21002
)

// asUser makes a prepared command run as another user.
func asUser(cmd *exec.Cmd, uid uint32) *exec.Cmd {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: uid, Gid: uid},
		Pdeathsig:  syscall.SIGKILL,
	}
	return cmd
}

// ownedWorld is a world whose broker runs as ownerUID, with a warm session.
func ownedWorld(t *testing.T) *world {
	t.Helper()
	needRoot(t)
	w := newWorld(t)
	w.initialise()
	w.add("dev", "ann", "--no-mfa")
	w.killDaemon()
	err := filepath.WalkDir(w.dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == w.bin {
			return filepath.SkipDir // the files are those of every world
		}
		return os.Lchown(path, ownerUID, ownerUID)
	})
	if err != nil {
		t.Fatal(err)
	}
	w.document(w.finish(asUser(w.command("broker", "credential-process", "dev"), ownerUID)))
	return w
}

// TestP01OtherUsersAreRefused and P02: even with directory and socket thrown
// open, another uid, root included, receives nothing and causes nothing.
func TestP01OtherUsersAreRefused(t *testing.T) {
	t.Parallel()
	refuses(t, strangerUID)
}

// TestP02RootIsNotExempt is P1 with uid 0.
func TestP02RootIsNotExempt(t *testing.T) {
	t.Parallel()
	refuses(t, 0)
}

func refuses(t *testing.T, uid uint32) {
	w := ownedWorld(t)
	for path, mode := range map[string]os.FileMode{w.dir: 0o755, filepath.Dir(w.socket()): 0o755, w.socket(): 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	before := len(w.caused())
	const request = `{"v":1,"op":"credentials","params":{"profile":"dev"}}` + "\n"
	client := asUser(w.command("/usr/bin/env", "python3", "-c", `
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect(sys.argv[1])
try:
    s.sendall(sys.argv[2].encode())
except OSError:
    pass
got = b""
try:
    while True:
        more = s.recv(4096)
        if not more: break
        got += more
except ConnectionResetError:
    pass
print(len(got))`, w.socket(), request), uid)
	if r := w.must(w.finish(client)); strings.TrimSpace(r.stdout) != "0" {
		t.Errorf("uid %d received %s bytes", uid, strings.TrimSpace(r.stdout))
	}
	if n := len(w.caused()); n != before {
		t.Errorf("uid %d caused %d calls at AWS", uid, n-before)
	}
	w.eventually("the refusal is logged", func() error {
		if !strings.Contains(w.daemonLog(), "uid="+strconv.Itoa(int(uid))) {
			return errors.New("no line with the uid")
		}
		return nil
	})
	w.document(w.finish(asUser(w.command("broker", "credential-process", "dev"), ownerUID)))
}

// TestP07ClientRefusesForeignDaemon: a listener of another user at the path of
// BROKER_SOCKET receives no byte of a request.
func TestP07ClientRefusesForeignDaemon(t *testing.T) {
	t.Parallel()
	w := ownedWorld(t)
	dir := filepath.Join(w.dir, "fake")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{w.dir: 0o755, dir: 0o777} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	socket := filepath.Join(dir, "broker.sock")
	fake := w.startCommand(asUser(w.command("/usr/bin/env", "python3", "-c", `
import socket, sys, os
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
s.listen(5)
c, _ = s.accept()
c.settimeout(20)
got = b""
try:
    while True:
        more = c.recv(4096)
        if not more: break
        got += more
except OSError:
    pass
print(len(got))`, socket), strangerUID))
	w.eventually("the fake daemon listens", func() error {
		_, err := os.Stat(socket)
		return err
	})
	client := asUser(w.command("broker", "credential-process", "dev"), ownerUID)
	client.Env = append(client.Env, "BROKER_SOCKET="+socket)
	r := w.finish(client)
	if r.status == 0 || r.stdout != "" {
		t.Errorf("the client took a foreign daemon: status %d, stdout %q", r.status, r.stdout)
	}
	// Where the client refuses by the socket's owner it never connects: this
	// connection then ends the fake.
	if c, err := net.DialTimeout("unix", socket, time.Second); err == nil {
		c.Close()
	}
	if got := strings.TrimSpace(fake.wait().stdout); got != "0" {
		t.Errorf("the fake daemon captured %s bytes of a request", got)
	}
}

// TestP32ClientHidesItsMemory: while the client holds a long-lived secret, its
// own user's other programs cannot look into it.
func TestP32ClientHidesItsMemory(t *testing.T) {
	t.Parallel()
	w := ownedWorld(t)
	open := w.startCommand(asUser(w.command("/bin/sleep", "600"), ownerUID))
	look := func(b *background) bool {
		cmd := asUser(w.command("/bin/cat", "/proc/"+itoa(b.Process.Pid)+"/environ"), ownerUID)
		return w.finish(cmd).status == 0
	}
	if !look(open) {
		t.Error("the prober cannot look into a process that does not hide")
	}
	waits := func(args ...string) {
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer read.Close()
		defer write.Close()
		cmd := asUser(w.command("broker", args...), ownerUID)
		cmd.Stdin = read
		client := w.startCommand(cmd)
		w.eventually("broker "+args[0]+" waits for a secret, closed to its user", func() error {
			if !client.running() {
				return errors.New("it ended")
			}
			if look(client) {
				return errors.New("it can be looked into")
			}
			return nil
		})
	}
	waits("add", "more", "--stdin")
	w.plaintext(map[string]string{"eve": "eve"})
	if err := os.Chown(w.credentialsFile(), ownerUID, ownerUID); err != nil {
		t.Fatal(err)
	}
	w.set("delay.GetCallerIdentity=10s")
	waits("import", "eve", "--no-mfa")
	w.killDaemon()
	if err := os.Remove(filepath.Join(w.home, ".config", "broker", "config")); err != nil {
		t.Fatal(err)
	}
	waits("init", "--backend", "file", "--passphrase-stdin")
}

// TestP12NoListenerByDefault: nothing of the daemon can be reached over IP or
// by an abstract socket.
func TestP12NoListenerByDefault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.initialise()
	w.add("dev", "ann", "--no-mfa")
	w.credentials("dev")
	inodes := socketInodes(t, w.daemonPID())
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		for _, line := range tableLines(t, table) {
			fields := strings.Fields(line)
			const listen, stateColumn, inodeColumn = "0A", 3, 9
			if len(fields) > inodeColumn && inodes[fields[inodeColumn]] && (fields[stateColumn] == listen || strings.HasPrefix(table, "udp")) {
				t.Errorf("brokerd listens: %s %s", table, line)
			}
		}
	}
	for _, line := range tableLines(t, "unix") {
		fields := strings.Fields(line)
		const inodeColumn, pathColumn = 6, 7
		if len(fields) > pathColumn && inodes[fields[inodeColumn]] && strings.HasPrefix(fields[pathColumn], "@") {
			t.Errorf("brokerd has an abstract socket: %s", line)
		}
	}
}

func tableLines(t *testing.T, table string) []string {
	t.Helper()
	data, err := os.ReadFile("/proc/net/" + table)
	if errors.Is(err, os.ErrNotExist) {
		return nil // no IPv6 here
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(data), "\n")
}

func socketInodes(t *testing.T, pid int) map[string]bool {
	t.Helper()
	needRoot(t) // the daemon does not show its descriptors to its own user
	links, err := filepath.Glob("/proc/" + itoa(pid) + "/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	inodes := map[string]bool{}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, "socket:[") {
			inodes[strings.Trim(target, "socket:[]")] = true
		}
	}
	if len(inodes) == 0 {
		t.Fatal("brokerd has no socket at all: the test looks at the wrong process")
	}
	return inodes
}

// trap is a script, and a port, that must never be touched.
type trap struct {
	script string
	mark   string
	url    string
	hits   chan string
}

func (w *world) newTrap() *trap {
	w.t.Helper()
	tr := &trap{script: filepath.Join(w.dir, "trap.sh"), mark: filepath.Join(w.dir, "sprung"), hits: make(chan string, 100)}
	if err := testprograms.Write(tr.script, []byte("#!/bin/sh\necho \"$0 $*\" >> "+tr.mark+"\necho 123456\n"), 0o755); err != nil {
		w.t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { l.Close() })
	tr.url = "http://" + l.Addr().String()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			tr.hits <- c.RemoteAddr().String()
			c.Close()
		}
	}()
	return tr
}

// check fails the test if the trap was touched, and then touches it, to see
// that it would have noticed.
func (tr *trap) check(t *testing.T) {
	t.Helper()
	if data, err := os.ReadFile(tr.mark); err == nil {
		t.Errorf("the trap was run: %s", data)
	}
	select {
	case from := <-tr.hits:
		t.Errorf("the trap's port was contacted from %s", from)
	default:
	}
	if err := exec.Command(tr.script, "control").Run(); err != nil || !fileExists(tr.mark) {
		t.Errorf("the trap does not work: %v", err)
	}
	c, err := net.Dial("tcp", strings.TrimPrefix(tr.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	select {
	case <-tr.hits:
	case <-time.After(patience):
		t.Error("the trap's port does not notice a connection")
	}
}

// allVerbs runs every command of broker, successful or not.
func (w *world) allVerbs(env ...string) {
	w.t.Helper()
	for _, args := range [][]string{
		{"init", "--yes"},
		{"list"},
		{"status"},
		{"version"},
		{"recover"},
		{"config", "list"},
		{"config", "show", "dev"},
		{"config", "show", "dev", "--resolved"},
		{"config", "chain", "dev"},
		{"credential-process", "dev"},
		{"credential-process", "trapped"},
		{"credential-process", "role"},
		{"exec", "dev", "--", "/bin/true"},
		{"exec", "role", "--", "/bin/true"},
		{"mfa", "123456"},
		{"mfa", "--cancel"},
		{"remove", "nobody", "--yes"},
		{"explain", "role"},
		{"doctor"},
		{"wire", "--all", "--diff"},
		{"wire", "--all"},
		{"credential-process", "role"},
		{"unwire", "--all"},
	} {
		cmd := w.command("broker", args...)
		cmd.Env = append(cmd.Env, env...)
		w.finish(cmd)
	}
	key := w.user("ann").AccessKeys[0]
	cmd := w.command("broker", "add", "dev", "--stdin", "--no-mfa")
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdin = strings.NewReader(key.AccessKeyID + "\n" + key.SecretAccessKey + "\n")
	w.finish(cmd)
}

// TestP47AWSConfigIsInert: whatever the AWS files name, nothing is executed
// and nothing is contacted.
func TestP47AWSConfigIsInert(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.initialise("[mfa]\nhelper_wait = 1s")
	w.add("dev", "ann", "--no-mfa")
	tr := w.newTrap()
	traps := "credential_process = " + tr.script + " process\nmfa_process = " + tr.script + " mfa\n" +
		"endpoint_url = " + tr.url + "\nsts_endpoint_url = " + tr.url + "\nca_bundle = " + tr.script + "\nweb_identity_token_file = " + tr.script + "\nservices = t\n"
	w.awsConfig("[default]\n" + traps + "[profile dev]\n" + traps + "[profile trapped]\n" + traps +
		"[profile role]\nsource_profile = dev\nrole_arn = arn:aws:iam::111122223333:role/dev-hop1\nmfa_process = " + tr.script + "\nendpoint_url = " + tr.url + "\n" +
		"[services t]\nsts =\n  endpoint_url = " + tr.url + "\niam =\n  endpoint_url = " + tr.url + "\n")
	overwrite(t, filepath.Join(w.home, ".aws", "credentials"), "[trapped]\ncredential_process = "+tr.script+"\nendpoint_url = "+tr.url+"\n")
	w.credentials("dev")
	w.allVerbs()
	tr.check(t)
}

// TestP48HostileEnvironmentIsInert: client and daemon are started in an
// environment full of traps.
func TestP48HostileEnvironmentIsInert(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.initialise("[mfa]\nhelper_wait = 1s")
	w.add("dev", "ann", "--no-mfa")
	want := w.credentials("dev").AccountID
	w.killDaemon()
	tr := w.newTrap()
	bin := filepath.Join(w.dir, "hostile")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dbus-launch", "pinentry", "zenity", "sh", "pass", "gpg", "broker-cli", "brokerd", "broker-vault", "env"} {
		copyFile(t, tr.script, filepath.Join(bin, name))
	}
	hostile := []string{
		"PATH=" + bin + ":" + os.Getenv("PATH"),
		"AWS_ENDPOINT_URL=" + tr.url, "AWS_ENDPOINT_URL_STS=" + tr.url, "AWS_ENDPOINT_URL_IAM=" + tr.url,
		"HTTPS_PROXY=" + tr.url, "HTTP_PROXY=" + tr.url, "ALL_PROXY=" + tr.url, "https_proxy=" + tr.url,
		"SSL_CERT_FILE=" + tr.script, "SSL_CERT_DIR=" + bin, "AWS_CA_BUNDLE=" + tr.script,
		"AWS_CONFIG_FILE=" + tr.script, "AWS_PROFILE=trapped", "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=x",
		"GODEBUG=netdns=cgo,http2debug=2", "GOTRACEBACK=crash", "LD_PRELOAD=" + tr.script, "LD_LIBRARY_PATH=" + bin,
		"DBUS_SESSION_BUS_ADDRESS=unixexec:path=" + tr.script, "DISPLAY=:99", "GPG_AGENT_INFO=" + tr.script, "TMPDIR=" + bin,
	}
	cmd := w.command("broker", "credential-process", "dev")
	cmd.Env = append(cmd.Env, hostile...)
	if got := w.document(w.finish(cmd)); got.AccountID != want {
		t.Errorf("account %s, want %s", got.AccountID, want)
	}
	daemon, err := os.ReadFile("/proc/" + itoa(w.daemonPID()) + "/environ")
	if err == nil { // root only: the daemon does not show it to its own user
		for _, variable := range strings.Split(string(daemon), "\x00") {
			name, _, _ := strings.Cut(variable, "=")
			switch {
			case name == "", strings.HasPrefix(name, "BROKER_"), strings.HasPrefix(name, "LC_"):
			case name == "DBUS_SESSION_BUS_ADDRESS" && !strings.Contains(variable, tr.script):
			case strings.Contains(" HOME USER LOGNAME LANG TZ PATH XDG_RUNTIME_DIR XDG_SESSION_TYPE XDG_CURRENT_DESKTOP DISPLAY WAYLAND_DISPLAY XAUTHORITY GOCOVERDIR ", " "+name+" "):
			default:
				t.Errorf("the daemon's environment holds %s", name)
			}
			if strings.HasPrefix(variable, "PATH=") && strings.Contains(variable, bin) {
				t.Errorf("the daemon's %s", variable)
			}
		}
	}
	w.allVerbs(hostile...)
	tr.check(t)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = testprograms.Write(to, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}
