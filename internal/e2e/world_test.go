// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"credbroker/internal/testprograms"
)

// patience bounds every wait of these tests. It is long because a loaded
// machine is slow, not because anything here should take that long.
const patience = 2 * time.Minute

// programs is the directory of the four programs under test.
var programs string

func TestMain(m *testing.M) {
	if runAsSDKClient() || runAsCorpusClient() || runAsSlowVault() || runAsTorturedVault() || runAsStarvedVault() || runAsPhone() {
		testprograms.Exit(0)
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	if programs = os.Getenv(netVariable); programs != "" {
		return m.Run() // for a test that has built them
	}
	dir, err := testprograms.Build()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	programs = dir
	// A shell has what it starts in the background ignore these, and so would all
	// that we start: Ctrl-C ends nothing then. What is caught is not inherited.
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
	return m.Run()
}

// needRoot skips a test that only root can run, on machines where nobody
// promised that it runs.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("needs root")
	}
}

// world is one user with one machine and one AWS account.
type world struct {
	t       *testing.T
	dir     string // everything of this world is below it
	home    string
	bin     string   // the directory of its programs
	env     []string // what every program of this world is started with
	account account
	atAWS   bool // the programs look for AWS at its own names

	passphrase string // opens the vault, if one does: see typed
}

// account is what broker-sandbox says of itself.
type account struct {
	Endpoint  string `json:"endpoint"`
	CAFile    string `json:"caFile"`
	AccountID string `json:"accountId"`
	Users     []user `json:"users"`
}

type user struct {
	UserName   string `json:"userName"`
	AccessKeys []struct {
		AccessKeyID     string `json:"accessKeyId"`
		SecretAccessKey string `json:"secretAccessKey"`
	} `json:"accessKeys"`
	Devices []struct {
		SerialNumber string `json:"serialNumber"`
		TOTPSecret   string `json:"totpSecret"`
	} `json:"devices"`
}

// newWorld starts a sandbox and an empty home. Nothing is initialised.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := emptyWorld(t)
	w.startSandbox()
	return w
}

// emptyWorld is a world without an AWS account.
func emptyWorld(t *testing.T) *world {
	t.Helper()
	// The socket path must stay under 100 bytes, which t.TempDir may not.
	dir, err := os.MkdirTemp("/tmp", "b-")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: dir, home: filepath.Join(dir, "home"), bin: filepath.Join(dir, "bin")}
	if err := testprograms.Link(programs, w.bin); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(w.home, ".aws"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.env = []string{
		"HOME=" + w.home,
		"PATH=" + w.bin + ":" + systemPath(),
		"BROKER_SOCKET=" + filepath.Join(dir, "run", "broker.sock"),
		"LANG=C.UTF-8",
		"TZ=UTC",
		"TERM=xterm",
		"GORACE=atexit_sleep_ms=0", // of test programs that fail: see testprograms.Exit
	}
	if d := os.Getenv("GOCOVERDIR"); d != "" {
		w.env = append(w.env, "GOCOVERDIR="+d)
	}
	t.Cleanup(func() {
		w.killDaemon()
		// A daemon that a client started beside the one that served ends by
		// itself, unless nobody serves any more.
		var err error
		for range 10 { // a worker that began as its daemon died may have been missed
			testprograms.End(dir)
			if err = os.RemoveAll(dir); err == nil {
				return
			}
		}
		t.Errorf("remove the world: %v", err)
	})
	return w
}

// systemPath is the PATH of the test without our own programs in it.
func systemPath() string { return os.Getenv("PATH") }

func (w *world) startSandbox(flags ...string) {
	w.t.Helper()
	ready := filepath.Join(w.dir, "sandbox.json")
	cmd := exec.Command(filepath.Join(w.bin, "broker-sandbox"), append([]string{"serve", "--ready-file", ready}, flags...)...)
	cmd.Env = w.env
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		// The error is the kill we ask for.
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	w.eventually("the sandbox is ready", func() error {
		data, err := os.ReadFile(ready)
		if err != nil {
			return err
		}
		return json.Unmarshal(data, &w.account)
	})
}

