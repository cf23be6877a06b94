// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// turned turns knobs of the pretend account, and reset puts them back.
func (s *scene) turned(knobs ...string) func() { return func() { s.set(knobs...) } }

func (s *scene) reset() {
	s.must(s.run("broker-sandbox", "reset", "--endpoint", s.account.Endpoint))
}

func (s *scene) configFile() string { return filepath.Join(s.home, ".config", "broker", "config") }

// configured returns what puts another line into broker's config in the place
// of the one that begins with key, and what puts that back.
func (s *scene) configured(key, line string) (do, undo func()) {
	was, err := os.ReadFile(s.configFile())
	if err != nil {
		s.t.Fatal(err)
	}
	lines := strings.Split(string(was), "\n")
	for i := range lines {
		if strings.HasPrefix(lines[i], key) {
			lines[i] = line
		}
	}
	do = func() { overwrite(s.t, s.configFile(), strings.Join(lines, "\n")) }
	return do, func() { overwrite(s.t, s.configFile(), string(was)) }
}

// anew asks a daemon that knows of nothing.
func (s *scene) anew() result {
	s.killDaemon()
	return s.run("broker", "credential-process", "dev")
}

// elsewhere is a cause that another endpoint, or another way to it, brings.
func (s *scene) elsewhere(c cause, line string) cause {
	c.do, c.undo = s.configured("endpoint_url", line)
	return c
}

// added has a key stored as a profile that is removed again when it was.
func (s *scene) added(profile, id, secret string) (call, again func() result) {
	put := func(id, secret string) result {
		cmd := s.command("broker", "add", profile, "--stdin", "--no-mfa")
		cmd.Stdin = strings.NewReader(id + "\n" + secret + "\n")
		return s.finish(cmd)
	}
	bob := s.user("bob").AccessKeys[0]
	call = func() result { return put(id, secret) }
	again = func() result {
		s.must(put(bob.AccessKeyID, bob.SecretAccessKey))
		return s.run("broker", "remove", profile, "--yes")
	}
	return call, again
}

// aws is what AWS itself says, to a key that needs no code.
func (s *scene) aws() {
	s.initialise()
	s.add("dev", "ann", "--no-mfa")
	ann := s.user("ann").AccessKeys[0]
	key := "key." + ann.AccessKeyID + "="
	unknown, known := s.added("new", "AKIARTX3GSDSZZZZZZZZ", ann.SecretAccessKey)
	mistyped, whole := s.added("new", ann.AccessKeyID, strings.Repeat("a", 40))
	inactive, active := s.added("new", s.user("dan").AccessKeys[0].AccessKeyID, s.user("dan").AccessKeys[0].SecretAccessKey)
	s.play(
		cause{name: "AWS throttles", code: "aws_throttled", do: s.turned("throttle=0/s"), undo: s.reset, warm: true, foreground: true},
		cause{name: "AWS fails", code: "aws_unavailable", do: s.turned("fail.GetSessionToken=503"), undo: s.reset, warm: true, foreground: true},
		cause{name: "garbage in the place of AWS", code: "aws_garbage", do: s.turned("body.GetSessionToken=garbage"), undo: s.reset, warm: true, foreground: true},
		cause{name: "a captive portal", code: "aws_garbage", do: s.turned("body.GetSessionToken=html"), undo: s.reset, warm: true, foreground: true},
		cause{name: "AWS hangs up", code: "aws_unreachable", do: s.turned("drop.GetSessionToken=after"), undo: s.reset, warm: true, foreground: true},
		cause{name: "AWS refuses for another reason", code: "aws_failed", do: s.turned("fail.GetSessionToken=MissingAction"), undo: s.reset, warm: true, foreground: true},
		cause{name: "account suspended", code: "aws_blocked", do: s.turned("fail.GetSessionToken=AccountProblem"), undo: s.reset, warm: true, again: s.anew},
		cause{name: "clock off", code: "aws_clock", do: s.turned("fail.GetSessionToken=RequestExpired"), undo: s.reset, warm: true, foreground: true},
		cause{name: "Region disabled", code: "aws_region", do: s.turned("fail.GetSessionToken=RegionDisabledException"), undo: s.reset, warm: true, foreground: true},
		cause{name: "key inactive", code: "aws_key_unknown", do: s.turned(key + "Inactive"), undo: s.reset, warm: true, foreground: true},
		cause{name: "key deleted", code: "aws_key_unknown", do: s.turned(key + "deleted"), undo: s.reset, warm: true, foreground: true},
		cause{name: "key quarantined", code: "aws_quarantined", do: s.turned("policy=quarantine"), undo: s.reset, warm: true, again: s.anew},
		cause{name: "explicit deny", code: "aws_explicit_deny", do: s.turned("policy=deny:GetSessionToken"), undo: s.reset, warm: true, foreground: true},
		cause{name: "key unknown (add)", code: "aws_key_unknown", call: unknown, again: known},
		cause{name: "key inactive (add)", code: "aws_key_unknown", call: inactive, again: active},
		cause{name: "wrong secret (add)", code: "aws_secret", call: mistyped, again: whole},
		cause{name: "root user's key (add)", code: "key_invalid", call: func() result { return s.finish(s.addCommand("new", "root")) }, again: known},
	)
	s.revocations()
	// A clock that is off by itself is no cause: broker goes by that of AWS.
	s.set("now=+26h")
	s.killDaemon()
	s.credentials("dev")
}

