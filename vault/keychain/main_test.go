// SPDX-License-Identifier: Apache-2.0

//go:build linux

package keychain_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"credbroker/vault/vaulttest"
)

// TestMain runs the tests in a second process, on a private session bus: the
// library dials the bus before main, and only once.
func TestMain(m *testing.M) {
	if os.Getenv("KEYCHAIN_TEST_BUS") != "" {
		os.Exit(m.Run())
	}
	os.Exit(underBus())
}

func underBus() int {
	bus, err := vaulttest.StartBus()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := bus.Remove(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), "KEYCHAIN_TEST_BUS="+bus.Address, "DBUS_SESSION_BUS_ADDRESS="+bus.Address, "DISABLE_KWALLET=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// startKeyring starts a real keyring on the bus of this process. One at a time
// can be there, so these tests are not parallel.
func startKeyring(t *testing.T) *vaulttest.Keyring {
	t.Helper()
	return vaulttest.JoinBus(os.Getenv("KEYCHAIN_TEST_BUS")).StartKeyring(t)
}
