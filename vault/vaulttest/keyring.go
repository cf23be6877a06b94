// SPDX-License-Identifier: Apache-2.0

//go:build linux

package vaulttest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/godbus/dbus/v5"
)

// Names of the Secret Service and of gnome-keyring's private interface, which
// takes passwords without a dialog.
const (
	secrets      = "org.freedesktop.secrets"
	secretsPath  = dbus.ObjectPath("/org/freedesktop/secrets")
	serviceIface = "org.freedesktop.Secret.Service."
	collIface    = "org.freedesktop.Secret.Collection."
	guiltIface   = "org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface."
	loginPath    = dbus.ObjectPath("/org/freedesktop/secrets/collection/login")
)

// password is that of the collection "login", which is behind the alias
// "default".
const password = "correct horse"

// Keyring is a real gnome-keyring-daemon with a home of its own, on a private
// bus where nothing can show a dialog. Methods fail the test they were started
// for.
type Keyring struct {
	Address string // of its bus
	Home    string // its HOME

	t      testing.TB
	bus    *Bus
	daemon *process
}

// StartKeyring starts a bus and an unlocked keyring on it, both for the life of
// the test.
func StartKeyring(t testing.TB) *Keyring {
	t.Helper()
	bus, err := StartBus()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bus.Remove(); err != nil {
			t.Error(err)
		}
	})
	return bus.StartKeyring(t)
}

// JoinBus returns a bus that somebody else has started and will stop.
func JoinBus(address string) *Bus { return &Bus{Address: address} }

