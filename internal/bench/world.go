// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// sandbox is the pretend AWS account, behind a proxy that knows how long the
// account takes: that time is not broker's.
type sandbox struct {
	programs string
	process  *exec.Cmd
	account  account
	proxy    string // URL
	busy     atomic.Int64
}

type account struct {
	Endpoint  string `json:"endpoint"`
	AccountID string `json:"accountId"`
	Users     []struct {
		AccessKeys []map[string]string `json:"accessKeys"` // keys of nobody
	} `json:"users"`
}

func startSandbox(programs, dir string) (*sandbox, error) {
	s := &sandbox{programs: programs}
	ready := filepath.Join(dir, "account.json")
	s.process = exec.Command(filepath.Join(programs, "broker-sandbox"), "serve", "--ready-file", ready)
	s.process.Stderr = os.Stderr
	if err := s.process.Start(); err != nil {
		return s, fmt.Errorf("start the sandbox: %w (run make build)", err)
	}
	err := eventually("the sandbox", func() error {
		data, err := os.ReadFile(ready)
		if err != nil {
			return err
		}
		return json.Unmarshal(data, &s.account)
	})
	if err != nil {
		return s, err
	}
	// Codes every second, or each cold call would wait for half a minute.
	if _, err := s.control("set", "totp_step=1s"); err != nil {
		return s, err
	}
	return s, s.startProxy()
}

// startProxy listens until this program ends.
func (s *sandbox) startProxy() error {
	target, err := url.Parse(s.account.Endpoint)
	if err != nil {
		return err
	}
	// The Host header stays what it was: it is signed.
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host },
		Transport: s,
	}
	listener, err := listenLoopback()
	if err != nil {
		return err
	}
	s.proxy = "http://" + listener.Addr().String()
	go func() { _ = (&http.Server{Handler: proxy, ReadHeaderTimeout: time.Minute}).Serve(listener) }() // until the end
	return nil
}

// RoundTrip takes the time of the account.
func (s *sandbox) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	defer func() { s.busy.Add(int64(time.Since(began))) }()
	return http.DefaultTransport.RoundTrip(r)
}

// control runs one of broker-sandbox's commands against the account.
func (s *sandbox) control(command string, args ...string) (string, error) {
	args = append([]string{command, "--endpoint", s.account.Endpoint}, args...)
	text, err := exec.Command(filepath.Join(s.programs, "broker-sandbox"), args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("broker-sandbox %s: %w\n%s", command, err, text)
	}
	return string(text), nil
}

// calls counts the requests of one kind that the account has seen.
func (s *sandbox) calls(action string) (int, error) {
	text, err := s.control("log")
	return strings.Count(text, " "+action+" "), err
}

// world is one user: a home, a vault in a file, a daemon.
type world struct {
	sandbox  *sandbox
	programs string
	home     string
	env      []string
	codeFile string // what mfa_command prints
	asked    string // has a byte for each time that it was asked
	daemon   *exec.Cmd
}

// newWorld makes a user whose profile dev has a key. The daemon runs, and has
// no session yet.
func (b *bench) newWorld(name string) (*world, error) {
	home := filepath.Join(b.dir, name)
	w := &world{
		sandbox: b.sandbox, programs: b.programs, home: home, codeFile: filepath.Join(home, "code"), asked: filepath.Join(home, "asked"),
		env: []string{
			"HOME=" + home, "PATH=" + b.programs + ":/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8",
			"BROKER_SOCKET=" + filepath.Join(home, "run", "broker.sock"),
		},
	}
	b.worlds = append(b.worlds, w)
	for _, dir := range []string{"run", ".aws"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o700); err != nil {
			return nil, err
		}
	}
	if err := w.profiles(0); err != nil {
		return nil, err
	}
	if _, err := w.command("broker", "init", "--backend", "file", "--yes").output(); err != nil {
		return nil, err
	}
	config := filepath.Join(home, ".config", "broker", "config")
	text, err := os.ReadFile(config)
	if err != nil {
		return nil, err
	}
	text = fmt.Appendf(text, "\n[aws]\nendpoint_url = %s\n[profile dev]\nmfa_command = %s %s %s\n",
		b.sandbox.proxy, filepath.Join(b.dir, "phone"), w.codeFile, w.asked)
	if err := os.WriteFile(config, text, 0o600); err != nil {
		return nil, err
	}
	if err := w.restart(); err != nil {
		return nil, err
	}
	key := b.sandbox.account.Users[0].AccessKeys[0]
	add := w.command("broker", "add", "dev", "--stdin")
	add.stdin = key["accessKeyId"] + "\n" + key["secretAccessKey"] + "\n"
	_, err = add.output()
	return w, err
}

// restart starts the daemon anew: without sessions.
func (w *world) restart() error {
	stop(w.daemon)
	w.daemon = exec.Command(filepath.Join(w.programs, "brokerd"))
	w.daemon.Env, w.daemon.Dir = w.env, "/"
	if err := w.daemon.Start(); err != nil {
		return err
	}
	return eventually("brokerd", func() error {
		_, err := converse(w.socket(), "hello", "")
		return err
	})
}

func (w *world) socket() string { return filepath.Join(w.home, "run", "broker.sock") }

// command is one of our programs as this user runs it.
func (w *world) command(name string, args ...string) program {
	return program{argv: append([]string{filepath.Join(w.programs, name)}, args...), env: w.env}
}

// helper is what an SDK runs.
func (w *world) helper() program { return w.command("broker", "credential-process", "dev") }

// code lets mfa_command know a new code.
func (w *world) code() error {
	code, err := w.sandbox.control("code")
	if err != nil {
		return err
	}
	return os.WriteFile(w.codeFile, []byte(code), 0o600)
}

// prime makes the session of the key.
func (w *world) prime() error {
	if err := w.code(); err != nil {
		return err
	}
	_, err := w.helper().output()
	return err
}

// profiles writes an AWS config with dev and n roles, each of which is a
// session of its own.
func (w *world) profiles(n int) error {
	var text strings.Builder
	text.WriteString("[profile dev]\nregion = eu-west-1\n")
	for i := range n {
		fmt.Fprintf(&text, "\n[profile %s]\nrole_arn = arn:aws:iam::%s:role/dev\nsource_profile = dev\nrole_session_name = %[1]s\nregion = eu-west-1\n",
			roleProfile(i), w.sandbox.account.AccountID)
	}
	return os.WriteFile(filepath.Join(w.home, ".aws", "config"), []byte(text.String()), 0o600)
}

func roleProfile(i int) string { return fmt.Sprintf("account-%05d", i) }

// prompts returns how many codes were asked for.
func (w *world) prompts() (int, error) {
	text, err := os.ReadFile(w.asked)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return len(text), err
}

// resident returns the memory of the daemon in MiB, once it has settled.
func (w *world) resident(settle time.Duration) (float64, error) {
	time.Sleep(settle)
	kib, err := statusField(w.daemon.Process.Pid, "VmRSS:")
	return float64(kib) / 1024, err
}
