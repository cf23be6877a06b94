// SPDX-License-Identifier: Apache-2.0

//go:build linux

package vaulttest

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
)

const (
	fakeCollection = dbus.ObjectPath("/org/freedesktop/secrets/collection/Default_5fkeyring")
	fakePrompt     = dbus.ObjectPath("/org/freedesktop/secrets/prompt/p1")
	itemIface      = "org.freedesktop.Secret.Item"
	promptIface    = "org.freedesktop.Secret.Prompt"
	properties     = "org.freedesktop.DBus.Properties"
)

// Service is a Secret Service for what no real one does when asked to: hang,
// lie, die at a chosen instant, show a prompt that a test answers. It has one
// collection, unlocked and empty at first.
type Service struct {
	t         testing.TB
	mu        sync.Mutex
	conn      *dbus.Conn      // the latest
	alias     dbus.ObjectPath // of the default collection
	locked    bool
	lie       Lie
	items     map[dbus.ObjectPath]*fakeItem
	made      int
	prompts   int
	dismissed bool
	prompted  func() // called when a prompt is shown; does what a user would
	held      chan struct{}
	waiting   int // calls that are held
}

type fakeItem struct {
	attributes map[string]string
	value      plainValue
}

// StartService starts a service on the bus at address, for the life of the
// test.
func StartService(t testing.TB, address string) *Service {
	t.Helper()
	s := &Service{t: t, alias: fakeCollection, items: map[dbus.ObjectPath]*fakeItem{}, prompted: func() {}}
	s.Start(address)
	t.Cleanup(func() {
		s.Release()
		s.Die()
	})
	return s
}

