// SPDX-License-Identifier: Apache-2.0

//go:build linux

package vaulttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/godbus/dbus/v5"
)

// patience bounds every wait for a process of this package. Far over what is
// needed: bus and keyring are up in 100 ms on an idle machine.
const patience = 2 * time.Minute

// Bus is a private session bus, which activates nothing: a name that nobody
// owns is unknown.
type Bus struct {
	Address string // "unix:path=/tmp/b-…/bus"
	dir     string

	mu     sync.Mutex
	daemon *process // the latest
}

const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=%s</listen>
  <auth>EXTERNAL</auth>
  <servicedir>%s</servicedir>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
`

// StartBus starts a bus for a TestMain, which has no testing.TB. The caller
// stops it.
func StartBus() (*Bus, error) {
	dir, err := os.MkdirTemp("/tmp", "b-") // the path of a socket has room for little
	if err != nil {
		return nil, err
	}
	b := &Bus{Address: "unix:path=" + filepath.Join(dir, "bus"), dir: dir}
	if err := b.Start(); err != nil {
		_ = os.RemoveAll(dir) // the error that matters is the other
		return nil, err
	}
	return b, nil
}

// Start starts the daemon of a bus, again after Stop, at the same address.
func (b *Bus) Start() error {
	config, socket := filepath.Join(b.dir, "bus.conf"), filepath.Join(b.dir, "bus")
	if err := os.WriteFile(config, fmt.Appendf(nil, busConfig, socket, b.services()), 0o600); err != nil {
		return err
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	cmd := exec.Command("dbus-daemon", "--nofork", "--nopidfile", "--config-file="+config)
	cmd.Env = []string{"HOME=" + b.dir, "PATH=/usr/bin:/bin"}
	var log bytes.Buffer
	cmd.Stderr = &log
	daemon, err := start(cmd)
	if err != nil {
		return fmt.Errorf("start a private bus (apt-get install dbus-daemon): %w", err)
	}
	b.mu.Lock()
	b.daemon = daemon
	b.mu.Unlock()
	err = poll(func() error {
		conn, err := dbus.Connect(b.Address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	if err != nil {
		daemon.kill()
		return fmt.Errorf("start a private bus: %w\n%s", err, log.String())
	}
	return nil
}

// services is the directory of what the bus can activate: there is none, unless
// a test puts something there.
func (b *Bus) services() string {
	return filepath.Join(filepath.Dir(strings.TrimPrefix(b.Address, "unix:path=")), "services")
}

// Stop kills the bus. Whoever is connected to it notices.
func (b *Bus) Stop() { b.latest().kill() }

func (b *Bus) latest() *process {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.daemon
}

// Freeze stops the bus without ending it: whoever calls it hangs until Thaw.
func (b *Bus) Freeze() { b.latest().signal(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (b *Bus) Thaw() { b.latest().signal(syscall.SIGCONT) }

// Remove stops the bus and removes what it had.
func (b *Bus) Remove() error {
	b.Stop()
	return os.RemoveAll(b.dir)
}

// poll tries f until it succeeds or patience is at its end.
func poll(f func() error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience) //nolint:forbidigo // a test kit is where a context begins
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("after %v: %w", patience, err)
		}
	}
}