// user returns one user of the pretend account.
func (w *world) user(name string) user {
	w.t.Helper()
	i := slices.IndexFunc(w.account.Users, func(u user) bool { return u.UserName == name })
	if i < 0 {
		w.t.Fatalf("the sandbox has no user %q", name)
	}
	return w.account.Users[i]
}

// initialise writes broker's config and runs init with the file vault.
func (w *world) initialise(extra ...string) {
	w.t.Helper()
	w.must(w.run("broker", "init", "--backend", "file", "--yes"))
	w.pointToSandbox(extra...)
}

// pointToSandbox adds to broker's config where the pretend AWS is.
func (w *world) pointToSandbox(extra ...string) {
	w.t.Helper()
	path := filepath.Join(w.home, ".config", "broker", "config")
	data, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	text := string(data) + "\n[aws]\n"
	if w.account.Endpoint != "" && !w.atAWS {
		text += "endpoint_url = " + w.account.Endpoint + "\n"
	}
	text += strings.Join(extra, "\n") + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// ready initialises, adds ann's key as profile dev and wires it by hand.
func (w *world) ready(extra ...string) {
	w.t.Helper()
	w.initialise(extra...)
	w.add("dev", "ann")
	w.awsConfig("[profile dev]\nregion = eu-west-1\n" + w.helperLine("dev"))
}

// helperLine is the line that a user puts into ~/.aws/config.
func (w *world) helperLine(profile string) string {
	return "credential_process = " + filepath.Join(w.bin, "broker") + " credential-process " + profile + "\n"
}

func (w *world) awsConfig(text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.home, ".aws", "config"), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// add stores the first key of a user under a profile.
func (w *world) add(profile, userName string, flags ...string) result {
	w.t.Helper()
	return w.must(w.finish(w.addCommand(profile, userName, flags...)))
}

func (w *world) addCommand(profile, userName string, flags ...string) *exec.Cmd {
	key := w.user(userName).AccessKeys[0]
	cmd := w.command("broker", append([]string{"add", profile, "--stdin"}, flags...)...)
	cmd.Stdin = strings.NewReader(key.AccessKeyID + "\n" + key.SecretAccessKey + "\n")
	return cmd
}

// result is how a program ended.
type result struct {
	line   string
	stdout string
	stderr string
	status int
}

// command prepares one of our programs, or any other, in this world.
func (w *world) command(name string, args ...string) *exec.Cmd {
	path := name
	if !strings.Contains(name, "/") {
		if ours := filepath.Join(w.bin, name); fileExists(ours) {
			path = ours
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	w.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = slices.Clone(w.env)
	cmd.Dir = "/"
	cmd.WaitDelay = patience
	return cmd
}

// finish runs a prepared command to its end.
func (w *world) finish(cmd *exec.Cmd) result {
	w.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatalf("%v: %v", cmd.Args, err)
	}
	return result{
		line:   strings.Join(cmd.Args, " "),
		stdout: stdout.String(),
		stderr: stderr.String(),
		status: cmd.ProcessState.ExitCode(),
	}
}

func (w *world) run(name string, args ...string) result {
	w.t.Helper()
	return w.finish(w.command(name, args...))
}

// must fails the test unless the program succeeded.
func (w *world) must(r result) result {
	w.t.Helper()
	if r.status != 0 {
		w.t.Fatalf("%s: exit status %d\nstdout: %s\nstderr: %s\n%s", r.line, r.status, r.stdout, r.stderr, w.daemonLog())
	}
	return r
}

func (w *world) daemonLog() string {
	data, err := os.ReadFile(filepath.Join(w.home, ".local", "state", "broker", "brokerd.log"))
	if err != nil {
		return err.Error()
	}
	return "brokerd.log:\n" + string(data)
}

// background starts a program that the test ends, or waits for, by itself.
type background struct {
	*exec.Cmd
	w      *world
	stdout bytes.Buffer
	stderr bytes.Buffer
	done   chan struct{}
}

func (w *world) start(name string, args ...string) *background {
	w.t.Helper()
	return w.startCommand(w.command(name, args...))
}

func (w *world) startCommand(cmd *exec.Cmd) *background {
	w.t.Helper()
	b := &background{Cmd: cmd, w: w, done: make(chan struct{})}
	b.Stdout, b.Stderr = &b.stdout, &b.stderr
	if err := b.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		defer close(b.done)
		_ = b.Wait() // the status is read from ProcessState
	}()
	w.t.Cleanup(func() {
		_ = b.Process.Kill() // it may have ended
		<-b.done
	})
	return b
}

// wait returns how the program ended, or fails the test if it does not end.
func (b *background) wait() result {
	b.w.t.Helper()
	select {
	case <-b.done:
	case <-time.After(patience):
		b.w.t.Fatalf("%v did not end", b.Args)
	}
	return result{strings.Join(b.Args, " "), b.stdout.String(), b.stderr.String(), b.ProcessState.ExitCode()}
}

// running reports whether the program has not ended yet.
func (b *background) running() bool {
	select {
	case <-b.done:
		return false
	default:
		return true
	}
}

// eventually polls until f returns nil.
func (w *world) eventually(what string, f func() error) {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: not within %v: %v\n%s", what, patience, err, w.daemonLog())
		}
		<-time.After(20 * time.Millisecond)
	}
}

