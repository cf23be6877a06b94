// SPDX-License-Identifier: Apache-2.0

package keychain_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"credbroker/vault"
	"credbroker/vault/keychain"
)

// fakeService is as much of a Secret Service as unlocking takes: one locked
// collection, and a prompt that ends as it is told to. Real services show a
// dialog there, which nobody in a test could answer.
type fakeService struct {
	conn      *dbus.Conn
	locked    atomic.Bool
	dismissed atomic.Bool

	mu       sync.Mutex
	alias    dbus.ObjectPath // of the default collection
	prompted func()          // called when a prompt is shown; does what a user would
}

// onPrompt sets what happens when a prompt is shown.
func (f *fakeService) onPrompt(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.prompted = do
}

func (f *fakeService) setAlias(path dbus.ObjectPath) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.alias = path
}

const (
	fakeCollection = dbus.ObjectPath("/org/freedesktop/secrets/collection/Default_5fkeyring")
	fakePrompt     = dbus.ObjectPath("/org/freedesktop/secrets/prompt/p1")
)

func startFake(t *testing.T) *fakeService {
	t.Helper()
	conn, err := dbus.Connect(os.Getenv("KEYCHAIN_TEST_BUS"))
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	f := &fakeService{conn: conn, alias: fakeCollection}
	f.locked.Store(true)
	must(t, conn.Export(fakeRoot{f}, "/org/freedesktop/secrets", "org.freedesktop.Secret.Service"))
	must(t, conn.Export(fakeProperties{f}, "/org/freedesktop/secrets", "org.freedesktop.DBus.Properties"))
	must(t, conn.Export(fakeProperties{f}, fakeCollection, "org.freedesktop.DBus.Properties"))
	must(t, conn.Export(fakePrompts{f}, fakePrompt, "org.freedesktop.Secret.Prompt"))
	reply, err := conn.RequestName("org.freedesktop.secrets", dbus.NameFlagDoNotQueue)
	must(t, err)
	if reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("own the service's name: %v", reply)
	}
	return f
}

// complete ends the prompt.
func (f *fakeService) complete(dismissed bool) {
	_ = f.conn.Emit(fakePrompt, "org.freedesktop.Secret.Prompt.Completed", dismissed, dbus.MakeVariant([]dbus.ObjectPath{}))
}

type fakeRoot struct{ *fakeService }

func (f fakeRoot) ReadAlias(string) (dbus.ObjectPath, *dbus.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.alias, nil
}

func (f fakeRoot) OpenSession(string, dbus.Variant) (dbus.Variant, dbus.ObjectPath, *dbus.Error) {
	return dbus.MakeVariant(""), "/org/freedesktop/secrets/session/s1", nil
}

func (f fakeRoot) Unlock([]dbus.ObjectPath) ([]dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
	return []dbus.ObjectPath{}, fakePrompt, nil
}

type fakeProperties struct{ *fakeService }

func (f fakeProperties) Get(_, name string) (dbus.Variant, *dbus.Error) {
	if name == "Collections" {
		return dbus.MakeVariant([]dbus.ObjectPath{fakeCollection}), nil
	}
	return dbus.MakeVariant(f.locked.Load()), nil
}

type fakePrompts struct{ *fakeService }

func (f fakePrompts) Prompt(string) *dbus.Error {
	f.mu.Lock()
	defer f.mu.Unlock()
	go f.prompted()
	return nil
}

func (f fakePrompts) Dismiss() *dbus.Error {
	f.dismissed.Store(true)
	return nil
}

// The user answers the dialog. The collection's path has an escape in it, as
// those of gnome-keyring do, which the library decodes.
func TestF17PromptAnswered(t *testing.T) {
	f := startFake(t)
	f.onPrompt(func() {
		f.locked.Store(false)
		f.complete(false)
	})
	if _, err := keychain.Open(t.Context(), serviceConfig()); err != nil {
		t.Errorf("open: %v", err)
	}
}

// F18: the user cancels the dialog.
func TestF18PromptDismissed(t *testing.T) {
	f := startFake(t)
	f.onPrompt(func() { f.complete(true) })
	if _, err := keychain.Open(t.Context(), serviceConfig()); !errors.Is(err, vault.ErrDenied) {
		t.Errorf("open: %v, want ErrDenied", err)
	}
}

// A service that says that it was answered, and stays locked.
func TestPromptAnsweredInVain(t *testing.T) {
	f := startFake(t)
	f.onPrompt(func() { f.complete(false) })
	if _, err := keychain.Open(t.Context(), serviceConfig()); !errors.Is(err, vault.ErrLocked) {
		t.Errorf("open: %v, want ErrLocked", err)
	}
}

// F19: nobody answers the dialog. It is taken down again.
func TestF19PromptUnanswered(t *testing.T) {
	f := startFake(t)
	f.onPrompt(func() {})
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := keychain.Open(ctx, serviceConfig()); !errors.Is(err, vault.ErrTimeout) {
		t.Errorf("open: %v, want ErrTimeout", err)
	}
	deadline, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	for !f.dismissed.Load() && deadline.Err() == nil {
		must(t, f.conn.BusObject().Call("org.freedesktop.DBus.GetId", 0).Err) // as good as a short wait
	}
	if !f.dismissed.Load() {
		t.Error("the dialog stays up")
	}
}

// F20: the service dies while its dialog is up.
func TestF20ServiceDiesDuringPrompt(t *testing.T) {
	f := startFake(t)
	f.onPrompt(func() { f.conn.Close() })
	if _, err := keychain.Open(t.Context(), serviceConfig()); !errors.Is(err, vault.ErrGone) {
		t.Errorf("open: %v, want ErrGone", err)
	}
}

func TestNoDefaultCollection(t *testing.T) {
	f := startFake(t)
	for path, want := range map[dbus.ObjectPath]error{"/": vault.ErrGone, "/somewhere/else": vault.ErrFailed} {
		f.setAlias(path)
		if _, err := keychain.Open(t.Context(), serviceConfig()); !errors.Is(err, want) {
			t.Errorf("alias %s: %v, want %v", path, err, want)
		}
	}
}
