// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"syscall"

	"credbroker/internal/ipc"
	"credbroker/internal/testprograms"
)

// begins notes what there is before a schedule.
func (r *rack) begins() {
	r.t.Helper()
	var err error
	if r.before, err = r.index(); err != nil {
		r.t.Fatal(err)
	}
	r.faults, r.withheld, r.held, r.freed, r.turned, r.undo = nil, false, 0, false, false, nil
}

// works is the promise: at this very instant the key that the index names, taken
// from the vault by a worker that this test starts by hand, is one that AWS
// accepts. Nothing of broker goes on meanwhile, and it is tried once; oftener
// only where AWS was told to fail whoever asks whose key it is, for up to three
// times, and so may fail this test.
func (r *rack) works(when string, more ...string) {
	r.t.Helper()
	defer r.freeze()()
	tries := 1
	for _, fault := range r.faults {
		if strings.Contains(fault, "GetCallerIdentity") {
			tries += 3
		}
	}
	for _, profile := range append(slices.Clone(r.places), more...) {
		var err error
		for range tries {
			if err = r.byHand(profile); err == nil {
				break
			}
		}
		if err != nil {
			r.t.Fatalf("%s, the key that the index names for %s does not work: %v\n%s", when, profile, err, r.daemonLog())
		}
	}
	r.notYet(when)
}

// notYet fails the test if a key is in use that AWS cannot know yet. The old one
// serves until then, as it did.
func (r *rack) notYet(when string) {
	r.t.Helper()
	if !r.withheld {
		return
	}
	index, err := r.index()
	if err != nil {
		r.t.Fatal(err)
	}
	keys := r.keysOf(r.iam)
	for _, profile := range r.places {
		if had := r.before[profile]; index[profile] != had || keys[had.AccessKeyID] != "Active" {
			r.t.Fatalf("%s, before AWS knew the new key: the index has %v, and had %v; IAM has %v\n%s", when, index, r.before, keys, r.daemonLog())
		}
	}
}

// learns has AWS know of the new key at last.
func (r *rack) learns() {
	r.t.Helper()
	if !r.withheld {
		return
	}
	r.notYet("when it waited for AWS")
	r.set("propagation=none")
	r.withheld = false
}

// freeze stops all daemons and workers where they are, up to thaw. Who holds the
// key of a vault is one that others need.
func (r *rack) freeze() (thaw func()) {
	stopped := map[int]bool{}
	for more := true; more; {
		more = false
		for pid, line := range testprograms.Running(r.bin) {
			words := strings.Fields(line)
			program := strings.TrimPrefix(words[0], r.bin+"/")
			if stopped[pid] || !slices.Contains([]string{"brokerd", "broker-vault", "vault"}, program) || slices.Contains(words, "hold") {
				continue
			}
			_ = syscall.Kill(pid, syscall.SIGSTOP) // it may have ended
			stopped[pid], more = true, true
		}
	}
	for pid := range stopped {
		r.eventually("what runs is stopped", func() error {
			if testprograms.Alive(pid) && !testprograms.Stopped(pid) {
				return fmt.Errorf("process %d runs", pid)
			}
			return nil
		})
	}
	return func() {
		for pid := range stopped {
			_ = syscall.Kill(pid, syscall.SIGCONT) // as above
		}
	}
}

// look is how the user looks how far it is: broker tries at once what it would
// try later. Before a rotation is held, --resume could come a moment too late,
// when it is, and would end that.
func (r *rack) look() string {
	if r.last.hold && !r.freed && !r.turned {
		return "--hold"
	}
	return "--resume"
}

// holds fails the test unless a rotation that is held leaves both keys active,
// and the new one in use.
func (r *rack) holds(rot ipc.Rotation) {
	r.t.Helper()
	index, err := r.index()
	if err != nil {
		r.t.Fatal(err)
	}
	if keys := r.keysOf(r.iam); keys[rot.Old] != "Active" || keys[rot.New] != "Active" || index[racked].AccessKeyID != rot.New {
		r.t.Fatalf("held, IAM has %v, and the index %v: %+v\n%s", keys, index, rot, r.daemonLog())
	}
}

// back takes a rotation back, if there is one.
func (r *rack) back(c cut) {
	r.t.Helper()
	r.undo = r.start("broker", c.command("--undo")...)
	r.watcher = r.undo
	r.eventually("the rotation goes back", func() error {
		all := r.rotating()
		r.turned = r.turned || len(all) > 0 && all[0].Back
		if r.undo.running() && len(all) > 0 && !r.turned {
			return fmt.Errorf("%+v", all[0])
		}
		return nil
	})
	if !r.undo.running() {
		r.toldOfUndo()
	}
}

// saysTakenBack reports whether a text is what a user reads whose rotation was
// taken back, whether a new key had been made by then or not.
func saysTakenBack(text, old string) bool {
	return text == "taken back: "+old+" serves again, and the new key is deleted\nnext: broker list\n" ||
		text == "taken back: "+old+" serves, and there is no new key\nnext: broker list\n"
}

// toldOfUndo holds what the user was told who took a rotation back to what is
// there. Only one thing is too late for it: IAM has carried out that the old key
// is deleted, whether or not the last record of the journal says so. Until then
// the old key comes back.
func (r *rack) toldOfUndo() {
	r.t.Helper()
	had, told := r.before[racked].AccessKeyID, r.undo.wait()
	_, there := r.keysOf(r.iam)[had]
	problem := ""
	switch {
	case told.status == 0:
		if !saysTakenBack(told.stdout, had) || strings.Contains(told.stderr, "error:") {
			problem = "it says something else than that it is done"
		}
	case strings.Contains(told.stderr, "go back to key "+had+": IAM does not have it any more"):
		if there {
			problem = "IAM has the old key"
		}
	case strings.Contains(told.stderr, "is not being rotated"), strings.Contains(told.stderr, "that has just ended"):
		if all := r.rotating(); there && len(all) > 0 { // else it was given up, or the old key is gone
			problem = fmt.Sprintf("there is %+v", all)
		}
	case told.status < 0, told.status == 3 && r.last.second.Op != "": // its daemon was cut short, too: it has heard nothing
	default:
		problem = "it does not say how it went"
	}
	if problem != "" {
		r.t.Fatalf("--undo: %s: status %d, stdout %q, stderr %q\n%s", problem, told.status, told.stdout, told.stderr, r.daemonLog())
	}
}

// asPromised looks, in the end, whether the key that is left is the one that the
// user has asked for.
func (r *rack) asPromised() {
	r.t.Helper()
	index, err := r.index()
	if err != nil {
		r.t.Fatal(err)
	}
	old := !slices.ContainsFunc(r.places, func(profile string) bool { return index[profile] != r.before[profile] })
	if r.undo != nil {
		r.toldOfUndo()
		if told := r.undo.wait(); told.status == 0 && !old {
			r.t.Fatalf("taken back, as the user was told, the index has %v, and had %v\n%s", index, r.before, r.daemonLog())
		}
	}
	if c := r.last; c.hold && !c.create && !old && r.held == 0 {
		r.t.Fatalf("the old key is gone, of a rotation that was to be held, and never was\n%s", r.daemonLog())
	}
}
