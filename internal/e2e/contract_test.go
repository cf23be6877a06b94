// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestHelperIgnoresItsCaller: whatever a caller's standard input, directory
// and AWS_* variables are, the helper prints the same document.
func TestHelperIgnoresItsCaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	w.prime("dev")
	want := w.credentials("dev")

	t.Run("closed stdin", func(t *testing.T) {
		// A shell closes it for us: os/exec would give /dev/null.
		r := w.run("/bin/sh", "-c", `exec "$0" credential-process dev <&-`, filepath.Join(w.bin, "broker"))
		if got := w.document(r); got != want {
			t.Errorf("got %s, want %s", got.AccessKeyID, want.AccessKeyID)
		}
	})
	t.Run("idle stdin", func(t *testing.T) {
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer read.Close()
		defer write.Close()
		cmd := w.command("broker", "credential-process", "dev")
		cmd.Stdin = read
		if got := w.document(w.finish(cmd)); got != want {
			t.Errorf("got %s, want %s", got.AccessKeyID, want.AccessKeyID)
		}
	})
	t.Run("AWS variables", func(t *testing.T) {
		cmd := w.command("broker", "credential-process", "--profile", "dev")
		cmd.Env = append(cmd.Env,
			"AWS_PROFILE=nobody", "AWS_DEFAULT_PROFILE=nobody",
			"AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=x", "AWS_SESSION_TOKEN=x",
			"AWS_CONFIG_FILE=/nonexistent", "AWS_SHARED_CREDENTIALS_FILE=/nonexistent",
			"AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_ENDPOINT_URL_STS=http://127.0.0.1:1",
			"AWS_CA_BUNDLE=/nonexistent", "HTTPS_PROXY=http://127.0.0.1:1", "AWS_REGION=mars-north-1",
		)
		if got := w.document(w.finish(cmd)); got != want {
			t.Errorf("got %s, want %s", got.AccessKeyID, want.AccessKeyID)
		}
	})
}

// TestP50HelperOutputIsOneDocumentOrNothing: a failure leaves stdout empty and
// says one short line.
func TestP50HelperOutputIsOneDocumentOrNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready("[mfa]\nhelper_wait = 1s")
	for name, test := range map[string]struct {
		args   []string
		status int
	}{
		"no code in time":  {[]string{"credential-process", "dev"}, 4},
		"unknown profile":  {[]string{"credential-process", "nobody"}, 6},
		"no profile":       {[]string{"credential-process"}, 2},
		"two profiles":     {[]string{"credential-process", "dev", "dev"}, 2},
		"unknown flag":     {[]string{"credential-process", "--frobnicate", "dev"}, 2},
		"hostile profile":  {[]string{"credential-process", "../../etc/passwd\x1b[31m"}, 2},
		"newline profile":  {[]string{"credential-process", "dev\nsecond"}, 2},
		"overlong profile": {[]string{"credential-process", strings.Repeat("x", 300)}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.run("broker", test.args...)
			if r.status != test.status {
				t.Errorf("exit status %d, want %d", r.status, test.status)
			}
			if r.stdout != "" {
				t.Errorf("stdout = %q, want nothing", r.stdout)
			}
			if strings.Count(r.stderr, "\n") != 1 || len(r.stderr) > 300 || !strings.HasPrefix(r.stderr, "broker: error: ") {
				t.Errorf("stderr = %q, want one short line", r.stderr)
			}
			if strings.ContainsAny(r.stderr, "\x1b\x00") {
				t.Errorf("stderr = %q holds control characters", r.stderr)
			}
		})
	}
}

// TestQuarantinedKeySaysWhoMustAct: AWS denies GetSessionToken to a key that
// has leaked. The worker makes that call; what it learns reaches the user.
func TestQuarantinedKeySaysWhoMustAct(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.initialise()
	w.add("dev", "ann", "--no-mfa")
	w.set("policy=quarantine")
	r := w.run("broker", "credential-process", "dev")
	if r.status != 8 || r.stdout != "" || !strings.Contains(r.stderr, "an administrator") {
		t.Errorf("status %d, stdout %q, stderr %q; want 8, nothing and a line that sends the user to an administrator", r.status, r.stdout, r.stderr)
	}
	w.set("policy=none")
	w.killDaemon() // which would not ask AWS again for a quarter of an hour
	w.credentials("dev")
}

