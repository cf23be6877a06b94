// SPDX-License-Identifier: Apache-2.0

//go:build !windows

package keychain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"credbroker/vault"
)

// gpgDrain is how long output is read after gpg has ended: an agent that it
// started must not hold up the answer.
const gpgDrain = time.Second

// gpg tells whether GnuPG decrypts without asking, and lets it ask. It never
// sees a secret: what is decrypted is the canary, into nothing.
type gpg struct {
	path  string   // absolute
	quiet []string // the environment of a call that must not ask
	loud  []string // the environment of one that may
}

// findGPG returns the gpg that pass will use, from the directories that the
// worker's PATH has.
func findGPG(c Config) (gpg, error) {
	g := gpg{quiet: c.Environ, loud: append(slices.Clone(c.Environ), c.Session...)}
	for _, name := range []string{"gpg2", "gpg"} { // in the order of pass
		for _, dir := range systemDirs() {
			g.path = filepath.Join(dir, name)
			if _, err := os.Stat(g.path); err == nil {
				return g, checkProgram(g.path)
			}
		}
	}
	return gpg{}, &vault.Error{
		Kind: vault.ErrGone, Text: fmt.Sprintf("there is no gpg in %s", strings.Join(systemDirs(), ", ")),
		Hint: "install GnuPG there",
	}
}

// systemDirs are where programs are taken from; ipc.WorkerEnv has the same.
func systemDirs() []string { return []string{"/usr/local/bin", "/usr/bin", "/bin"} }

// try decrypts a file without asking.
func (g gpg) try(ctx context.Context, path string) error {
	said, err := g.decrypt(ctx, g.quiet, path, "--pinentry-mode=error")
	switch {
	case err != nil || said.decrypted:
		return err
	case !said.encrypted:
		return &vault.Error{Kind: vault.ErrCorrupt, Text: "the vault's canary " + path + " is damaged", Hint: "delete that file, then: broker init"}
	}
	return &vault.Error{Kind: vault.ErrLocked, Text: "the password store is locked", Hint: passHint}
}

// passHint unlocks where a dialog can not be shown.
const passHint = "unlock it in a terminal, and try again: pass show " + passFolder + "/" + canaryName

// ask decrypts a file and lets GnuPG ask for the passphrase, until ctx ends.
func (g gpg) ask(ctx context.Context, path string) error {
	said, err := g.decrypt(ctx, g.loud, path)
	switch {
	case errors.Is(err, vault.ErrTimeout):
		return &vault.Error{Kind: vault.ErrTimeout, Text: "nobody answered GnuPG's dialog", Hint: passHint}
	case err != nil:
		return err
	case !said.decrypted && said.asked && g.canShow():
		return &vault.Error{Kind: vault.ErrDenied, Text: "GnuPG's dialog was cancelled, or not answered with the passphrase"}
	case !said.decrypted:
		return &vault.Error{Kind: vault.ErrLocked, Text: "the password store is locked, and GnuPG cannot ask for the passphrase here", Hint: passHint}
	}
	// What was given once must have been kept: the library may not ask again.
	err = g.try(ctx, path)
	if errors.Is(err, vault.ErrLocked) {
		err = &vault.Error{
			Kind: vault.ErrLocked, Text: "gpg-agent did not keep the passphrase",
			Hint: "raise default-cache-ttl in gpg-agent.conf above 60, and try again",
		}
	}
	return err
}

// canShow reports whether there is a place for a dialog.
func (g gpg) canShow() bool {
	return slices.ContainsFunc(g.loud, func(entry string) bool {
		name, value, _ := strings.Cut(entry, "=")
		return value != "" && slices.Contains([]string{"DISPLAY", "WAYLAND_DISPLAY", "GPG_TTY"}, name)
	})
}

// gpgStatus is what of gpg's status lines counts. Version 2.2 says no more
// about why it did not decrypt.
// https://github.com/gpg/gnupg/blob/master/doc/DETAILS
type gpgStatus struct {
	encrypted, asked, decrypted bool
}

// decrypt runs gpg on one file. An error says that it did not answer.
func (g gpg) decrypt(ctx context.Context, env []string, path string, more ...string) (gpgStatus, error) {
	args := append([]string{"--batch", "--no-tty", "--quiet", "--yes", "--status-fd=1", "--output=/dev/null"}, more...)
	cmd := exec.CommandContext(ctx, g.path, append(args, "--decrypt", path)...)
	cmd.Env, cmd.Dir, cmd.WaitDelay = env, "/", gpgDrain
	if cmd.Env == nil {
		cmd.Env = []string{} // nil would hand on whatever this process has
	}
	out, err := cmd.Output()
	if ctx.Err() != nil {
		if errors.Is(ctx.Err(), context.Canceled) {
			return gpgStatus{}, fmt.Errorf("decrypt with %s: %w", g.path, ctx.Err())
		}
		return gpgStatus{}, &vault.Error{Kind: vault.ErrTimeout, Text: "gpg did not answer in time", Hint: "restart gpg-agent: gpgconf --kill gpg-agent"}
	}
	var status *exec.ExitError
	if err != nil && !errors.As(err, &status) {
		return gpgStatus{}, &vault.Error{Kind: vault.ErrGone, Text: "run " + g.path, Err: err}
	}
	has := func(word string) bool { return bytes.Contains(out, []byte("[GNUPG:] "+word)) }
	return gpgStatus{encrypted: has("ENC_TO "), asked: has("PINENTRY_LAUNCHED "), decrypted: err == nil && has("DECRYPTION_OKAY")}, nil
}

// checkProgram refuses a program that somebody else than root could replace.
func checkProgram(path string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return &vault.Error{Kind: vault.ErrGone, Text: path + " is not installed", Hint: "install it"}
		}
		return fileError("look at "+path, err)
	}
	for _, p := range []string{real, filepath.Dir(real)} {
		info, err := os.Stat(p)
		if err != nil {
			return fileError("look at "+path, err)
		}
		if owner(info) != 0 || info.Mode().Perm()&0o002 != 0 || !info.IsDir() && info.Mode().Perm()&0o020 != 0 {
			return unsafe(p, "could be replaced by others than root", "install pass and GnuPG from the system's packages")
		}
	}
	return nil
}
