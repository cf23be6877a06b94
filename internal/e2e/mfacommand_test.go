// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"crypto/hmac"
	"crypto/sha1" // RFC 6238 as AWS uses it
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"credbroker/internal/testprograms"
)

// phoneWord makes the test binary an mfa_command, as oathtool would be one:
//
//	e2e.test phone SEED FILE
//
// prints the code of the present time step by this machine's clock, and notes
// in FILE when that was.
const phoneWord = "phone"

// phoneStep is the time step of a virtual MFA device: RFC 6238, section 4.1.
const phoneStep = 30

func runAsPhone() bool {
	if len(os.Args) != 4 || os.Args[1] != phoneWord {
		return false
	}
	seed, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(os.Args[2])
	now := time.Now().Unix()
	if err == nil {
		err = appendLine(os.Args[3], strconv.FormatInt(now, 10))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(totp(seed, now/phoneStep))
	return true
}

func totp(seed []byte, counter int64) string {
	mac := hmac.New(sha1.New, seed)
	_ = binary.Write(mac, binary.BigEndian, counter) // a hash takes all
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[at:])&0x7fffffff%1e6)
}

func appendLine(path, line string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, line+"\n")
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// lines returns the lines of a file; none if it is not there.
func lines(path string) []string {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

// script writes a program into the world and returns its path.
func (w *world) script(text string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, "command")
	if err := testprograms.Write(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// commanded is a world in which profile dev has an mfa_command.
func commanded(t *testing.T, command func(w *world) string) *world {
	t.Helper()
	w := newWorld(t)
	w.ready("[profile dev]", "mfa_command = "+command(w))
	return w
}

// TestCommandGivesTheCode: nobody is asked, and a used code is not tried again:
// the program is run once more when it prints the next one by the clock that it
// reads, which here is not that of AWS.
func TestCommandGivesTheCode(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var runs string
	w := commanded(t, func(w *world) string {
		runs = filepath.Join(w.dir, "runs of the phone")
		return strings.Join([]string{self, phoneWord, w.user("ann").Devices[0].TOTPSecret, "'" + runs + "'"}, " ")
	})
	// AWS begins each time step 3 s before us, in which the program still
	// prints the old code.
	w.set("now=+3s", "drop.GetSessionToken=after:1")
	w.credentials("dev")
	ran := lines(runs)
	if len(ran) != 2 {
		t.Fatalf("the program ran at %v, want two runs", ran)
	}
	var at [2]int64
	for i := range at {
		if at[i], err = strconv.ParseInt(ran[i], 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	// A program that ran across the end of a step may have read either step, and
	// then the later one is waited out: two steps at most.
	if steps := at[1]/phoneStep - at[0]/phoneStep; steps != 1 && (steps != 2 || at[1]%phoneStep > phoneStep/2) {
		t.Errorf("the program ran at %v, want the second run early in a later time step", ran)
	}
	w.codesLoggedOnce()
	if calls := w.log("GetSessionToken"); len(calls) != 2 {
		t.Errorf("%d GetSessionToken calls, want 2", len(calls))
	}
	if s := w.status(); s.Prompts != 0 || len(s.Pending) != 0 {
		t.Errorf("somebody was asked: %+v", s)
	}
}

// TestCommandSeesLittle: no shell, the root directory, the serial number, what
// broker init recorded of the user's session, and nothing that the client or the
// daemon were started with by chance.
func TestCommandSeesLittle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	saw := filepath.Join(w.dir, "saw")
	path := w.script(`{ env; echo "dir=$(pwd)"; for a; do echo "arg=$a"; done; } >` + saw + `.new
mv ` + saw + `.new ` + saw + `
echo 123456`)
	bare := slices.Clone(w.env)
	w.env = append(w.env, "GNUPGHOME="+w.dir+"/keys with blanks", "LC_ALL=C",
		"AWS_PROFILE=canary", "AWS_SESSION_TOKEN=canary", "GODEBUG=canary=1", "LD_LIBRARY_PATH=/canary", "SSL_CERT_FILE=/canary",
		"LC_TOKEN=canary", "MY_TOKEN=canary", "BW_SESSION=canary", "BROKER_MFA_SERIAL=canary")
	w.ready("[profile dev]", "mfa_command = "+path+` '$(id); *' plain`)
	w.env = bare
	w.killDaemon()
	got := w.commandSaw(saw)
	for _, want := range []string{
		"BROKER_MFA_SERIAL=" + w.user("ann").Devices[0].SerialNumber, "HOME=" + w.home, "LC_ALL=C",
		"PATH=" + w.bin + ":" + systemPath(), "GNUPGHOME=" + w.dir + "/keys with blanks",
		"dir=/", "arg=$(id); *", "arg=plain",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("the program did not see %s: %q", want, got)
		}
	}
	for _, line := range got {
		name, _, _ := strings.Cut(line, "=")
		if strings.Contains(line, "canary") || strings.HasPrefix(name, "AWS_") || name == "BROKER_SOCKET" || name == "LC_MESSAGES" {
			t.Errorf("the program saw %s", line)
		}
	}
}

// commandSaw has the helper of an editor start the daemon, and returns what the
// mfa_command of profile dev noted in saw. Hardly any environment is there, and
// what there is, is not the session's.
func (w *world) commandSaw(saw string) []string {
	w.t.Helper()
	socket := w.env[slices.IndexFunc(w.env, func(e string) bool { return strings.HasPrefix(e, "BROKER_SOCKET=") })]
	helper := w.command("broker", "credential-process", "dev")
	helper.Env = []string{
		"HOME=" + w.home, socket, "AWS_SECRET_ACCESS_KEY=canary", "AWS_PROFILE=canary", "GODEBUG=canary=1",
		"LD_LIBRARY_PATH=/canary", "PATH=/canary", "GNUPGHOME=/canary", "LC_MESSAGES=POSIX",
	}
	w.startCommand(helper)
	w.eventually("the program ran", func() error { _, err := os.Stat(saw); return err })
	return lines(saw)
}

// TestCommandWithoutRecord: where the environment was not recorded, or others
// may have written it, the program runs with the little that the daemon knows.
func TestCommandWithoutRecord(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(path string) error{
		"missing": os.Remove,
		"unsafe":  func(path string) error { return os.Chmod(path, 0o666) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			saw := filepath.Join(w.dir, "saw")
			path := w.script("env >" + saw + ".new; mv " + saw + ".new " + saw + "; echo 123456")
			bare := slices.Clone(w.env)
			w.env = append(w.env, "GNUPGHOME="+w.dir)
			w.ready("[profile dev]", "mfa_command = "+path)
			w.env = bare
			w.killDaemon()
			if err := spoil(filepath.Join(w.home, ".config", "broker", "environment")); err != nil {
				t.Fatal(err)
			}
			got := w.commandSaw(saw)
			if !slices.Contains(got, "LC_MESSAGES=POSIX") {
				t.Errorf("the program did not see what the daemon has: %q", got)
			}
			for _, line := range got {
				if strings.Contains(line, "canary") || strings.HasPrefix(line, "GNUPGHOME=") {
					t.Errorf("the program saw %s", line)
				}
			}
			problems := w.status().Problems
			if name == "missing" {
				if len(problems) != 0 {
					t.Errorf("problems: %+v", problems)
				}
				return
			}
			if len(problems) != 1 || problems[0].Code != "config_broken" {
				t.Errorf("problems: %+v", problems)
			}
		})
	}
}

// TestF50CommandFails: the next surface asks, and the log says why without the
// output of the program.
func TestF50CommandFails(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a failure": "echo 987654; exit 3",
		"no code":   "echo touch your key",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := commanded(t, func(w *world) string { return w.script(text) })
			helper := w.start("broker", "credential-process", "dev")
			w.eventually("somebody else is asked", func() error {
				if s := w.status(); s.Prompts != 1 {
					return fmt.Errorf("%+v", s)
				}
				return nil
			})
			w.must(w.run("broker", "mfa", w.code()))
			w.document(helper.wait())
			if log := w.daemonLog(); !strings.Contains(log, "mfa_command gave no code") || strings.Contains(log, "987654") || strings.Contains(log, "touch your") {
				t.Errorf("%s", log)
			}
		})
	}
}

// TestF50CommandHangs: whoever brings a code meanwhile is not held up, and the
// program goes with all that it started.
func TestF50CommandHangs(t *testing.T) {
	t.Parallel()
	var pids string
	w := commanded(t, func(w *world) string {
		pids = filepath.Join(w.dir, "pids")
		return w.script(`sleep 1000 & echo "$$ $!" >` + pids + ".new; mv " + pids + ".new " + pids + "; wait")
	})
	helper := w.start("broker", "credential-process", "dev")
	w.eventually("the program hangs", func() error { _, err := os.Stat(pids); return err })
	begin := time.Now()
	w.must(w.run("broker", "mfa", w.code()))
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("the code was taken after %v", took)
	}
	w.document(helper.wait())
	for _, field := range strings.Fields(lines(pids)[0]) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		w.eventually("process "+field+" of the program ends", func() error {
			if testprograms.Alive(pid) {
				return fmt.Errorf("it runs")
			}
			return nil
		})
	}
}