// Start starts the service, again after Die: what was stored is still there.
func (s *Service) Start(address string) {
	s.t.Helper()
	conn, err := dbus.Connect(address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.change(func() { s.conn = conn })
	s.export(fakeRoot{s}, secretsPath, "org.freedesktop.Secret.Service")
	s.export(fakeRootProperties{s}, secretsPath, properties)
	s.export(fakeColl{s}, fakeCollection, "org.freedesktop.Secret.Collection")
	s.export(fakeCollProperties{s}, fakeCollection, properties)
	s.export(fakePrompts{s}, fakePrompt, promptIface)
	for n := range fakeItems {
		s.exportItem(fakePath(n + 1))
	}
	if reply, err := conn.RequestName(secrets, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		s.t.Fatalf("own the name of the Secret Service: %v, %v", reply, err)
	}
}

// Die takes the service off the bus.
func (s *Service) Die() { _ = s.connection().Close() } // it may be closed

// connection returns the latest connection: who answers a prompt may be another
// goroutine than the one that starts the service again.
func (s *Service) connection() (conn *dbus.Conn) {
	s.change(func() { conn = s.conn })
	return conn
}

// Lock locks the collection: unlocking it takes a prompt.
func (s *Service) Lock() { s.change(func() { s.locked = true }) }

// Unlock unlocks the collection.
func (s *Service) Unlock() { s.change(func() { s.locked = false }) }

// Lie sets what the service says from now on.
func (s *Service) Lie(l Lie) { s.change(func() { s.lie = l }) }

// SetAlias sets which collection is the default one.
func (s *Service) SetAlias(path dbus.ObjectPath) { s.change(func() { s.alias = path }) }

// OnPrompt sets what happens when a prompt is shown.
func (s *Service) OnPrompt(do func()) { s.change(func() { s.prompted = do }) }

// Complete ends the prompt that is shown.
func (s *Service) Complete(dismissed bool) {
	_ = s.connection().Emit(fakePrompt, promptIface+".Completed", dismissed, dbus.MakeVariant([]dbus.ObjectPath{})) // the bus may be gone
}

// Prompts returns how often a prompt was shown.
func (s *Service) Prompts() (n int) { s.change(func() { n = s.prompts }); return n }

// Dismissed reports whether whoever asked for a prompt has taken it down.
func (s *Service) Dismissed() (yes bool) { s.change(func() { yes = s.dismissed }); return yes }

// Hold makes every call that reads, writes or looks at an item wait.
func (s *Service) Hold() { s.change(func() { s.held = make(chan struct{}) }) }

// Waiting returns how many calls are held.
func (s *Service) Waiting() (n int) { s.change(func() { n = s.waiting }); return n }

// Release ends Hold.
func (s *Service) Release() {
	s.change(func() {
		if s.held != nil {
			close(s.held)
			s.held = nil
		}
	})
}

// Names returns the names, in the library's sense, of what is stored.
func (s *Service) Names() (names []string) {
	s.change(func() {
		for _, path := range s.paths() {
			names = append(names, s.items[path].attributes["profile"])
		}
	})
	return names
}

// Drop removes every item of that name, behind the back of whoever stored it.
func (s *Service) Drop(name string) {
	s.change(func() {
		for _, path := range s.paths() {
			if s.items[path].attributes["profile"] == name {
				delete(s.items, path)
			}
		}
	})
}

// Double stores every item of that name once more.
func (s *Service) Double(name string) {
	s.change(func() {
		for _, path := range s.paths() {
			if item := s.items[path]; item.attributes["profile"] == name {
				s.add(&fakeItem{item.attributes, item.value})
			}
		}
	})
}

func (s *Service) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// hold waits while calls are held.
func (s *Service) hold() {
	s.mu.Lock()
	held := s.held
	if held != nil {
		s.waiting++
	}
	s.mu.Unlock()
	if held == nil {
		return
	}
	<-held
	s.change(func() { s.waiting-- })
}

func (s *Service) paths() []dbus.ObjectPath {
	paths := make([]dbus.ObjectPath, 0, len(s.items))
	for path := range s.items {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

func (s *Service) add(item *fakeItem) dbus.ObjectPath {
	s.made++
	path := fakePath(s.made)
	s.items[path] = item
	return path
}

// fakeItems is how many items a Service can ever make. Their objects are there
// from the start: the D-Bus library cannot add one while it serves.
const fakeItems = 500

func fakePath(n int) dbus.ObjectPath {
	return dbus.ObjectPath(fmt.Sprintf("%s/%06d", fakeCollection, n))
}

func (s *Service) export(v any, path dbus.ObjectPath, iface string) {
	s.t.Helper()
	if err := s.conn.Export(v, path, iface); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Service) exportItem(path dbus.ObjectPath) {
	s.t.Helper()
	s.export(fakeItemObject{s, path}, path, itemIface)
	s.export(fakeItemProperties{s, path}, path, properties)
}

func errLocked() *dbus.Error { return dbus.NewError("org.freedesktop.Secret.Error.IsLocked", nil) }

func errAbsent() *dbus.Error { return dbus.NewError("org.freedesktop.Secret.Error.NoSuchObject", nil) }

type fakeRoot struct{ *Service }

func (f fakeRoot) ReadAlias(string) (dbus.ObjectPath, *dbus.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.alias, nil
}

func (f fakeRoot) OpenSession(string, dbus.Variant) (dbus.Variant, dbus.ObjectPath, *dbus.Error) {
	return dbus.MakeVariant(""), "/org/freedesktop/secrets/session/s1", nil
}

func (f fakeRoot) Unlock(paths []dbus.ObjectPath) ([]dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.locked {
		return []dbus.ObjectPath{}, fakePrompt, nil
	}
	return paths, "/", nil
}

type fakeRootProperties struct{ *Service }

func (f fakeRootProperties) Get(string, string) (dbus.Variant, *dbus.Error) {
	return dbus.MakeVariant([]dbus.ObjectPath{fakeCollection}), nil
}

type fakeColl struct{ *Service }

func (f fakeColl) SearchItems(attributes map[string]string) ([]dbus.ObjectPath, *dbus.Error) {
	f.hold()
	f.mu.Lock()
	defer f.mu.Unlock()
	found := []dbus.ObjectPath{}
	for _, path := range f.paths() {
		if f.lie != Denies && f.items[path].attributes["profile"] == attributes["profile"] {
			found = append(found, path)
		}
	}
	return found, nil
}

func (f fakeColl) CreateItem(props map[string]dbus.Variant, value plainValue, replace bool) (dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
	f.hold()
	attributes, _ := props[itemIface+".Attributes"].Value().(map[string]string)
	f.mu.Lock()
	if f.locked {
		f.mu.Unlock()
		return "/", "/", errLocked()
	}
	if f.lie == Forgets {
		f.mu.Unlock()
		return fakeCollection + "/forgotten", "/", nil
	}
	for _, path := range f.paths() {
		if item := f.items[path]; replace && maps.Equal(item.attributes, attributes) {
			item.value = value
			f.mu.Unlock()
			return path, "/", nil
		}
	}
	path := f.add(&fakeItem{attributes, value})
	f.mu.Unlock()
	return path, "/", nil
}

type fakeCollProperties struct{ *Service }

func (f fakeCollProperties) Get(_, name string) (dbus.Variant, *dbus.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if name != "Items" {
		return dbus.MakeVariant(f.locked), nil
	}
	paths := f.paths()
	switch f.lie {
	case Hides:
		paths = paths[:0]
	case Babbles:
		paths = append(paths, paths...)
	}
	return dbus.MakeVariant(paths), nil
}

type fakeItemObject struct {
	*Service
	path dbus.ObjectPath
}

func (f fakeItemObject) GetSecret(dbus.ObjectPath) (plainValue, *dbus.Error) {
	f.hold()
	f.mu.Lock()
	defer f.mu.Unlock()
	item, ok := f.items[f.path]
	switch {
	case !ok:
		return plainValue{}, errAbsent()
	case f.locked:
		return plainValue{}, errLocked()
	case f.lie == Swaps:
		for _, path := range f.paths() {
			if path != f.path {
				return f.items[path].value, nil
			}
		}
	}
	return item.value, nil
}

func (f fakeItemObject) Delete() (dbus.ObjectPath, *dbus.Error) {
	f.hold()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lie != Clings {
		delete(f.items, f.path)
	}
	return "/", nil
}

type fakeItemProperties struct {
	*Service
	path dbus.ObjectPath
}

func (f fakeItemProperties) Get(_, name string) (dbus.Variant, *dbus.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	item, ok := f.items[f.path]
	if !ok {
		return dbus.Variant{}, errAbsent()
	}
	if name == "Attributes" {
		return dbus.MakeVariant(item.attributes), nil
	}
	return dbus.MakeVariant(f.locked), nil
}

type fakePrompts struct{ *Service }

func (f fakePrompts) Prompt(string) *dbus.Error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.prompts++
	go f.prompted()
	return nil
}

func (f fakePrompts) Dismiss() *dbus.Error {
	f.change(func() { f.dismissed = true })
	f.Complete(true)
	return nil
}
