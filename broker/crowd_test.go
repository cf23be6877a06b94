// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"credbroker/credproc"
	"credbroker/internal/ipc"
)

// TestCrowd lets clients of all kinds come, answer, err, cancel and leave at
// random. Whatever they do, no code is sent twice, no device has two calls at
// once, and nothing is left behind.
func TestCrowd(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, ready, func(t *testing.T, r *rig) {
				r.opts.Worker = &watchedWorker{Worker: r.aws, t: t, sent: map[string]time.Time{}, busy: map[string]bool{}}
				r.restart()
				r.add("dev2", "AKIAANNANNANNANNANN2", ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", SerialNumber: annMFA})
				r.add("ops", bobKey, ipc.KeyDetails{AccountID: account, ARN: "arn:aws:iam::111122223333:user/bob", UserName: "bob", SerialNumber: bobMFA})
				r.write("aws/config", chainConfig(""))
				r.aws.takes(300 * time.Millisecond)
				c := crowd{rig: r, random: rand.New(rand.NewPCG(seed, 7))}
				var group sync.WaitGroup
				for range 60 {
					group.Go(c.visit)
				}
				group.Wait()
				time.Sleep(2 * r.files.current().settings.MFA.Timeout) // of flights that nobody waits for
				c.checkEmpty(t)
			})
		})
	}
}

// watchedWorker fails the test at once if a code or a device is used twice.
type watchedWorker struct {
	Worker
	t    *testing.T
	mu   sync.Mutex
	sent map[string]time.Time // by serial number and code
	busy map[string]bool      // by serial number
}

func (w *watchedWorker) SessionToken(ctx context.Context, p ipc.SessionTokenParams) (credproc.Credentials, error) {
	w.mu.Lock()
	key := p.SerialNumber + " " + p.TokenCode
	if at, ok := w.sent[key]; ok && time.Since(at) < codeMemory {
		w.t.Errorf("a code was sent again after %v", time.Since(at))
	}
	if w.busy[p.SerialNumber] {
		w.t.Errorf("two calls at once for device %s", p.SerialNumber)
	}
	w.sent[key], w.busy[p.SerialNumber] = time.Now(), true
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.busy[p.SerialNumber] = false
	}()
	return w.Worker.SessionToken(ctx, p)
}

// crowd is what the clients share.
type crowd struct {
	*rig
	mu     sync.Mutex
	random *rand.Rand
}

func (c *crowd) n(limit int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.IntN(limit)
}

// upTo returns a time up to d.
func (c *crowd) upTo(d time.Duration) time.Duration {
	return time.Duration(c.n(int(d/time.Millisecond))) * time.Millisecond
}

// visit is the life of one client.
func (c *crowd) visit() {
	time.Sleep(c.upTo(2 * time.Minute))
	profile := []string{"dev", "dev2", "ops", "one", "two"}[c.n(5)]
	serial := annMFA
	if profile == "ops" {
		serial = bobMFA
	}
	switch c.n(8) {
	case 0, 1, 2:
		h := c.helper(profile)
		if c.n(2) == 0 {
			time.Sleep(c.upTo(20 * time.Second))
			h.hangUp()
		}
		<-h.done
	case 3, 4:
		c.sit(c.start(ipc.OpCredentials, ipc.CredentialsParams{Profile: profile}, []ipc.Ask{ipc.AskTerminal, ipc.AskTTY}[c.n(2)]))
	case 5:
		<-c.start(ipc.OpMFA, ipc.MFAParams{Profile: profile, Code: c.aws.code(serial, c.n(3)-1)}, ipc.AskNowhere).done
	case 6:
		c.sit(c.start(ipc.OpMFA, ipc.MFAParams{Profile: profile}, ipc.AskTerminal))
	case 7:
		if c.n(3) == 0 {
			<-c.start(ipc.OpMFA, ipc.MFAParams{Cancel: true}, ipc.AskNowhere).done
			return
		}
		c.add("dev2", "AKIAANNANNANNANNANN2", ipc.KeyDetails{AccountID: account, ARN: annARN, UserName: "ann", SerialNumber: annMFA})
	}
}

