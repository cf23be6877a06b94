// SPDX-License-Identifier: Apache-2.0

//go:build linux

package vaulttest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// PasswordStore is a real password store: pass, GnuPG, and a key with a
// passphrase, in a home of their own. Methods fail the test it was made for.
type PasswordStore struct {
	Dir       string // PASSWORD_STORE_DIR
	GnuPGHome string // GNUPGHOME

	t testing.TB
}

// phrase is the passphrase of the key.
const phrase = "correct horse"

// The answers of a pinentry, for Answer.
const (
	AnswerRight  = "echo 'D " + phrase + "'; echo OK"
	AnswerWrong  = "echo 'D battery staple'; echo OK"
	AnswerCancel = "echo 'ERR 83886179 Operation cancelled <Pinentry>'"
	AnswerNever  = ": >\"$0.shown\"; while read -r line; do :; done" // until its agent ends
)

// NewPasswordStore makes a password store for the life of the test. It is
// unlocked.
func NewPasswordStore(t testing.TB) *PasswordStore {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "b-gpg-") // the agent's socket is in it: its path has room for little
	if err != nil {
		t.Fatal(err)
	}
	s := &PasswordStore{Dir: filepath.Join(dir, "store"), GnuPGHome: filepath.Join(dir, "gnupg"), t: t}
	if err := os.Mkdir(s.GnuPGHome, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Thaw()
		s.gpg("gpgconf", "--kill", "gpg-agent")
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	write(t, s.pinentry(), "#!/bin/sh\n", 0o700)
	s.Answer(AnswerCancel)
	// Each use of the key would take a tenth of a second of pure computing.
	write(t, filepath.Join(s.GnuPGHome, "gpg-agent.conf"), "pinentry-program "+s.pinentry()+"\ns2k-count 65536\n", 0o600)
	batch := []string{"--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", phrase}
	s.gpg("gpg", append(batch, "--quick-gen-key", "ann <ann@example.invalid>", "future-default", "default", "never")...)
	s.gpg("pass", "init", s.fingerprint())
	s.Unlock()
	return s
}

// Insert stores a text under a name, as another program would.
func (s *PasswordStore) Insert(name string, value []byte) {
	s.t.Helper()
	cmd := exec.Command("pass", "insert", "--multiline", "--force", name)
	cmd.Env = append([]string{"HOME=" + filepath.Dir(s.Dir), "PATH=/usr/bin:/bin"}, s.Environ()...)
	cmd.Stdin = bytes.NewReader(value)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("pass insert %s: %v\n%s", name, err, out)
	}
}

// Environ returns the variables that lead pass and gpg to this store.
func (s *PasswordStore) Environ() []string {
	return []string{"PASSWORD_STORE_DIR=" + s.Dir, "GNUPGHOME=" + s.GnuPGHome}
}

// Answer sets how the pinentry answers from now on: the lines of a shell script
// that are run when it is asked for the passphrase.
func (s *PasswordStore) Answer(script string) {
	s.t.Helper()
	write(s.t, s.pinentry(), `#!/bin/sh
echo OK ready
while read -r line; do
	case $line in
	GETPIN*) echo x >>"$0.asked"; `+script+` ;;
	BYE*) echo OK; exit ;;
	*) echo OK ;;
	esac
done
`, 0o700)
}

// Asked returns how often the pinentry was asked for the passphrase.
func (s *PasswordStore) Asked() int {
	data, err := os.ReadFile(s.pinentry() + ".asked")
	if err != nil {
		return 0
	}
	return bytes.Count(data, []byte("\n"))
}

// Lock makes the agent forget the passphrase.
func (s *PasswordStore) Lock() {
	s.t.Helper()
	s.gpg("gpg-connect-agent", "reloadagent", "/bye")
}

// Unlock has the agent keep the passphrase.
func (s *PasswordStore) Unlock() {
	s.t.Helper()
	probe := filepath.Join(s.GnuPGHome, "probe.gpg")
	s.gpg("gpg", "--batch", "--yes", "--quiet", "--recipient", s.fingerprint(), "--output", probe, "--encrypt", filepath.Join(s.GnuPGHome, "gpg-agent.conf"))
	before, err := os.ReadFile(s.pinentry())
	if err != nil {
		s.t.Fatal(err)
	}
	s.Answer(AnswerRight)
	s.gpg("gpg", "--batch", "--yes", "--quiet", "--output", "/dev/null", "--decrypt", probe)
	write(s.t, s.pinentry(), string(before), 0o700)
}

// Freeze stops the agent: whoever needs it hangs until Thaw.
func (s *PasswordStore) Freeze() {
	s.t.Helper()
	err := poll(func() error { // one may come, or go, while another is stopped
		agents := s.signal(syscall.SIGSTOP)
		if len(agents) == 0 {
			return errors.New("there is no gpg-agent to stop")
		}
		for _, pid := range agents {
			if err := stopped(pid); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// stopped reports whether each thread of a process is stopped. On a busy machine
// they go on for a while after it was sent the signal: until they run and find it.
func stopped(pid int) error {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err == nil && len(tasks) == 0 {
		err = fs.ErrNotExist
	}
	if err != nil {
		return err
	}
	for _, task := range tasks {
		stat, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has ended
		}
		_, state, _ := bytes.Cut(stat, []byte(") ")) // its name stands before it
		if !bytes.HasPrefix(state, []byte("T")) {
			return fmt.Errorf("process %d is in state %.1s", pid, state)
		}
	}
	return nil
}

// Thaw ends Freeze.
func (s *PasswordStore) Thaw() { s.signal(syscall.SIGCONT) }

// signal sends a signal to the agent of this home, found by its command line:
// a frozen one cannot be asked for its number. It returns whom it was sent to.
func (s *PasswordStore) signal(sig syscall.Signal) (agents []int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil || !bytes.HasPrefix(line, []byte("gpg-agent\x00")) || !bytes.Contains(line, []byte(s.GnuPGHome+"\x00")) {
			continue
		}
		if syscall.Kill(pid, sig) == nil { // else it has ended
			agents = append(agents, pid)
		}
	}
	return agents
}

func (s *PasswordStore) pinentry() string { return filepath.Join(s.GnuPGHome, "pinentry") }

// fingerprint returns that of the only key.
func (s *PasswordStore) fingerprint() string {
	lines := bufio.NewScanner(strings.NewReader(s.gpg("gpg", "--batch", "--with-colons", "--list-secret-keys")))
	for lines.Scan() {
		if fields := strings.Split(lines.Text(), ":"); fields[0] == "fpr" {
			return fields[9]
		}
	}
	s.t.Fatal("GnuPG made no key")
	return ""
}

// gpg runs a program in this home and returns what it printed.
func (s *PasswordStore) gpg(name string, args ...string) string {
	s.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append([]string{"HOME=" + filepath.Dir(s.Dir), "PATH=/usr/bin:/bin"}, s.Environ()...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("%s %s (apt-get install pass gnupg): %v\n%s", name, strings.Join(args, " "), err, complaints.String())
	}
	return string(out)
}

// write replaces a file: a program that runs goes on with the old one.
func write(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	temp := path + ".new"
	syscall.ForkLock.RLock() // who inherits an open program keeps it from being run (ETXTBSY)
	err := os.WriteFile(temp, []byte(text), mode)
	syscall.ForkLock.RUnlock()
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		t.Fatal(fmt.Errorf("write %s: %w", path, err))
	}
}
