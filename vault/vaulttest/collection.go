// SPDX-License-Identifier: Apache-2.0

//go:build linux

package vaulttest

import (
	"github.com/godbus/dbus/v5"
)

// Collection is a keyring of its own within a gnome-keyring, as other programs
// make them. Methods fail the test that the gnome-keyring was started for.
type Collection struct {
	k    *Keyring
	path dbus.ObjectPath
}

// MakeCollection makes a collection, unlocked. gnome-keyring forms its path from
// the label.
func (k *Keyring) MakeCollection(label string) *Collection {
	k.t.Helper()
	c := &Collection{k: k}
	k.must("make a collection", func(conn *dbus.Conn) error {
		s, err := plain(conn, []byte(password))
		if err != nil {
			return err
		}
		return service(conn).Call(guiltIface+"CreateWithMasterPassword", 0, map[string]dbus.Variant{
			"org.freedesktop.Secret.Collection.Label": dbus.MakeVariant(label),
		}, s).Store(&c.path)
	})
	return c
}

// Path returns where the collection is on the bus.
func (c *Collection) Path() dbus.ObjectPath { return c.path }

// Plant stores an item as the keyring library of aws-vault and granted does:
// the key is its label and its only attribute, the value a wrapped item.
func (c *Collection) Plant(key string, value []byte) {
	c.k.t.Helper()
	c.k.must("plant an item", func(conn *dbus.Conn) error {
		s, err := plain(conn, value)
		if err != nil {
			return err
		}
		s.ContentType = "application/json"
		var item, prompt dbus.ObjectPath
		return conn.Object(secrets, c.path).Call(collIface+"CreateItem", 0, map[string]dbus.Variant{
			"org.freedesktop.Secret.Item.Label":      dbus.MakeVariant(key),
			"org.freedesktop.Secret.Item.Attributes": dbus.MakeVariant(map[string]string{"profile": key}),
		}, s, false).Store(&item, &prompt)
	})
}

// Lock locks the collection.
func (c *Collection) Lock() {
	c.k.t.Helper()
	var locked []dbus.ObjectPath
	var prompt dbus.ObjectPath
	c.k.must("lock a collection", func(conn *dbus.Conn) error {
		return service(conn).Call(serviceIface+"Lock", 0, []dbus.ObjectPath{c.path}).Store(&locked, &prompt)
	})
}

// Labels returns the labels of all items.
func (c *Collection) Labels() []string {
	c.k.t.Helper()
	return c.k.labels(c.path)
}

// Unlock unlocks the collection, without a dialog.
func (c *Collection) Unlock() {
	c.k.t.Helper()
	c.k.must("unlock a collection", func(conn *dbus.Conn) error {
		s, err := plain(conn, []byte(password))
		if err != nil {
			return err
		}
		return service(conn).Call(guiltIface+"UnlockWithMasterPassword", 0, c.path, s).Err
	})
}
