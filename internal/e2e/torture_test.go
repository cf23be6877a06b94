// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"credbroker/internal/ipc"
)

// cut is where a rotation is cut short. The zero cut is nowhere.
type cut struct {
	blow    blow     // by the worker
	journal int      // the daemon is killed when this journal record is on the disk, from 1
	index   int      // the same of the index
	term    bool     // it is not killed, but asked to end
	knobs   []string // faults of AWS
	never   bool     // AWS never gets to know of the new key
	slow    bool     // AWS gets to know of it when broker waits for nothing else
	create  bool     // it is not a rotation, but the making of a first key
	cold    bool     // there is no session when it begins
	hold    bool     // the user wants both keys to stay active for a while
	undo    bool     // the user goes back afterwards
	second  blow     // it is cut short again, on the way to its end
}

func (c cut) String() string {
	return fmt.Sprintf("blow=%v journal=%d index=%d term=%v knobs=%v never=%v slow=%v create=%v cold=%v hold=%v undo=%v second=%v",
		c.blow, c.journal, c.index, c.term, c.knobs, c.never, c.slow, c.create, c.cold, c.hold, c.undo, c.second)
}

// command is what the user types to begin, or to look how far it is.
func (c cut) command(flags ...string) []string {
	if c.create {
		return []string{"add", created, "--create", "--using", racked}
	}
	return append([]string{"rotate", racked}, flags...)
}

// fillers are the names, below the state directory, of what fills a disk.
var fillers = []string{"filler", "rotations/filler", "vault/filler"}

// tear has a rotation cut short, and looks whether everything comes to a good end.
func (r *rack) tear(c cut) {
	r.t.Helper()
	r.cutShort(c)
	r.arm(c.second)
	if c.undo && !c.create {
		r.back(c)
	}
	r.converges(c)
	r.dealtAgain = fileExists(filepath.Join(r.bin, "dealt"))
}

// cutShort has a rotation cut short, and looks whether the key that the index
// names works at that moment.
func (r *rack) cutShort(c cut) {
	r.t.Helper()
	_ = os.Remove(filepath.Join(r.bin, "client")) // of the last schedule
	r.asked, r.watcher, r.last = 0, nil, c
	r.begins()
	r.ages(2 * codeStep)
	if c.cold {
		r.must(r.run("broker", "lock"))
	}
	r.rotating()
	if log := filepath.Join(r.stateDir(), "brokerd.log"); fileExists(log) {
		_ = os.Truncate(log, 0) // it is on the small disk, too
	}
	r.arm(c.blow)
	r.setFaults(c)
	watching, killed := r.watch(c)
	daemon := r.daemonPID()
	flags := []string{}
	if c.hold {
		flags = append(flags, "--hold")
	}
	rotating := r.start("broker", c.command(flags...)...)
	overwrite(r.t, filepath.Join(r.bin, "client"), itoa(rotating.Process.Pid))
	r.untilCut(c, rotating, killed)
	watching()
	r.watched = rotating
	r.dealt = killed.Load() != 0 || fileExists(filepath.Join(r.bin, "dealt"))
	shut := r.kind == typed || len(c.blow.Run) > 0 // the vault
	if !shut {
		r.works("when it was cut short")
	}
	r.gone(int(killed.Load()))
	if r.dealt && c.blow.Daemon {
		r.gone(daemon)
	}
	r.mend(c)
	if r.kind == typed {
		r.unlock()
	}
	if shut {
		r.works("when it was cut short")
	}
	rotating.end() // who watched is gone
	r.watcher.end()
}

func (r *rack) setFaults(c cut) {
	r.t.Helper()
	knobs := slices.Clone(c.knobs)
	if c.never || c.slow {
		knobs = append(knobs, "propagation=24h")
	}
	r.faults, r.withheld = c.knobs, c.slow
	for id, status := range r.keysOf(r.iam) {
		knobs = append(knobs, "key."+id+"="+status) // what is, AWS knows everywhere
	}
	r.set(knobs...)
}

// end kills a program, if there is one.
func (b *background) end() {
	if b == nil {
		return
	}
	_ = b.Process.Kill() // it may have ended
	<-b.done
}

// untilCut waits until what is planned has happened, or cannot happen any more.
// The user looks now and then, and so has broker try again at once.
func (r *rack) untilCut(c cut, rotating *background, killed *atomic.Int64) {
	r.t.Helper()
	enough, looked := time.Now().Add(patience), time.Now()
	for looks := 0; time.Now().Before(enough) && killed.Load() == 0 && !fileExists(filepath.Join(r.bin, "dealt")); {
		<-time.After(10 * time.Millisecond)
		all, served := r.seen()
		if len(all) == 0 && !rotating.running() {
			return // it has ended; or the daemon, and with it whoever watched
		}
		if !served || len(all) == 0 {
			continue
		}
		switch waiting := all[0].Waiting; {
		case waiting == "propagation" && r.withheld:
			r.learns()
			continue
		case waiting == "held":
			r.holds(all[0])
			return
		case waiting == "stuck", waiting == "propagation" && c.never:
			return
		case waiting != "settling" && waiting != "retrying" || time.Since(looked) < 200*time.Millisecond:
			continue
		case looks == 8:
			return
		case waiting == "settling":
			r.ages(70 * time.Second)
		}
		r.watcher.end()
		r.watcher = r.start("broker", c.command(r.look())...)
		looks, looked = looks+1, time.Now()
	}
}

