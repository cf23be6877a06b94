// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"credbroker/internal/ipc"
)

// rack is a world in which a rotation is cut short, at one point after the
// other: eve's key, which needs no code, is rotated again and again.
type rack struct {
	*world
	torn    int           // schedules so far
	ahead   time.Duration // how far the clock of AWS was set
	typed   bool          // the vault opens with a passphrase
	watched *background   // the client of the last schedule
	dealt   bool          // the last schedule was cut short as planned
}

// cut is where a rotation is cut short. The zero cut is nowhere.
type cut struct {
	blow    blow     // by the worker
	journal int      // the daemon is killed when this journal record is on the disk, from 1
	index   int      // the same of the index
	knobs   []string // faults of AWS
	undo    bool     // the user goes back afterwards
}

func (c cut) String() string {
	return fmt.Sprintf("blow=%v journal=%d index=%d knobs=%v undo=%v", c.blow, c.journal, c.index, c.knobs, c.undo)
}

const racked = "ops" // the profile

func newRack(t *testing.T, more ...string) *rack {
	t.Helper()
	r := &rack{world: newWorld(t)}
	r.bin = r.wrapVault(tortured)
	r.env = slices.Clone(r.env)
	for i := range r.env {
		if strings.HasPrefix(r.env[i], "PATH=") {
			r.env[i] = "PATH=" + r.bin + ":" + systemPath()
		}
	}
	mount(t, "tmpfs", r.made(r.stateDir()), "tmpfs", 0, "size=1m,mode=0700")
	r.initialise(append([]string{"[rotation]", "verify_for = 0s", "keep_disabled = 0s"}, more...)...)
	r.add(racked, "eve", "--no-mfa")
	r.awsConfig("[profile " + racked + "]\nregion = eu-west-1\n")
	r.made(r.rotations()) // for watch
	return r
}

func (w *world) made(dir string) string {
	w.t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	return dir
}

func (w *world) stateDir() string  { return filepath.Join(w.home, ".local", "state", "broker") }
func (w *world) rotations() string { return filepath.Join(w.stateDir(), "rotations") }

// tear has a rotation cut short, looks whether the key that the index names
// works at that moment, and then whether everything comes to a good end.
func (r *rack) tear(c cut) {
	r.t.Helper()
	r.torn++
	for _, name := range []string{"calls", "dealt"} {
		_ = os.Remove(filepath.Join(r.bin, name)) // it may not be there
	}
	r.must(r.run("broker", "status"))
	c.blow.Fill = strings.Replace(c.blow.Fill, "STATE", r.stateDir(), 1)
	plan, err := json.Marshal(c.blow)
	if err != nil {
		r.t.Fatal(err)
	}
	overwrite(r.t, filepath.Join(r.bin, "blow"), string(plan))
	if len(c.knobs) > 0 {
		r.set(c.knobs...)
	}
	watching, killed := r.watch(c)
	rotating := r.start("broker", "rotate", racked)
	r.untilCut(c, rotating, killed)
	watching()
	r.watched = rotating
	r.dealt = killed.Load() || fileExists(filepath.Join(r.bin, "dealt"))
	if !r.typed {
		r.works("when it was cut short")
	}
	r.mend(c)
	if r.typed {
		r.unlock()
	}
	_ = rotating.Process.Kill() // who watched is gone
	<-rotating.done
	if c.undo {
		_ = r.run("broker", "rotate", racked, "--undo") // there may be nothing to take back
	}
	r.converges()
}

// untilCut waits until what is planned has happened, or cannot happen any more.
func (r *rack) untilCut(c cut, rotating *background, killed *atomic.Bool) {
	r.t.Helper()
	enough := time.NewTimer(patience)
	defer enough.Stop()
	for rotating.running() && !killed.Load() && !fileExists(filepath.Join(r.bin, "dealt")) {
		select {
		case <-enough.C:
			return
		case <-time.After(5 * time.Millisecond):
		}
		if c.blow.Op == "" && c.journal+c.index == 0 && r.standsStill() {
			return
		}
	}
}

// standsStill reports whether the rotation waits for longer than it is worth.
func (r *rack) standsStill() bool {
	for _, rot := range r.rotating() {
		if rot.Waiting == "retrying" || rot.Waiting == "settling" || rot.Waiting == "stuck" {
			return true
		}
	}
	return false
}

// watch kills the daemon when the record that is planned is on the disk.
func (r *rack) watch(c cut) (stop func(), killed *atomic.Bool) {
	r.t.Helper()
	killed = &atomic.Bool{}
	if c.journal+c.index == 0 {
		return func() {}, killed
	}
	dir, ends, nth := r.rotations(), ".json", c.journal
	if c.index > 0 {
		dir, ends, nth = r.stateDir(), "state.json", c.index
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		r.t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "inotify") // with the poller, so that Close ends Read
	// The kernel makes one of two events that are alike: the temporary name, which
	// is another each time, keeps them apart.
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_MOVED_FROM|unix.IN_MOVED_TO); err != nil {
		r.t.Fatal(err)
	}
	daemon := r.daemonPID()
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, err := f.Read(buf)
			if err != nil {
				return
			}
			for at := 0; at+unix.SizeofInotifyEvent <= n; {
				size := int(buf[at+12]) | int(buf[at+13])<<8
				name := strings.TrimRight(string(buf[at+unix.SizeofInotifyEvent:at+unix.SizeofInotifyEvent+size]), "\x00")
				at += unix.SizeofInotifyEvent + size
				if !strings.HasSuffix(name, ends) {
					continue
				}
				if nth--; nth == 0 && daemon > 1 {
					_ = syscall.Kill(daemon, syscall.SIGKILL) // it may be dead
					killed.Store(true)
				}
			}
		}
	}()
	return func() { _ = f.Close(); <-done }, killed
}

