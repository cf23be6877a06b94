// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"crypto/sha256"
	"time"
)

// codeMemory is how long a used code is remembered: AWS takes a code of the
// step before, the step itself and the one after, 30 s each.
const codeMemory = 90 * time.Second

// device is one MFA device. Its prompts and codes come one after the other,
// because a code works once.
type device struct {
	turn chan struct{}                       // holds one token while nobody asks
	used map[[sha256.Size]byte]time.Duration // codes, by the boot clock of their use; guarded by Broker.mu
	runs storm                               // of mfa_command; guarded by Broker.mu
}

// device returns the device of a serial number.
func (b *Broker) device(serial string) *device {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := b.devices[serial]
	if d == nil {
		d = &device{turn: make(chan struct{}, 1), used: map[[sha256.Size]byte]time.Duration{}}
		d.turn <- struct{}{}
		b.devices[serial] = d
	}
	return d
}

// claim marks a code as used. It reports false if it was already.
func (b *Broker) claim(d *device, code string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.opts.Clock.Boot()
	for h, at := range d.used {
		if now-at >= codeMemory {
			delete(d.used, h)
		}
	}
	h := sha256.Sum256([]byte(code))
	if _, used := d.used[h]; used {
		return false
	}
	d.used[h] = now
	return true
}

// release takes back the claim of a code that never left this machine.
func (b *Broker) release(d *device, code string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(d.used, sha256.Sum256([]byte(code)))
}
