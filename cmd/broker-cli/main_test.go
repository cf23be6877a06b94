// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"credbroker/internal/testprograms"
	"credbroker/vault/vaulttest"
)

// patience bounds every wait of these tests, in seconds. A loaded machine is
// slow; nothing here should take that long.
const patience = 120

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

// programsVariable tells the tests where the programs are.
const programsVariable = "BROKER_TEST_PROGRAMS"

// buildAndRun builds the real programs once: the scripts test what users run.
func buildAndRun(m *testing.M) int {
	dir, err := testprograms.Build()
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }() // a temporary directory
		err = os.Setenv(programsVariable, dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	status := m.Run()
	for _, line := range testprograms.End(dir) {
		fmt.Fprintln(os.Stderr, "left running:", line)
		status = max(status, 1)
	}
	return status
}

// TestScripts runs every scenario of testdata/script in a home of its own, with
// the real brokerd and broker-vault and a pretend AWS account.
func TestScripts(t *testing.T) {
	t.Parallel()
	runScripts(t, "testdata/script", setupScript)
}

// TestKeyringScripts runs the scenarios that need a desktop's keyring: a real
// one, on a bus of its own.
func TestKeyringScripts(t *testing.T) {
	t.Parallel()
	if ownBus() {
		t.Skip("this user has a session bus in /run/user, which the programs prefer: it is not for tests")
	}
	keyring := vaulttest.StartKeyring(t)
	runScripts(t, "testdata/keyring", func(env *testscript.Env) error {
		env.Setenv("DBUS_SESSION_BUS_ADDRESS", keyring.Address)
		env.Values["keyring"] = keyring
		return setupScript(env)
	})
}

// ownBus reports whether the programs would find the real session bus.
func ownBus() bool {
	_, err := os.Lstat(filepath.Join("/run/user", strconv.Itoa(os.Getuid()), "bus"))
	return err == nil
}

func runScripts(t *testing.T, dir string, setup func(*testscript.Env) error) {
	testscript.Run(t, testscript.Params{
		Dir:                dir,
		Setup:              setup,
		RequireUniqueNames: true,
		Condition: func(name string) (bool, error) {
			switch name {
			case "autostart":
				return autostart(), nil
			case "bus":
				return ownBus(), nil
			case "root":
				return os.Getuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"sandbox": cmdSandbox,
			"ready":   cmdReady,
			"code":    cmdCode,
			"exits":   cmdExits,
			"pty":     cmdPTY,
			"pending": cmdPending,
			"daemon":  cmdDaemon,
			"perm":    cmdPerm,
			"expand":  cmdExpand,
			"capture": cmdCapture,
			"keyring": cmdKeyring,
			"shelve":  cmdShelve,
		},
	})
}

func programs() string { return os.Getenv(programsVariable) }

// setupScript makes a home without anything in it. Sockets go to a directory
// of a short name: their paths may have 100 bytes.
func setupScript(env *testscript.Env) error {
	run, err := os.MkdirTemp("/tmp", "b-")
	if err != nil {
		return err
	}
	socket := filepath.Join(run, "broker.sock")
	// Programs of its own, so that a daemon which nobody finds at the socket
	// any more is known to be this script's.
	bin := filepath.Join(run, "bin")
	env.Defer(func() {
		killDaemon(socket)
		testprograms.End(bin)
		_ = os.RemoveAll(run) // a temporary directory
	})
	if err := testprograms.Link(programs(), bin); err != nil {
		return err
	}
	home := filepath.Join(env.WorkDir, "home")
	if err := os.MkdirAll(filepath.Join(home, ".aws"), 0o700); err != nil {
		return err
	}
	env.Setenv("HOME", home)
	env.Setenv("BROKER_SOCKET", socket)
	env.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	env.Setenv("BIN", bin)
	env.Setenv("TZ", "UTC")
	env.Setenv("LANG", "C.UTF-8")
	if dir := os.Getenv("GOCOVERDIR"); dir != "" {
		env.Setenv("GOCOVERDIR", dir)
	}
	return nil
}
