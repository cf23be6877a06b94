// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// profiles is what the AWS files can say that broker cannot serve.
func (s *scene) profiles() {
	s.initialise()
	s.add("dev", "ann", "--no-mfa")
	const dev = "[profile dev]\nregion = eu-west-1\n"
	s.awsConfig(dev)
	role := "role_arn = arn:aws:iam::" + s.account.AccountID + ":role/dev\n"
	served := "[profile work]\n" + role + "source_profile = dev\n"
	says := func(name, code, text string) cause {
		return cause{
			name: name, code: code, profile: "work", foreground: true, keep: true,
			do:   func() { s.awsConfig(dev + text) },
			undo: func() { s.awsConfig(dev + served) },
		}
	}
	s.play(
		says("profile unknown", "no_profile", ""),
		says("profile without a key", "no_key", "[profile work]\nregion = eu-west-1\n"),
		says("profile looping", "profile_loop", "[profile work]\n"+role+"source_profile = b\n[profile b]\n"+role+"source_profile = work\n"),
		says("role without a source", "profile_invalid", "[profile work]\n"+role),
		says("source profile unknown", "no_profile", "[profile work]\n"+role+"source_profile = nobody\n"),
		says("profile of IAM Identity Center (SSO)", "unsupported", "[profile work]\nsso_session = corp\nsso_account_id = 111122223333\nsso_role_name = dev\n[sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://corp.example.com\n"),
		says("profile of a web identity", "unsupported", "[profile work]\n"+role+"web_identity_token_file = /token\n"),
		says("profile of another program", "unsupported", "[profile work]\ncredential_process = /usr/bin/other\n"),
		says("profile of aws login", "unsupported", "[profile work]\nlogin_session = arn:aws:iam::111122223333:user/ann\n"),
	)
}

// brokenFiles is what a config file can do wrong.
func (s *scene) brokenFiles() {
	s.initialise()
	s.add("dev", "ann", "--no-mfa")
	s.awsConfig("[profile dev]\nregion = eu-west-1\n")
	awsFile := filepath.Join(s.home, ".aws", "config")
	config, err := os.ReadFile(s.configFile())
	if err != nil {
		s.t.Fatal(err)
	}
	broken := func(name, path, text string) cause {
		do, undo := s.changed(path, text)
		return cause{name: name, code: "config_broken", do: do, undo: undo, warm: true, foreground: true}
	}
	bundle, whole := s.configured("endpoint_url", "endpoint_url = "+s.account.Endpoint+"\nca_bundle = /nonexistent.pem")
	s.play(
		broken("AWS config broken", awsFile, "[profile dev\nregion = eu-west-1\n"),
		broken("broker's config broken", s.configFile(), string(config)+"\n[sesions]\nrole_duration = 1h\n"),
		broken("a setting of broker's config broken", s.configFile(), string(config)+"\n[mfa]\ntimeout = soon\n"),
		cause{name: "ca_bundle missing", code: "config_broken", do: bundle, undo: whole, warm: true, foreground: true},
	)
}

// daemon is what can stand between a client and its daemon.
func (s *scene) daemon() {
	pinned := s.initialise
	s.play(cause{name: "not initialised", code: "not_initialised", again: func() result {
		pinned()
		s.add("dev", "ann", "--no-mfa")
		return s.run("broker", "credential-process", "dev")
	}})
	gone, back := s.moved(filepath.Join(s.bin, "brokerd"))
	workless, workful := s.moved(filepath.Join(s.bin, "broker-vault"))
	open, shut := func() { s.killDaemon(); s.mode(filepath.Dir(s.socket()), 0o777) }, func() { s.mode(filepath.Dir(s.socket()), 0o700) }
	var newer net.Listener
	s.play(
		cause{name: "brokerd missing", code: "no_daemon", do: gone, undo: back},
		cause{name: "broker-vault missing", code: "internal", do: workless, undo: workful},
		cause{
			name: "socket open to others", code: "no_daemon", do: open, undo: shut,
			call:  func() result { return s.run("broker", "status") }, // the helper's line would be cut somewhere in a path
			again: func() result { s.must(s.run("broker", "status")); return s.run("broker", "credential-process", "dev") },
		},
		cause{
			name: "the daemon speaks a later protocol only", code: "protocol", keep: true,
			do:   func() { s.killDaemon(); newer = s.stranger() },
			undo: func() { _ = newer.Close() },
		},
		cause{
			name: "the client speaks a later protocol only", code: "protocol", keep: true,
			do:    func() { s.must(s.run("broker", "list")) },
			call:  func() result { return s.raw(`{"v":99,"op":"credentials","client":"broker 9.0.0"}`) },
			again: func() result { return s.run("broker", "credential-process", "dev") },
		},
		cause{
			name: "socket of somebody else", code: "foreign_daemon", keep: true, root: true,
			do:   func() { s.killDaemon(); newer = s.stranger(); s.own(s.socket(), 65534) },
			undo: func() { _ = newer.Close(); _ = os.Remove(s.socket()) },
		},
	)
}