// mend takes every fault away. What is left is what the faults have left.
func (r *rack) mend(c cut) {
	r.t.Helper()
	_ = os.Remove(filepath.Join(r.stateDir(), "filler")) // if there is one
	overwrite(r.t, filepath.Join(r.bin, "blow"), "{}")
	var off []string
	for _, knob := range c.knobs {
		name, _, _ := strings.Cut(knob, "=")
		value := "none"
		if strings.HasPrefix(name, "delay.") {
			value = "0s"
		}
		off = append(off, name+"="+value)
	}
	if len(off) > 0 {
		r.set(off...)
	}
}

// works is the promise: the key that the index names, taken from the vault by a
// worker that this test starts by hand, is one that AWS accepts.
func (r *rack) works(when string) {
	r.t.Helper()
	var last error
	r.eventually(when+": the key that the index names works", func() error {
		for range 20 { // a daemon that goes on may switch in between; AWS may be slow to know
			if last = r.byHand(); last == nil {
				return nil
			}
		}
		return last
	})
}

func (r *rack) byHand() error {
	var index struct {
		Keys map[string]struct{ AccessKeyID, Item string }
	}
	data, err := os.ReadFile(filepath.Join(r.stateDir(), "state.json"))
	if err == nil {
		err = json.Unmarshal(data, &index)
	}
	if err != nil {
		return err
	}
	key := index.Keys[racked]
	if status := r.keysOf("eve")[key.AccessKeyID]; status != "Active" {
		return fmt.Errorf("key %s is %q at IAM", key.AccessKeyID, status)
	}
	store := ipc.Store{
		Backend: "file", Dir: filepath.Join(r.stateDir(), "vault"),
		PassphraseFile: filepath.Join(r.home, ".config", "broker", "passphrase"),
	}
	worker := ipc.WorkerCommand{Path: filepath.Join(r.bin, "vault"), Env: ipc.WorkerEnv(store, r.home, ""), Client: "test"}
	_, err = worker.Run(context.Background(), ipc.OpCallerIdentity, ipc.ItemParams{
		Store: store, Item: key.Item, Profile: racked, AccessKeyID: key.AccessKeyID,
		AWS: ipc.AWS{Region: "us-east-1", STSEndpointURL: r.account.Endpoint, IAMEndpointURL: r.account.Endpoint, ClockOffset: int(r.ahead / time.Second)},
	})
	return err
}

// rotating returns the rotations that status shows.
func (r *rack) rotating() []ipc.Rotation {
	r.t.Helper()
	var s struct{ Rotations []ipc.Rotation }
	if err := json.Unmarshal([]byte(r.must(r.run("broker", "status", "--json")).stdout), &s); err != nil {
		r.t.Fatal(err)
	}
	return s.Rotations
}

// converges does what a user would do, which is nothing unless broker asks for
// it, until nothing is under way. One key is left, everywhere.
func (r *rack) converges() {
	r.t.Helper()
	asked := 0
	var user *background // who watches, and may be waiting with the rotation
	tell := func(flag ...string) {
		if user == nil || !user.running() {
			asked++
			user = r.start("broker", append([]string{"rotate", racked}, flag...)...)
		}
	}
	r.eventually("the rotation ends", func() error {
		all := r.rotating()
		if len(all) == 0 {
			return nil
		}
		switch rot := all[0]; rot.Waiting {
		case "settling":
			if user != nil && user.running() {
				_ = user.Process.Kill() // one who has not asked again
				<-user.done
			}
			r.ahead += 70 * time.Second // the minute in which a lost call could show
			r.set(fmt.Sprintf("now=+%v", r.ahead))
			tell() // looks at once
		case "stuck", "held", "retrying":
			if asked > 5 {
				tell("--undo")
				break
			}
			tell("--resume")
		}
		return fmt.Errorf("%+v", all[0])
	})
	if user != nil {
		user.wait()
	}
	r.oneKey()
}

// oneKey checks the end: one key at IAM, in the index and in the vault, and
// nothing else.
func (r *rack) oneKey() {
	r.t.Helper()
	if r.typed {
		r.credentials(racked)
	} else {
		r.works("in the end")
	}
	stored := r.stored(racked)
	if keys := r.keysOf("eve"); len(keys) != 1 || keys[stored] != "Active" {
		r.t.Fatalf("IAM has %v, the index %s\n%s", keys, stored, r.daemonLog())
	}
	r.eventually("one item, and nothing of the rotation, is left", func() error {
		items, err := filepath.Glob(filepath.Join(r.stateDir(), "vault", "broker.v1.*"))
		if want := len(r.keys()); err != nil || len(items) != want {
			return fmt.Errorf("items %v, %w", items, err)
		}
		left, err := os.ReadDir(r.rotations())
		left = slices.DeleteFunc(left, func(e fs.DirEntry) bool { return strings.HasPrefix(e.Name(), ".") }) // swept when it is old
		if err != nil || len(left) != 0 {
			return fmt.Errorf("left: %v, %w", left, err)
		}
		return nil
	})
}

// fell fails the test if the last schedule went by without being cut short.
func (r *rack) fell(c cut) {
	r.t.Helper()
	if !r.dealt {
		r.t.Errorf("nothing was cut short at %v: %s%s\n%s", c, r.watched.stdout.String(), r.watched.stderr.String(), r.daemonLog())
	}
}

// secretsIn returns access key ID → secret of what broker-sandbox account says.
func secretsIn(t *testing.T, text string) map[string]string {
	t.Helper()
	var a account
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{}
	for _, u := range a.Users {
		for _, k := range u.AccessKeys {
			secrets[k.AccessKeyID] = k.SecretAccessKey
		}
	}
	return secrets
}
