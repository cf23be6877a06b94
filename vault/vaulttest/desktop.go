// SPDX-License-Identifier: Apache-2.0

//go:build stores

package vaulttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// prompter is the name of what shows gnome-keyring's dialogs.
const prompter = "org.gnome.keyring.SystemPrompter"

// Desktop is an X server and a home of its own on a private bus: room for the
// stores of desktops and their dialogs. Methods fail the test it was made for.
type Desktop struct {
	Home string

	t   testing.TB
	bus *Bus
	env []string
}

// NewDesktop starts an X server for the life of the test.
func (b *Bus) NewDesktop(t testing.TB) *Desktop {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	x := exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", "900x600x24", "-nolisten", "tcp")
	x.ExtraFiles = []*os.File{write}
	server, err := start(x)
	_ = write.Close() // the server has its own
	if err != nil {
		t.Fatalf("start an X server (apt-get install xvfb): %v", err)
	}
	t.Cleanup(server.kill)
	var number [16]byte
	n, err := read.Read(number[:])
	if err != nil {
		t.Fatal(err)
	}
	d := &Desktop{Home: t.TempDir(), t: t, bus: b}
	d.env = []string{
		"HOME=" + d.Home, "XDG_RUNTIME_DIR=" + filepath.Join(d.Home, "run"), "PATH=/usr/bin:/bin", "LANG=C.UTF-8",
		"DBUS_SESSION_BUS_ADDRESS=" + b.Address, "DISPLAY=:" + strings.TrimSpace(string(number[:n])), "NO_AT_BRIDGE=1",
		"TMPDIR=" + filepath.Join(d.Home, "run"),
	}
	for _, dir := range []string{"run", ".config/keepassxc"} {
		if err := os.MkdirAll(filepath.Join(d.Home, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// Process is a program of a desktop.
type Process struct{ *process }

// Freeze stops the program: whoever calls it hangs until Thaw.
func (p Process) Freeze() { p.signal(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (p Process) Thaw() { p.signal(syscall.SIGCONT) }

// Kill ends the program as the system does.
func (p Process) Kill() { p.kill() }

// Quit asks the program to end, and ends it if it has not done so after the time
// that it needs to save what it has.
func (p Process) Quit() {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second): //nolint:forbidigo // a test kit has no clock but this
		p.kill()
	}
}

// Start starts a program for the life of the test.
func (d *Desktop) Start(stdin io.Reader, name string, args ...string) Process {
	d.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Stdin = d.env, stdin
	p, err := start(cmd)
	if err != nil {
		d.t.Fatalf("start %s: %v", name, err)
	}
	d.t.Cleanup(p.kill)
	return Process{p}
}

// Run runs a program to its end and returns what it printed.
func (d *Desktop) Run(stdin, name string, args ...string) string {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Stdin = d.env, strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		d.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// OfferPrompter lets the bus start the program that shows gnome-keyring's
// dialogs, as on a desktop: it comes when it is needed, and goes.
func (d *Desktop) OfferPrompter() {
	d.t.Helper()
	if err := os.MkdirAll(d.bus.services(), 0o700); err != nil {
		d.t.Fatal(err)
	}
	write(d.t, filepath.Join(d.bus.services(), prompter+".service"),
		"[D-BUS Service]\nName="+prompter+"\nExec=/usr/bin/env "+strings.Join(d.env, " ")+" /usr/libexec/gcr-prompter\n", 0o600)
	err := d.call(func(c *dbus.Conn) error { return c.BusObject().Call("org.freedesktop.DBus.ReloadConfig", 0).Err })
	if err != nil {
		d.t.Fatal(err)
	}
}

// Prompter returns the number of the program that shows a dialog now.
func (d *Desktop) Prompter() int {
	d.t.Helper()
	return d.awaitName(prompter)
}

// StartKeePassXC starts a KeePassXC whose database, open, serves the Secret
// Service; again after Kill it is the same database.
func (d *Desktop) StartKeePassXC() Process {
	d.t.Helper()
	db := filepath.Join(d.Home, "broker.kdbx")
	if _, err := os.Stat(db); err != nil {
		write(d.t, filepath.Join(d.Home, ".config/keepassxc/keepassxc.ini"), `[General]
ConfigVersion=2
SingleInstance=false
AutoSaveAfterEveryChange=true
UpdateCheckMessageShown=true
[GUI]
CheckForUpdates=false
[FdoSecrets]
Enabled=true
ConfirmAccessItem=false
ConfirmDeleteItem=false
ShowNotification=false
`, 0o600)
		seed := filepath.Join(d.Home, "seed.xml")
		write(d.t, seed, `<?xml version="1.0" encoding="utf-8"?>
<KeePassFile><Meta><Generator>test</Generator><DatabaseName>broker</DatabaseName><CustomData>
<Item><Key>FDO_SECRETS_EXPOSED_GROUP</Key><Value>{7b1c9d0e-53a2-4f68-8e11-90ab12cd34ef}</Value></Item>
</CustomData></Meta><Root><Group><UUID>exydDlOiT2iOEZCrEs007w==</UUID><Name>Root</Name></Group></Root></KeePassFile>
`, 0o600)
		d.Run(password+"\n"+password+"\n", "keepassxc-cli", "import", "-q", "-p", seed, db)
	}
	p := d.Start(strings.NewReader(password+"\n"), "keepassxc", "--pw-stdin", db)
	d.awaitUnlocked()
	return p
}

// StartKWallet starts a KWallet that serves the Secret Service with the wallet
// kdewallet, which it makes at the first time, by its own wizard.
func (d *Desktop) StartKWallet() Process {
	d.t.Helper()
	write(d.t, filepath.Join(d.Home, ".config/kwalletrc"), `[Wallet]
Enabled=true
First Use=false
Default Wallet=kdewallet
[org.freedesktop.secrets]
apiEnabled=true
`, 0o600)
	p := d.Start(nil, "kwalletd5")
	d.awaitName("org.kde.kwalletd5")
	d.openWallet()
	return p
}

// AwaitWallet waits until KWallet has written its wallet: it takes its time, and
// what it was given since is lost if it ends before.
func (d *Desktop) AwaitWallet() {
	d.t.Helper()
	path := filepath.Join(d.Home, ".local/share/kwalletd/kdewallet.kwl")
	before, err := os.Stat(path)
	if err != nil {
		d.t.Fatal(err)
	}
	d.poll("the wallet is written", func() error {
		now, err := os.Stat(path)
		if err == nil && now.ModTime().Equal(before.ModTime()) {
			err = errors.New("it is as before")
		}
		return err
	})
}

// openWallet opens the wallet, as a login does. The wizard and the dialogs have
// no names to go by: the points are those of the buttons on this screen.
func (d *Desktop) openWallet() {
	d.t.Helper()
	_, err := os.Stat(filepath.Join(d.Home, ".local/share/kwalletd/kdewallet.kwl"))
	made := err == nil
	opened := make(chan error, 1)
	go func() {
		opened <- d.call(func(c *dbus.Conn) error {
			var handle int32
			err := c.Object("org.kde.kwalletd5", "/modules/kwalletd5").Call("org.kde.KWallet.open", 0, "kdewallet", int64(0), "test").Store(&handle)
			if err == nil && handle < 0 {
				err = errors.New("KWallet did not open its wallet")
			}
			return err
		})
	}()
	steps := [][]string{{"type", "--delay", "30", password}, {"key", "Return"}}
	if !made {
		steps = [][]string{
			{"mousemove", "298", "246", "click", "1"}, // "Classic"
			{"mousemove", "552", "416", "click", "1"}, // "Finish"
			nil,
			{"type", "--delay", "30", password},
			{"key", "Tab"},
			{"type", "--delay", "30", password},
			{"key", "Return"},
			nil,
			{"key", "Return"}, // the password is weak
		}
	}
	pause := func() { <-time.After(2 * time.Second) } //nolint:forbidigo // dialogs that nobody can ask whether they are up
	pause()
	for _, step := range steps {
		if step == nil {
			pause()
			continue
		}
		d.Run("", "xdotool", step...)
		<-time.After(500 * time.Millisecond) //nolint:forbidigo // as above
	}
	select {
	case err := <-opened:
		if err != nil {
			d.t.Fatal(err)
		}
	case <-time.After(patience): //nolint:forbidigo // a test kit has no clock but this
		d.t.Fatal("KWallet's dialogs were not answered")
	}
}

// Answer types into the dialog that is up, once it is: the password and Return,
// or any key of xdotool's.
func (d *Desktop) Answer(keys ...string) {
	d.t.Helper()
	id := d.AwaitDialog()
	d.Run("", "xdotool", "windowfocus", id)
	for _, key := range keys {
		if key == "password" {
			d.Run("", "xdotool", "type", "--delay", "30", password)
			continue
		}
		d.Run("", "xdotool", "key", key)
	}
}

// AwaitDialog waits until a dialog is up and returns its window.
func (d *Desktop) AwaitDialog() string {
	d.t.Helper()
	var id string
	d.poll("a dialog is up", func() error {
		ids := d.Dialogs()
		if len(ids) == 0 {
			return errors.New("there is none")
		}
		id = ids[len(ids)-1]
		return nil
	})
	return id
}

// Dialogs returns the windows that are shown and large enough for a dialog.
func (d *Desktop) Dialogs() []string {
	cmd := exec.Command("xdotool", "search", "--onlyvisible", "--name", ".")
	cmd.Env = d.env
	out, err := cmd.Output() // it fails when there is none
	if err != nil {
		return nil
	}
	return strings.Fields(string(out))
}

// Env returns the environment of the desktop's programs.
func (d *Desktop) Env() []string { return d.env }

// Lock locks the default collection.
func (d *Desktop) Lock() {
	d.t.Helper()
	err := d.call(func(c *dbus.Conn) error {
		var path, prompt dbus.ObjectPath
		var locked []dbus.ObjectPath
		if err := service(c).Call(serviceIface+"ReadAlias", 0, "default").Store(&path); err != nil {
			return err
		}
		if err := service(c).Call(serviceIface+"Lock", 0, []dbus.ObjectPath{path}).Store(&locked, &prompt); err != nil {
			return err
		}
		if prompt == "/" {
			return nil
		}
		return c.Object(secrets, prompt).Call(promptIface+".Prompt", 0, "").Err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	d.poll("the store is locked", func() error {
		locked, err := d.locked()
		if err == nil && !locked {
			err = errors.New("it is not")
		}
		return err
	})
}

func (d *Desktop) locked() (bool, error) {
	return (&Keyring{Address: d.bus.Address}).locked()
}

func (d *Desktop) awaitUnlocked() {
	d.t.Helper()
	d.poll("the store is open", func() error {
		locked, err := d.locked()
		if err == nil && locked {
			err = errors.New("it is locked")
		}
		return err
	})
}

// awaitName waits until somebody owns a name, and returns the process.
func (d *Desktop) awaitName(name string) int {
	d.t.Helper()
	var pid uint32
	d.poll(name+" is on the bus", func() error {
		return d.call(func(c *dbus.Conn) error {
			return c.BusObject().Call("org.freedesktop.DBus.GetConnectionUnixProcessID", 0, name).Store(&pid)
		})
	})
	return int(pid)
}

func (d *Desktop) call(f func(*dbus.Conn) error) error {
	return (&Keyring{Address: d.bus.Address}).call(f)
}

func (d *Desktop) poll(what string, f func() error) {
	d.t.Helper()
	if err := poll(f); err != nil {
		picture := filepath.Join(os.TempDir(), "broker-stores-"+strconv.Itoa(os.Getpid())+".xwd")
		var complaint bytes.Buffer
		shot := exec.Command("xwd", "-root", "-silent", "-out", picture)
		shot.Env, shot.Stderr = d.env, &complaint
		if shot.Run() == nil {
			what = fmt.Sprintf("%s (the screen is in %s)", what, picture)
		}
		d.t.Fatalf("%s: %v", what, err)
	}
}