// sit answers the prompts of a client, mostly well, until it ends or the user
// has had enough.
func (c *crowd) sit(at *client) {
	enough := time.After(c.upTo(time.Minute))
	for {
		select {
		case p := <-at.prompts:
			time.Sleep(c.upTo(3 * time.Second))
			answer := c.aws.code(p.SerialNumber, c.n(3)-1)
			switch c.n(20) {
			case 0:
				answer = ""
			case 1, 2, 3:
				answer = "000000"
			}
			select {
			case at.answers <- answer:
			case <-at.done:
			case <-time.After(5 * time.Second): // the prompt was withdrawn
			}
		case <-enough:
			at.hangUp()
			<-at.done
			return
		case <-at.done:
			return
		}
	}
}

func (c *crowd) checkEmpty(t *testing.T) {
	t.Helper()
	synctest.Wait()
	c.Broker.mu.Lock()
	defer c.Broker.mu.Unlock()
	if len(c.flights)+len(c.mints) != 0 {
		t.Errorf("%d flights and %d calls are left", len(c.flights), len(c.mints))
	}
	for serial, d := range c.devices {
		if len(d.turn) != 1 {
			t.Errorf("nobody can ask for device %s any more", serial)
		}
	}
}

// TestFullHouse: a caller that finds no seat is turned away before anything is
// done for it, unless what it wants is in memory.
func TestFullHouse(t *testing.T) {
	bubble(t, ready, func(t *testing.T, r *rig) {
		full := &ipc.Error{Code: ipc.CodeBusy, Message: "full"}
		run, _ := r.operation(ipc.OpCredentials)
		params := []byte(`{"profile":"dev"}`)
		_, err := r.serve(t.Context(), run, ipc.Request{Op: ipc.OpCredentials}, &talk{params: params, full: full})
		if !hasCode(err, ipc.CodeBusy) {
			t.Errorf("with a cold cache: %v, want %s", err, ipc.CodeBusy)
		}
		if s := do[ipc.Status](r, ipc.OpStatus, nil); len(s.Pending) != 0 {
			t.Errorf("a prompt was begun: %+v", s.Pending)
		}
		h := r.helper("dev")
		synctest.Wait()
		_, err = r.serve(t.Context(), run, ipc.Request{Op: ipc.OpCredentials}, &talk{params: params, full: full})
		if !hasCode(err, ipc.CodeBusy) || !strings.Contains(err.Error(), "profile dev needs an MFA code") {
			t.Errorf("beside one that waits for a code: %v, want to be told of it", err)
		}
		do[ipc.MFAResult](r, ipc.OpMFA, ipc.MFAParams{Code: r.aws.code(annMFA, 0)})
		<-h.done
		_, err = r.serve(t.Context(), run, ipc.Request{Op: ipc.OpCredentials}, &talk{params: params, full: full})
		if err != nil {
			t.Errorf("from memory: %v", err)
		}
	})
}

// TestFullHouseForAnUnknownKey: who waits until AWS says whose key it is takes
// a seat, too.
func TestFullHouseForAnUnknownKey(t *testing.T) {
	bubble(t, newRig, func(t *testing.T, r *rig) {
		r.add("dev", annKey, ipc.KeyDetails{SerialNumber: annMFA})
		run, _ := r.operation(ipc.OpCredentials)
		_, err := r.serve(t.Context(), run, ipc.Request{Op: ipc.OpCredentials},
			&talk{params: []byte(`{"profile":"dev"}`), full: &ipc.Error{Code: ipc.CodeBusy, Message: "full"}})
		wantCode(t, "without a seat", err, ipc.CodeBusy)
		if n := r.aws.allCalls(); n != 0 {
			t.Errorf("%d calls were made for it: %q", n, r.aws.seenCalls())
		}
	})
}