// within fails the test if f takes longer than limit. The machine may be busy: what
// it needs at present to start one program, before f or after, is allowed twenty
// times on top.
func (w *world) within(limit time.Duration, what string, f func()) {
	w.t.Helper()
	startOne := func() time.Duration {
		begin := time.Now()
		w.must(w.run("broker", "version"))
		return time.Since(begin)
	}
	one := startOne()
	begin := time.Now()
	f()
	took := time.Since(begin)
	if one = max(one, startOne()); took > limit+20*one {
		w.t.Errorf("%s took %v, want at most %v, while a program starts in %v", what, took, limit, one)
	}
}

// removeAll removes what a living daemon may be making again at this moment.
func (w *world) removeAll(path string) {
	w.t.Helper()
	w.eventually("remove "+path, func() error { return os.RemoveAll(path) })
}

// document is what an SDK reads from the helper.
type document struct {
	Version         int
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
	Expiration      time.Time
	AccountID       string `json:"AccountId"`
}

// credentials runs the helper, which must succeed without a word on stderr.
func (w *world) credentials(profile string) document {
	w.t.Helper()
	return w.document(w.run("broker", "credential-process", profile))
}

func (w *world) document(r result) document {
	w.t.Helper()
	w.must(r)
	if r.stderr != "" {
		w.t.Errorf("%s: stderr = %q, want none", r.line, r.stderr)
	}
	if len(r.stdout) >= 8192 || strings.Count(r.stdout, "\n") != 1 || !strings.HasSuffix(r.stdout, "\n") {
		w.t.Errorf("%s: the document is not one line under 8 KiB", r.line)
	}
	var d document
	if err := json.Unmarshal([]byte(r.stdout), &d); err != nil {
		w.t.Fatalf("%s: %v", r.line, err)
	}
	if d.Version != 1 || !strings.HasPrefix(d.AccessKeyID, "ASIA") || d.SecretAccessKey == "" || d.SessionToken == "" {
		w.t.Fatalf("%s: not a document of temporary credentials", r.line)
	}
	if !d.Expiration.After(time.Now()) {
		w.t.Fatalf("%s: expired at %v", r.line, d.Expiration)
	}
	return d
}

// quickCodes makes the pretend phone's codes follow each other fast, for tests
// that need several.
func (w *world) quickCodes() {
	w.t.Helper()
	w.set("totp_step=5s")
}

// code asks the pretend phone for the next unused code.
func (w *world) code(flags ...string) string {
	w.t.Helper()
	r := w.must(w.run("broker-sandbox", append([]string{"code", "--endpoint", w.account.Endpoint}, flags...)...))
	return strings.TrimSpace(r.stdout)
}

// prime gives the daemon a session for the profile.
func (w *world) prime(profile string) {
	w.t.Helper()
	helper := w.start("broker", "credential-process", profile)
	w.awaitPending(1)
	w.must(w.run("broker", "mfa", w.code()))
	w.document(helper.wait())
}