// TestSameDaemonWithoutEnvironment: init runs in a login shell with XDG
// variables; the helper runs as cron or an IDE starts it, with no environment
// at all. Both reach one daemon.
func TestSameDaemonWithoutEnvironment(t *testing.T) {
	t.Parallel()
	needRoot(t)
	w := newWorld(t)
	w.env = slices.DeleteFunc(w.env, func(v string) bool { return strings.HasPrefix(v, "BROKER_SOCKET=") })
	bare := w.bareMachine()

	login := func(args ...string) []string {
		return append([]string{
			"/usr/bin/env", "-i", "HOME=" + w.home, "PATH=/usr/bin:/bin",
			"XDG_CONFIG_HOME=" + w.home + "/xdg/config", "XDG_STATE_HOME=" + w.home + "/xdg/state",
			"XDG_RUNTIME_DIR=" + w.home + "/xdg/run", "BROKER_SOCKET=", filepath.Join(w.bin, "broker"),
		}, args...)
	}
	w.must(bare(login("init", "--backend", "file", "--yes"), nil))
	config := filepath.Join(w.home, "xdg", "config", "broker", "config")
	f, err := os.OpenFile(config, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, "\n[aws]\nendpoint_url = "+w.account.Endpoint+"\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	key := w.user("ann").AccessKeys[0]
	stdin := strings.NewReader(key.AccessKeyID + "\n" + key.SecretAccessKey + "\n")
	w.must(bare(login("add", "dev", "--stdin", "--no-mfa"), stdin))
	before := bare(login("status", "--json"), nil)

	r := bare([]string{"/usr/bin/env", "-i", filepath.Join(w.bin, "broker"), "credential-process", "dev"}, nil)
	w.document(r)
	after := bare([]string{"/usr/bin/env", "-i", filepath.Join(w.bin, "broker"), "status", "--json"}, nil)
	if a, b := pidIn(before.stdout), pidIn(after.stdout); a == "" || a != b {
		t.Errorf("two daemons: pid %s in a login shell, pid %s without an environment", a, b)
	}
}

// pidIn returns the "pid" member of a status document.
func pidIn(document string) string {
	_, rest, _ := strings.Cut(document, `"pid":`)
	rest, _, _ = strings.Cut(strings.TrimSpace(rest), ",")
	return rest
}

// bareMachine returns a way to run programs where the passwd entry of this
// user names the world's home, so that a program without any environment does
// not find the real one. All of it runs in one mount and pid namespace that
// ends with the test.
func (w *world) bareMachine() func(argv []string, stdin io.Reader) result {
	w.t.Helper()
	passwd := filepath.Join(w.dir, "passwd")
	entry := "root:x:0:0:root:" + w.home + ":/bin/sh\n"
	if err := os.WriteFile(passwd, []byte(entry), 0o644); err != nil {
		w.t.Fatal(err)
	}
	keeper := w.command("/usr/bin/unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
		"/bin/sh", "-c", `mount --bind "$0" /etc/passwd && mkdir -p /run && mount -t tmpfs none /run && echo ready && exec sleep 600`, passwd)
	keeper.Cancel = nil
	pipe, err := keeper.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	keeper.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := keeper.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = keeper.Process.Kill() // with it every process of the namespace ends
		_ = keeper.Wait()
	})
	ready := make([]byte, len("ready"))
	if _, err := io.ReadFull(pipe, ready); err != nil {
		w.t.Fatalf("make the namespace: %v", err)
	}
	child := w.onlyChild(keeper.Process.Pid)
	return func(argv []string, stdin io.Reader) result {
		w.t.Helper()
		cmd := w.command("/usr/bin/nsenter", append([]string{"--target", child, "--mount", "--pid", "--"}, argv...)...)
		cmd.Stdin = stdin
		return w.finish(cmd)
	}
}

// onlyChild returns the pid of the one child of a process.
func (w *world) onlyChild(pid int) string {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "task", itoa(pid), "children"))
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}