func (s *scene) mode(path string, mode os.FileMode) {
	if err := os.Chmod(path, mode); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) own(path string, uid int) {
	if err := os.Lchown(path, uid, -1); err != nil {
		s.t.Fatal(err)
	}
}

// stranger is a daemon of a release to come, which speaks no protocol of now.
func (s *scene) stranger() net.Listener {
	s.t.Helper()
	l, err := net.Listen("unix", s.socket())
	if err != nil {
		_ = os.Remove(s.socket()) // of the daemon that was killed
		if l, err = net.Listen("unix", s.socket()); err != nil {
			s.t.Fatal(err)
		}
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // it was closed
			}
			_, _ = bufio.NewReader(conn).ReadString('\n')
			_, _ = io.WriteString(conn, `{"error":{"code":"protocol","message":"the client speaks protocol 1, and brokerd 9.0.0 speaks protocols 8 and 9",`+
				`"hint":"the client is the older one: run the broker that stands beside brokerd 9.0.0"}}`+"\n")
			_ = conn.Close()
		}
	}()
	return l
}

// raw says one line to the daemon and returns its error as broker shows it.
func (s *scene) raw(request string) result {
	s.t.Helper()
	conn, err := net.Dial("unix", s.socket())
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request+"\n"); err != nil {
		s.t.Fatal(err)
	}
	var reply struct {
		Error struct{ Code, Message, Hint string }
	}
	if err := json.NewDecoder(conn).Decode(&reply); err != nil {
		s.t.Fatal(err)
	}
	return result{
		line: "(a broker of release 9.0.0) credential-process dev", status: s.codes[reply.Error.Code],
		stderr: "broker: error: " + reply.Error.Message + "\nbroker: hint: " + reply.Error.Hint + "\n",
	}
}

// full fills the file system of dir until nothing more goes in, and returns
// what makes room again.
func full(t *testing.T, dir string) (room func()) {
	t.Helper()
	filler := filepath.Join(dir, "filler")
	f, err := os.OpenFile(filler, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{4096, 1} {
		for err == nil {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		err = nil
	}
	_ = f.Close() // what was written is enough
	return func() { remove(t, filler) }
}

// unwritable are the causes of a place that takes no write: what writes is
// refused, and what only reads goes on. The daemon that meets them is new.
func (s *scene) unwritable(what, code string, do, undo func()) []cause {
	helper := func() result { return s.run("broker", "credential-process", "dev") }
	refused := func(name string, call, again func() result) cause {
		return cause{
			name: what + " (" + name + ")", code: code, root: true, call: call, again: again,
			do:   func() { do(); s.killDaemon(); s.credentials("dev") }, // a new daemon serves all the same
			undo: func() { undo(); s.must(helper()) },
		}
	}
	add := func(profile, user string, flags ...string) func() result {
		return func() result { return s.finish(s.addCommand(profile, user, append(flags, "--no-mfa")...)) }
	}
	removed := func() result {
		s.must(add("new", "bob")())
		return s.run("broker", "remove", "new", "--yes")
	}
	return []cause{
		refused("add", add("new", "bob"), removed),
		refused("add --replace", add("dev", "bob", "--replace"), removed),
		refused("remove", func() result { return s.run("broker", "remove", "dev", "--yes") }, helper),
	}
}

// diskFull: on a full disk what writes is refused in words, every file
// is as it was, and stored keys are served, also by a daemon that starts then.
func (s *scene) diskFull() {
	needRoot(s.t)
	state := filepath.Join(s.home, ".local", "state", "broker")
	if err := os.MkdirAll(state, 0o700); err != nil {
		s.t.Fatal(err)
	}
	mount(s.t, "tmpfs", state, "tmpfs", 0, "size=128k,mode=0700")
	s.initialise()
	s.add("dev", "ann", "--no-mfa")
	var room func()
	s.play(s.unwritable("disk full", "disk_full", func() { room = full(s.t, state) }, func() { room() })...)
}

// readOnly: the same with a home that is mounted read-only.
func (s *scene) readOnly() {
	needRoot(s.t)
	s.initialise()
	s.add("dev", "ann", "--no-mfa")
	mount(s.t, s.home, s.home, "", syscall.MS_BIND, "")
	remount := func(flags uintptr) func() {
		return func() {
			s.killDaemon() // which has files open
			if err := syscall.Mount("", s.home, "", syscall.MS_BIND|syscall.MS_REMOUNT|flags, ""); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	causes := s.unwritable("read-only home", "read_only", remount(syscall.MS_RDONLY), remount(0))
	s.play(append(causes, cause{
		name: "read-only home (init)", code: "read_only", root: true, do: func() {
			_ = os.Remove(filepath.Join(s.home, ".config", "broker", "environment"))
			remount(syscall.MS_RDONLY)()
		},
		undo: remount(0), call: func() result { return s.run("broker", "init", "--yes") },
	})...)
}
