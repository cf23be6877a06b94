// SPDX-License-Identifier: Apache-2.0

// Package keychain opens the stores that can hold long-lived keys, by way of
// the 99designs/keyring library, of which it is the only importer.
//
// The library decides a great deal by itself, so each store is looked at before
// and after every call of it:
//
//   - One named store is opened, or none: the library falls through to the next
//     one it finds, down to a kernel keyring that forgets at the next boot.
//   - It is never asked to create a collection, to list, to prompt or to
//     overwrite. Its answers about absence are normalised.
//   - It knows neither contexts nor deadlines. A call that outlives its context
//     is abandoned, not ended: only the end of the process ends it. So this
//     package belongs into a process that ends after one operation.
//   - A panic of the library in such a call becomes an error without its value.
//
// Importing the library dials the session bus before main, and runs dbus-launch
// if the environment names none: whoever starts a process that links this
// package sets DBUS_SESSION_BUS_ADDRESS, to an address that nobody serves if
// need be.
package keychain