func (w *world) set(knobs ...string) {
	w.t.Helper()
	w.must(w.run("broker-sandbox", append([]string{"set", "--endpoint", w.account.Endpoint}, knobs...)...))
}

// entry is one row of the sandbox's log.
type entry struct {
	Action       string `json:"action"`
	AccessKeyID  string `json:"accessKeyId"`
	SerialNumber string `json:"serialNumber"`
	Result       string `json:"result"`
	RoleARN      string `json:"roleArn"`
	Code         string `json:"code"` // tells codes apart; not the code
}

// log returns the requests that the sandbox has seen, of the given actions.
func (w *world) log(actions ...string) []entry {
	w.t.Helper()
	r := w.must(w.run("broker-sandbox", "log", "--endpoint", w.account.Endpoint, "--json"))
	var all []entry
	dec := json.NewDecoder(strings.NewReader(r.stdout))
	for dec.More() {
		var e entry
		if err := dec.Decode(&e); err != nil {
			w.t.Fatalf("sandbox log: %v in %q", err, r.stdout)
		}
		if len(actions) == 0 || slices.Contains(actions, e.Action) {
			all = append(all, e)
		}
	}
	return all
}

// caused returns the requests that the sandbox has seen because somebody wanted
// something: all but those with which the daemon, by itself and at a moment of its
// own, asks IAM how old its keys are.
func (w *world) caused() []entry {
	w.t.Helper()
	return slices.DeleteFunc(w.log(), func(e entry) bool {
		return e.Action == "ListAccessKeys" || e.Action == "GetAccessKeyLastUsed"
	})
}

// status is the part of broker status --json that tests look at.
type status struct {
	PID     int `json:"pid"`
	Prompts int `json:"prompts"`
	Pending []struct {
		SerialNumber string   `json:"serialNumber"`
		Profiles     []string `json:"profiles"`
		Waiters      int      `json:"waiters"`
		Attempt      int      `json:"attempt"`
		Reason       string   `json:"reason"`
	} `json:"pending"`
	Sessions []struct {
		AccessKeyID string `json:"accessKeyId"`
	} `json:"sessions"`
	Problems []struct {
		Code string `json:"code"`
	} `json:"problems"`
}

func (w *world) status() status {
	w.t.Helper()
	r := w.must(w.run("broker", "status", "--json"))
	var s status
	if err := json.Unmarshal([]byte(r.stdout), &s); err != nil {
		w.t.Fatalf("status: %v in %q", err, r.stdout)
	}
	return s
}

// awaitPending waits until codes are being waited for with so many waiters.
func (w *world) awaitPending(waiters int) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("%d callers wait for a code", waiters), func() error {
		n := 0
		for _, p := range w.status().Pending {
			n += p.Waiters
		}
		if n != waiters {
			return fmt.Errorf("%d wait", n)
		}
		return nil
	})
}

func (w *world) socket() string { return filepath.Join(w.dir, "run", "broker.sock") }

// daemonPID asks the kernel who serves the socket; 0 when nobody does.
func (w *world) daemonPID() int {
	c, err := net.DialTimeout("unix", w.socket(), time.Second)
	if err != nil {
		return 0
	}
	defer c.Close()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0
	}
	pid := 0
	if err := raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	}); err != nil {
		return 0
	}
	return pid
}

func (w *world) killDaemon() {
	pid := w.daemonPID()
	if pid <= 1 || pid == os.Getpid() {
		return
	}
	signal := syscall.SIGKILL
	if os.Getenv("GOCOVERDIR") != "" {
		signal = syscall.SIGTERM // coverage is written on the way out
	}
	_ = syscall.Kill(pid, signal) // it may have ended by itself
	// The main thread of a killed process is a zombie before the others have
	// let go of the socket.
	deadline := time.Now().Add(patience)
	for (testprograms.Alive(pid) || w.daemonPID() == pid) && time.Now().Before(deadline) {
		<-time.After(5 * time.Millisecond)
	}
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func itoa(n int) string { return strconv.Itoa(n) }
