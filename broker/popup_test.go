// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/internal/ipc"
)

const devices = 10

// manyDevices is a rig with ten profiles, each with a key and a device of its
// own.
func manyDevices(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	for i := range devices {
		r.add(deviceProfile(i), fmt.Sprintf("AKIAANNANNANNANNA%03d", i), ipc.KeyDetails{
			AccountID: account, ARN: annARN, UserName: "ann", SerialNumber: fmt.Sprintf("%s%d", annMFA, i),
		})
	}
	return r
}

func deviceProfile(i int) string { return fmt.Sprintf("p%d", i%devices) }

// terminals starts helpers that have a terminal, in turn for each device.
func (r *rig) terminals(count int) []*client {
	var all []*client
	for i := range count {
		all = append(all, r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: deviceProfile(i)}, ipc.AskTTY))
	}
	synctest.Wait()
	return all
}

// asked returns the clients that have a question before them.
func asked(all []*client) []*client {
	var open []*client
	for _, c := range all {
		if len(c.prompts) > 0 {
			open = append(open, c)
		}
	}
	return open
}

// TestP20StormsAreDamped: 200 helpers with terminals, for ten devices. One
// question is up at a time, three in a minute; a refusal ends the waiting of all
// whom it concerns and keeps their kind away for a minute.
func TestP20StormsAreDamped(t *testing.T) {
	bubble(t, manyDevices, func(t *testing.T, r *rig) {
		all := r.terminals(200)
		for i := range 3 {
			open := asked(all)
			if len(open) != 1 {
				t.Fatalf("after %d refusals %d questions are up, want 1", i, len(open))
			}
			p := <-open[0].prompts
			open[0].answers <- ""
			synctest.Wait()
			answered := 0
			for _, c := range all {
				select {
				case <-c.done:
					wantCode(t, "a caller", c.err, ipc.CodeMFACancelled)
					answered++
				default:
				}
			}
			if answered != (i+1)*200/devices {
				t.Errorf("the refusal for %s: %d callers have their answer, want %d", p.Profile, answered, (i+1)*200/devices)
			}
			time.Sleep(5 * time.Second)
		}
		if open := asked(all); len(open) != 0 {
			t.Errorf("a fourth question came up within a minute")
		}
		late := r.terminals(200)
		if open := asked(late); len(open) != 0 {
			t.Errorf("a fourth question came up within a minute, for newcomers")
		}
		fg := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "p9"}, ipc.AskTerminal)
		<-fg.prompts // whoever starts a command is asked
		time.Sleep(44 * time.Second)
		synctest.Wait()
		if open := asked(append(all, late...)); len(open) != 0 {
			t.Error("the minute is not over")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if open := asked(late); len(open) != 1 {
			t.Errorf("after the minute %d questions are up, want 1", len(open))
		}
		fg.answers <- r.aws.code(annMFA+"9", 0)
		fg.document(t)
	})
}

// TestRepeatsAreNoStorm: who mistypes is asked again at once, whatever came
// before, because that user is there.
func TestRepeatsAreNoStorm(t *testing.T) {
	bubble(t, manyDevices, func(t *testing.T, r *rig) {
		for i := range 3 {
			c := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: deviceProfile(i)}, ipc.AskTTY)
			p := <-c.prompts
			for range 2 {
				c.answers <- "000000"
				p = <-c.prompts
			}
			c.answers <- r.aws.code(p.SerialNumber, 0)
			c.document(t)
		}
	})
}

// TestCommandStormsAreDamped: mfa_command runs three times a minute for one
// device, and another device's is not kept from running by that.
func TestCommandStormsAreDamped(t *testing.T) {
	r := manyDevices(t)
	defer func() { r.tasks.close() }()
	r.write("config", "[vault]\nbackend = file\npassphrase_file = /p\n[profile p0]\nmfa_command = /bin/false\n[profile p1]\nmfa_command = /bin/false\n")
	ran := func() int { return strings.Count(r.log.String(), "mfa_command gave no code") }
	for i := range 5 {
		fg := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "p0"}, ipc.AskTerminal)
		<-fg.prompts
		fg.answers <- ""
		wantCode(t, "the caller", waitErr(fg), ipc.CodeMFACancelled)
		if want := min(i+1, 3); ran() != want {
			t.Errorf("after %d flights the command ran %d times, want %d", i+1, ran(), want)
		}
	}
	fg := r.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: "p1"}, ipc.AskTerminal)
	<-fg.prompts
	fg.answers <- ""
	<-fg.done
	if want := 4; ran() != want {
		t.Errorf("with another device the command ran %d times, want %d", ran(), want)
	}
}

func TestStorm(t *testing.T) {
	var s storm
	for _, at := range []time.Duration{0, 10 * time.Second, 20 * time.Second} {
		if wait := s.allows(at); wait != 0 {
			t.Errorf("at %v: wait %v", at, wait)
		}
		s = append(s, at)
	}
	for at, want := range map[time.Duration]time.Duration{25 * time.Second: 35 * time.Second, 59 * time.Second: time.Second} {
		if got := s.allows(at); got != want {
			t.Errorf("at %v: wait %v, want %v", at, got, want)
		}
	}
	if wait := s.allows(time.Minute); wait != 0 || len(s) != 2 {
		t.Errorf("after a minute: wait %v, %d remembered", wait, len(s))
	}
}

// TestWokenInTime: of two surfaces that may ask again later, the one that may
// first is not kept waiting for the other.
func TestWokenInTime(t *testing.T) {
	bubble(t, withDesktop(ready), func(t *testing.T, r *rig) {
		r.write("config", "[vault]\nbackend = file\npassphrase_file = /p\n[profile dev]\nmfa_command = /missing\n")
		now, d := r.clock.Boot(), r.device(annMFA)
		r.mu.Lock()
		d.runs = storm{now - 50*time.Second, now, now}
		r.popUps = storm{now - 10*time.Second, now, now}
		r.mu.Unlock()
		c := r.helper("dev")
		synctest.Wait()
		if got := r.status().Pending[0].Surface; got != surfaceWait {
			t.Fatalf("asked on %q, want nowhere", got)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := strings.Count(r.log.String(), "mfa_command gave no code"); n != 1 {
			t.Errorf("after 10 s the command ran %d times, want once", n)
		}
		time.Sleep(40 * time.Second)
		synctest.Wait()
		if open, _ := r.desktop().windows(); open != 1 {
			t.Errorf("after 50 s %d windows are open, want 1", open)
		}
		c.hangUp()
		<-c.done
	})
}
