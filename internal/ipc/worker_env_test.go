// SPDX-License-Identifier: Apache-2.0

//go:build unix

package ipc_test

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"credbroker/internal/ipc"
)

// P48: a worker's environment is what is listed here, whatever ours is.
func TestP48WorkerEnvIsAFixedList(t *testing.T) {
	t.Parallel()
	const bus = "unix:path=/run/user/1000/bus"
	for _, test := range []struct {
		backend, bus, want string
	}{
		{"secret-service", bus, bus},
		{"secret-service", "", ipc.NoBus},
		{"file", bus, ipc.NoBus},
		{"", "", ipc.NoBus},
	} {
		got := ipc.WorkerEnv(ipc.Store{Backend: test.backend}, "/home/ann", test.bus, "GOCOVERDIR=/cover")
		want := []string{
			"HOME=/home/ann", "PATH=/usr/local/bin:/usr/bin:/bin", "DBUS_SESSION_BUS_ADDRESS=" + test.want, "DISABLE_KWALLET=1",
			"GOCOVERDIR=/cover",
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q, %q: %q, want %q", test.backend, test.bus, got, want)
		}
	}
}

// P48: what pass and gpg are started with. gpg may not ask, and the bus is for
// its dialog alone: the library would connect to the other one before main.
func TestP48WorkerEnvOfPass(t *testing.T) {
	t.Parallel()
	store := ipc.Store{Backend: "pass", Dir: "/home/ann/.password-store", GnuPGHome: "/home/ann/.gnupg"}
	session := map[string]string{"DISPLAY": ":0", "GPG_TTY": "/dev/pts/1", "LD_PRELOAD": "/tmp/x", "PASSWORD_STORE_ENABLE_EXTENSIONS": "true"}
	dialog := ipc.DialogEnv(store, func(name string) string { return session[name] })
	got := ipc.WorkerEnv(store, "/home/ann", "unix:path=/run/user/1000/bus", dialog...)
	want := []string{
		"HOME=/home/ann", "PATH=/usr/local/bin:/usr/bin:/bin", "DBUS_SESSION_BUS_ADDRESS=" + ipc.NoBus, "DISABLE_KWALLET=1",
		"PASSWORD_STORE_DIR=/home/ann/.password-store", "PASSWORD_STORE_GPG_OPTS=--pinentry-mode=error --batch --no-tty",
		"GNUPGHOME=/home/ann/.gnupg", "BROKER_DIALOG_BUS=unix:path=/run/user/1000/bus",
		"DISPLAY=:0", "GPG_TTY=/dev/pts/1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := ipc.DialogEnv(ipc.Store{Backend: "file"}, func(string) string { return "x" }); len(got) != 0 {
		t.Errorf("a store without a dialog of a program's gets %q", got)
	}
}

// P48: only a bus of our own is used, and the one of the login session first.
func TestP48SessionBus(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/tmp", "b-") // a socket's path has room for little
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	run, other, file := filepath.Join(dir, "run"), filepath.Join(dir, "other"), filepath.Join(dir, "file")
	for _, d := range []string{run, other} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("unix", filepath.Join(d, "bus"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
	}
	link := filepath.Join(dir, "link")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(other, "bus"), link); err != nil {
		t.Fatal(err)
	}
	uid, env := os.Getuid(), "unix:path="+filepath.Join(other, "bus")
	for _, test := range []struct {
		name, runtime, address string
		uid                    int
		want                   string
	}{
		{"login session", run, env, uid, "unix:path=" + run + "/bus"},
		{"no login session", "/nonexistent", env, uid, env},
		{"no runtime directory", "", env, uid, env},
		{"with a guid", "", env + ",guid=0123", uid, env},
		{"nothing", "/nonexistent", "", uid, ""},
		{"another user's", run, env, uid + 1, ""},
		{"a file", "", "unix:path=" + file, uid, ""},
		{"a link", "", "unix:path=" + link, uid, ""},
		{"abstract", "", "unix:abstract=/tmp/dbus-x", uid, ""},
		{"a program", "", "unixexec:path=/bin/sh", uid, ""},
		{"over TCP", "", "tcp:host=127.0.0.1,port=1", uid, ""},
		{"relative", "", "unix:path=bus", uid, ""},
		{"launch one", "", "autolaunch:", uid, ""},
		{"two", "", "unix:path=/nonexistent;" + env, uid, ""},
		{"escaped", "", "unix:path=" + other + "/%62us", uid, ""},
	} {
		if got := ipc.SessionBus(test.runtime, test.address, test.uid); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