// StartKeyring starts an unlocked keyring on b for the life of the test.
func (b *Bus) StartKeyring(t testing.TB) *Keyring {
	t.Helper()
	k := &Keyring{Address: b.Address, Home: t.TempDir(), t: t, bus: b}
	if err := os.Mkdir(filepath.Join(k.Home, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	k.Start()
	t.Cleanup(k.Kill)
	return k
}

// Bus returns the keyring's bus.
func (k *Keyring) Bus() *Bus { return k.bus }

// Start starts the daemon, again after Kill: what was stored is still there.
func (k *Keyring) Start() {
	k.t.Helper()
	cmd := exec.Command("gnome-keyring-daemon", "--unlock", "--foreground", "--components=secrets")
	cmd.Env = []string{
		"HOME=" + k.Home, "XDG_RUNTIME_DIR=" + filepath.Join(k.Home, "run"), "PATH=/usr/bin:/bin",
		"DBUS_SESSION_BUS_ADDRESS=" + k.Address,
	}
	cmd.Stdin = strings.NewReader(password)
	var log bytes.Buffer
	cmd.Stderr = &log
	daemon, err := start(cmd)
	if err != nil {
		k.t.Fatalf("start a keyring (apt-get install gnome-keyring): %v", err)
	}
	k.daemon = daemon
	err = poll(func() error {
		if locked, err := k.locked(); err != nil || locked {
			return fmt.Errorf("locked=%v: %w", locked, err)
		}
		return nil
	})
	if err != nil {
		daemon.kill()
		k.t.Fatalf("start a keyring: %v\n%s", err, log.String())
	}
}

// Kill ends the daemon: the Secret Service vanishes from the bus.
func (k *Keyring) Kill() {
	k.daemon.kill()
	// The bus may be gone as well; a connection to it that fails says the same.
	_ = poll(func() error {
		var owned bool
		err := k.call(func(c *dbus.Conn) error {
			return c.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, secrets).Store(&owned)
		})
		if err == nil && owned {
			return errors.New("the name is still owned")
		}
		return nil
	})
}

// PID returns the process of the daemon, for those who kill it in their own time.
func (k *Keyring) PID() int { return k.daemon.cmd.Process.Pid }

// Freeze stops the daemon: it hangs until Thaw.
func (k *Keyring) Freeze() { k.daemon.signal(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (k *Keyring) Thaw() { k.daemon.signal(syscall.SIGCONT) }

// Lock locks the default collection.
func (k *Keyring) Lock() {
	k.t.Helper()
	var locked []dbus.ObjectPath
	var prompt dbus.ObjectPath
	k.must("lock", func(c *dbus.Conn) error {
		return service(c).Call(serviceIface+"Lock", 0, []dbus.ObjectPath{loginPath}).Store(&locked, &prompt)
	})
}

// LockCommand does what Lock does, for those who lock in their own time.
func (k *Keyring) LockCommand() []string {
	return []string{
		"dbus-send", "--bus=" + k.Address, "--print-reply", "--dest=" + secrets, string(secretsPath),
		serviceIface + "Lock", "array:objpath:" + string(loginPath),
	}
}

// Unlock unlocks the default collection, without a dialog.
func (k *Keyring) Unlock() {
	k.t.Helper()
	k.must("unlock", func(c *dbus.Conn) error {
		s, err := plain(c, []byte(password))
		if err != nil {
			return err
		}
		return service(c).Call(guiltIface+"UnlockWithMasterPassword", 0, loginPath, s).Err
	})
}

// Plant stores an item in the default collection as another program would.
func (k *Keyring) Plant(label string, attributes map[string]string, value []byte) {
	k.t.Helper()
	k.must("plant an item", func(c *dbus.Conn) error {
		s, err := plain(c, value)
		if err != nil {
			return err
		}
		var item, prompt dbus.ObjectPath
		return c.Object(secrets, loginPath).Call(collIface+"CreateItem", 0, map[string]dbus.Variant{
			"org.freedesktop.Secret.Item.Label":      dbus.MakeVariant(label),
			"org.freedesktop.Secret.Item.Attributes": dbus.MakeVariant(attributes),
		}, s, false).Store(&item, &prompt)
	})
}

// Labels returns the labels of all items in the default collection.
func (k *Keyring) Labels() []string {
	k.t.Helper()
	return k.labels(loginPath)
}

// labels leaves out an item that is deleted meanwhile: it is listed, and then not
// there to be asked.
func (k *Keyring) labels(collection dbus.ObjectPath) []string {
	k.t.Helper()
	var labels []string
	k.must("list the items", func(c *dbus.Conn) error {
		paths, err := itemsOf(c, collection)
		if err != nil {
			return err
		}
		for _, path := range paths {
			v, err := c.Object(secrets, path).GetProperty("org.freedesktop.Secret.Item.Label")
			if err != nil {
				if left, lerr := itemsOf(c, collection); lerr == nil && !slices.Contains(left, path) {
					continue
				}
				return err
			}
			label, _ := v.Value().(string)
			labels = append(labels, label)
		}
		return nil
	})
	return labels
}

func itemsOf(c *dbus.Conn, collection dbus.ObjectPath) ([]dbus.ObjectPath, error) {
	v, err := c.Object(secrets, collection).GetProperty(collIface + "Items")
	if err != nil {
		return nil, err
	}
	paths, _ := v.Value().([]dbus.ObjectPath)
	return paths, nil
}

// Collections returns the object paths of all collections.
func (k *Keyring) Collections() []dbus.ObjectPath {
	k.t.Helper()
	var paths []dbus.ObjectPath
	k.must("list the collections", func(c *dbus.Conn) error {
		v, err := service(c).GetProperty(serviceIface + "Collections")
		paths, _ = v.Value().([]dbus.ObjectPath)
		return err
	})
	return paths
}

func (k *Keyring) locked() (bool, error) {
	locked := true
	err := k.call(func(c *dbus.Conn) error {
		var path dbus.ObjectPath
		if err := service(c).Call(serviceIface+"ReadAlias", 0, "default").Store(&path); err != nil {
			return err
		}
		v, err := c.Object(secrets, path).GetProperty(collIface + "Locked")
		if err != nil {
			return err
		}
		locked, _ = v.Value().(bool)
		return nil
	})
	return locked, err
}

// call runs f on a connection of its own.
func (k *Keyring) call(f func(*dbus.Conn) error) error {
	conn, err := dbus.Connect(k.Address)
	if err != nil {
		return err
	}
	defer conn.Close()
	return f(conn)
}

func (k *Keyring) must(act string, f func(*dbus.Conn) error) {
	k.t.Helper()
	if err := k.call(f); err != nil {
		k.t.Fatalf("%s: %v", act, err)
	}
}

func service(c *dbus.Conn) dbus.BusObject { return c.Object(secrets, secretsPath) }

// plainValue is the Secret Service's struct for a value in the clear.
type plainValue struct {
	Session     dbus.ObjectPath
	Parameters  []byte
	Value       []byte
	ContentType string
}

func plain(c *dbus.Conn, value []byte) (plainValue, error) {
	v := plainValue{Parameters: []byte{}, Value: value, ContentType: "text/plain"}
	var output dbus.Variant
	err := service(c).Call(serviceIface+"OpenSession", 0, "plain", dbus.MakeVariant("")).Store(&output, &v.Session)
	return v, err
}