// network is what stands between this machine and AWS.
func (s *scene) network() {
	s.initialise()
	s.add("dev", "ann", "--no-mfa")
	closed := closedPort(s.t)
	impostor := httptest.NewUnstartedServer(http.NotFoundHandler())
	impostor.Config.ErrorLog = log.New(io.Discard, "", 0) // the handshakes that fail
	impostor.StartTLS()
	s.t.Cleanup(impostor.Close)
	const aws = "region = eu-west-1\nhttps_proxy = http://ann:s3cret@"
	unset := func(c cause, variables ...string) cause {
		c.call = func() result {
			cmd := s.command("broker", "credential-process", "dev")
			cmd.Env = append(cmd.Env, variables...)
			return s.finish(cmd)
		}
		return c
	}
	proxied := unset(s.elsewhere(cause{name: "behind a proxy", code: "aws_unreachable", root: true, warm: true, keep: true},
		"endpoint_url = https://192.0.2.1"), "https_proxy=http://ann:s3cret@proxy.example.com:3128")
	island, restore := proxied.do, proxied.undo
	proxied.do = func() { island(); s.isolated() }
	proxied.undo = func() { restore(); s.killDaemon() }
	proxied.warm = false // the daemon on the island is a new one
	s.play(
		s.elsewhere(cause{name: "AWS out of reach", code: "aws_unreachable", warm: true, foreground: true}, "endpoint_url = http://"+closed),
		s.elsewhere(cause{name: "wrong certificate", code: "aws_certificate", warm: true, foreground: true}, "endpoint_url = "+impostor.URL),
		s.elsewhere(cause{name: "the proxy is out of reach", code: "aws_proxy", warm: true}, aws+closed),
		s.elsewhere(cause{name: "the proxy wants a password", code: "aws_proxy", warm: true, foreground: true}, aws+refusingProxy(s.t)),
		s.elsewhere(cause{name: "the network swallows everything", code: "aws_unreachable", warm: true}, "endpoint_url = http://"+blackHole(s.t)),
		cause{name: "AWS is slow", code: "aws_slow", warm: true, do: s.turned("delay.GetSessionToken=40s"), undo: s.reset},
		proxied,
	)
}

// isolated starts a daemon without a network: in a network namespace of its
// own, which has nothing but a loopback that is down.
func (s *scene) isolated() {
	s.killDaemon()
	s.start("unshare", "--net", filepath.Join(s.bin, "brokerd"))
	s.eventually("the daemon without a network serves", func() error {
		if s.daemonPID() == 0 {
			return syscall.ENOENT
		}
		return nil
	})
}

// closedPort is an address that takes no connection, as long as the test runs:
// the port is taken, and nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", at.(*unix.SockaddrInet4).Port)
}

// refusingProxy is a proxy that lets nobody through, and its address.
func refusingProxy(t *testing.T) string {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusProxyAuthRequired)
	}))
	t.Cleanup(proxy.Close)
	return proxy.Listener.Addr().String()
}

// blackHole is an address that takes no connection and refuses none: a
// listener whose queue is full.
func blackHole(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 0) }); err != nil {
		t.Fatal(err)
	}
	for {
		conn, err := net.DialTimeout("tcp", l.Addr().String(), time.Second)
		if err != nil {
			return l.Addr().String()
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
}

// roles is what AWS says of a role, of which it never says why.
func (s *scene) roles() {
	s.initialise()
	s.quickCodes()
	s.add("dev", "ann")
	s.add("plain", "bob", "--no-mfa")
	s.add("eve", "eve", "--no-mfa")
	arn := func(name string) string {
		return "\nrole_arn = arn:aws:iam::" + s.account.AccountID + ":role/" + name + "\n"
	}
	base := "[profile dev]\nregion = eu-west-1\n[profile plain]\nregion = eu-west-1\n"
	role := func(c cause, text, right string) cause {
		c.profile = "work"
		c.do = func() { s.awsConfig(base + "[profile work]" + text) }
		c.undo = func() { s.awsConfig(base + "[profile work]" + right) }
		c.keep, c.foreground = true, true
		return c
	}
	const dev, plain = "source_profile = dev\n", "source_profile = plain\n"
	s.awsConfig(base)
	s.must(s.run("broker", "mfa", "-p", "dev", s.code()))
	recent := cause{
		name: "role wants a newer MFA code", code: "role_denied", profile: "work", keep: true, foreground: true,
		do: func() {
			s.awsConfig(base + "[profile work]" + arn("dev-mfa-recent") + dev)
			s.set("now=+2h")
			s.credentials("eve") // from now on the daemon goes by this clock
		},
		undo:  func() { s.must(s.run("broker", "lock", "work")) }, // as the hint says
		again: func() result { s.must(s.typed(s.code())); return s.run("broker", "credential-process", "work") },
	}
	s.play(
		role(cause{name: "role does not exist, or does not trust the caller", code: "role_denied"}, arn("nothing")+dev, arn("dev")+dev),
		role(cause{name: "role wants an external ID", code: "role_denied"}, arn("dev-external")+dev, arn("dev-external")+dev+"external_id = tenant-42\n"),
		role(cause{name: "role wants another external ID", code: "role_denied"}, arn("dev-external")+dev+"external_id = tenant-41\n", arn("dev-external")+dev+"external_id = tenant-42\n"),
		role(cause{name: "role wants MFA", code: "role_denied"}, arn("dev-mfa")+plain, arn("dev-mfa")+dev),
		role(cause{name: "role for too long", code: "aws_duration"}, arn("readonly")+dev+"duration_seconds = 7200\n", arn("readonly")+dev),
		cause{
			name: "role denied on purpose", code: "aws_explicit_deny", profile: "work", keep: true, foreground: true,
			do:   func() { s.awsConfig(base + "[profile work]" + arn("dev-long") + dev); s.set("policy=deny:AssumeRole") },
			undo: s.reset,
		},
		recent,
	)
}