// mend takes every fault away. What is left is what the faults have left.
func (r *rack) mend(c cut) {
	r.t.Helper()
	r.disarm()
	r.dealt = r.dealt || fileExists(filepath.Join(r.bin, "dealt"))
	for _, name := range fillers {
		_ = os.Remove(filepath.Join(r.stateDir(), name)) // if there is one
	}
	switch strings.Join(c.blow.Run, " ") { // whether it has come to that or not
	case "vanish":
		r.keyring.Kill()
		r.keyring.Start()
	case "shut":
		r.keyring.Unlock()
	}
	var off []string
	for _, knob := range c.knobs {
		name, _, _ := strings.Cut(knob, "=")
		value := "none"
		if strings.HasPrefix(name, "delay.") {
			value = "0s"
		}
		off = append(off, name+"="+value)
	}
	r.set(off...)
	r.faults = nil
	r.learns()
}

// converges sees to it that nothing is under way any more. One key is left,
// everywhere.
func (r *rack) converges(c cut) {
	r.t.Helper()
	r.ends(c)
	r.disarm() // whoever it has not come to by now
	r.oneKey()
	r.asPromised()
	if c.never {
		r.set("propagation=none")
	}
	r.forgetCreated()
}

// ends does what a user would do until nothing is under way, which is nothing
// unless broker asks for it.
func (r *rack) ends(c cut) {
	r.t.Helper()
	waited := time.Now()
	r.eventually("the rotation ends", func() error {
		watched := r.watcher != nil && r.watcher.running() // before status: who is heard only now may change it
		all := r.rotating()
		if len(all) == 0 {
			if !watched {
				return nil
			}
			return errors.New("it has, and the user has not heard")
		}
		rot := all[0]
		switch rot.Waiting {
		case "settling":
			r.watcher.end()          // one who has not asked again
			r.ages(70 * time.Second) // the minute in which a lost call could show
			r.tell(c, r.look())      // looks at once
		case "propagation":
			if c.never && time.Since(waited) > time.Second {
				r.ages(6 * time.Minute)
				r.run("broker", "lock")                       // the next session tells
				r.run("broker", "credential-process", racked) // what time it is at AWS
				waited = time.Now()
			}
		case "held", "stuck", "retrying":
			if r.kind == typed {
				r.unlock()
			}
			if !watched {
				r.goesOn(c, rot)
			}
		}
		return fmt.Errorf("%+v", rot)
	})
}

// goesOn has the user let a rotation go on that waits for that.
func (r *rack) goesOn(c cut, rot ipc.Rotation) {
	r.t.Helper()
	switch {
	case rot.Waiting == "held":
		r.holds(rot)
		r.held, r.freed = r.held+1, true
		r.tell(c, "--resume")
	case r.asked > 5:
		r.tell(c, "--undo")
	case rot.Waiting == "stuck":
		r.tell(c, "--resume")
	default:
		r.tell(c, r.look())
	}
}

// tell has the user say how it goes on, unless they watch.
func (r *rack) tell(c cut, flag string) {
	r.t.Helper()
	if r.watcher != nil && r.watcher.running() {
		return
	}
	r.asked++
	if r.kind == coded {
		r.ages(codeStep) // a code works once
	}
	r.watcher = r.start("broker", c.command(strings.Fields(flag)...)...)
}

// oneKey checks the end: one key at IAM, in the index and in the vault, and
// nothing else.
func (r *rack) oneKey() {
	r.t.Helper()
	if r.kind == typed {
		r.unlock()
	}
	index, err := r.index()
	if err != nil {
		r.t.Fatal(err)
	}
	var more []string
	want := map[string]string{index[racked].AccessKeyID: "Active"}
	if key, made := index[created]; made {
		more, want[key.AccessKeyID] = append(more, created), "Active"
	}
	r.works("in the end", more...)
	if keys := r.keysOf(r.iam); !maps.Equal(keys, want) {
		r.t.Fatalf("IAM has %v, the index %v\n%s", keys, index, r.daemonLog())
	}
	began := time.Now()
	r.eventually("one item for each key, and nothing of the rotation, is left", func() error {
		if n := r.items(); n != len(index) {
			if time.Since(began) > time.Second { // what the vault kept, the next daemon deletes at once
				r.killDaemon()
				r.ends(r.last) // one who was killed may have begun again before that
				if r.kind == typed {
					r.unlock()
				}
				began = time.Now()
			}
			return fmt.Errorf("%d items", n)
		}
		left, err := os.ReadDir(r.rotations())
		left = slices.DeleteFunc(left, func(e fs.DirEntry) bool { return strings.HasPrefix(e.Name(), ".") }) // swept when it is old
		if err != nil || len(left) != 0 {
			return fmt.Errorf("left: %v, %w", left, err)
		}
		return nil
	})
	r.credentials(racked)
	if r.told != "" && r.asked <= 5 { // one who goes back twice does so without on_rotate
		if told := lines(r.told); told != nil && told[len(told)-1] != index[racked].AccessKeyID {
			r.t.Fatalf("on_rotate was told of %v, the index has %v", told, index)
		}
	}
}

// forgetCreated makes room for the next key that is created.
func (r *rack) forgetCreated() {
	r.t.Helper()
	if index, err := r.index(); err != nil || index[created].Item != "" {
		r.must(r.run("broker", "remove", created, "--yes"))
		r.set("key." + index[created].AccessKeyID + "=deleted")
	}
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
