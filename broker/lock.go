// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"log/slog"
	"time"

	"credbroker/internal/ipc"
)

// letGo is how long who holds the vault's key has to end when it is told to.
// Then it is killed.
const letGo = 2 * time.Second

// byLock and byRevoke are the commands that drop sessions.
const (
	byLock   = "broker lock"
	byRevoke = "broker revoke"
)

// locks counts what broker lock, or a revocation, has done. A session that was
// begun before the last lock of its key is served to nobody, however it comes
// about. It is guarded by Broker.mu.
type locks struct {
	all  uint64
	keys map[string]uint64 // by access key ID
	by   map[string]string // which command the last one was; by access key ID, byLock if it is not there
}

func (l *locks) of(accessKeyID string) uint64 { return l.all + l.keys[accessKeyID] }

// vaultState is whether a vault that opens with a passphrase is open. It is
// guarded by Broker.mu.
type vaultState struct {
	holder  *holder // nil: locked
	leaving *holder // the last one that was told to end, or nil
	since   time.Time
}

// holder is the process that holds the vault's key, as the daemon knows it: by
// a conversation that lasts as long as the process.
type holder struct {
	idleLimit int           // seconds
	lock      chan struct{} // closed when it is to end
	gone      chan struct{} // closed when it has
}

// typed reports whether the keys lie in a vault that opens with a passphrase.
func (v *view) typed() bool {
	return v.settings.Vault.Backend == "file" && v.settings.Vault.PassphraseFile == ""
}

// opened fails while nothing can be made of a key because its vault is locked:
// then nobody need be asked for a code, nor be kept waiting for one.
func (b *Broker) opened() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.openedLocked()
}

func (b *Broker) openedLocked() error {
	if b.vault.holder != nil || !b.files.current().typed() {
		return nil
	}
	return fail(ipc.CodeKeychainLocked, "open it: broker unlock", "the vault is locked")
}

// droppedLocked is the answer to who waited for what a lock of the key has
// dropped.
func (b *Broker) droppedLocked(profile, accessKeyID string) error {
	if err := b.openedLocked(); err != nil {
		return wrap(err, "profile %s", profile)
	}
	by, hint := byLock, "try again: a new session is made"
	if b.locks.by[accessKeyID] == byRevoke {
		by, hint = byRevoke, "see whether the key itself is revoked: broker list; if not, try again: a new session is made"
	}
	return fail(ipc.CodeMFARequired, hint, "profile %s: %s dropped the session while it was being made", profile, by)
}

// stands returns an error if e was begun before the last lock of its key.
func (b *Broker) stands(e *entry, profile string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.standsLocked(e, profile)
}

func (b *Broker) standsLocked(e *entry, profile string) error {
	if e.lock == b.locks.of(e.id.accessKeyID) {
		return nil
	}
	return b.droppedLocked(profile, e.id.accessKeyID)
}

// lockOf returns what a session of p that begins now is marked with.
func (b *Broker) lockOf(p *plan) uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.locks.of(p.id.accessKeyID)
}

// opLock forgets the sessions of one key, or all of them and the key of the
// vault. It answers when that is so: who holds the key is gone by then.
func (b *Broker) opLock(ctx context.Context, _ ipc.Request, c conversation) (any, error) {
	var params ipc.LockParams
	if err := c.Decode(&params); err != nil {
		return nil, err
	}
	key := ""
	if params.Profile != "" {
		var err error
		if key, err = b.keyOf(params.Profile); err != nil {
			return nil, err
		}
	}
	b.refresh()
	result, leaving := b.forget(key, byLock)
	b.opts.Log.LogAttrs(ctx, slog.LevelInfo, "locked", slog.String("profile", params.Profile),
		slog.Int("sessions", result.Sessions), slog.Int("prompts", result.Prompts))
	if leaving != nil {
		select {
		case <-leaving.gone:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return result, nil
}

// keyOf returns the access key ID at which a profile begins. A profile with a
// key of its own is found whatever the AWS files say.
func (b *Broker) keyOf(profile string) (string, error) {
	keys, err := b.keys()
	if err != nil {
		return "", err
	}
	if key, ok := keys[profile]; ok {
		return key.AccessKeyID, nil
	}
	pl, err := b.planner()
	if err != nil {
		return "", err
	}
	p, err := pl.plan(profile)
	if err != nil {
		return "", err
	}
	return p.id.accessKeyID, nil
}

// forget drops the sessions of a key, or with "" everything, in one step: what
// is served after it was begun after it. by is the command that does it, and
// leaving who still has to end.
func (b *Broker) forget(accessKeyID, by string) (result ipc.LockResult, leaving *holder) {
	b.revoked.forget(accessKeyID)
	b.mu.Lock()
	defer b.mu.Unlock()
	hit := func(id sessionID) bool { return accessKeyID == "" || id.accessKeyID == accessKeyID }
	if accessKeyID == "" {
		b.locks.all++
		clear(b.locks.by)
		b.letGoLocked()
		leaving = b.vault.leaving
	} else {
		b.locks.keys[accessKeyID]++
		b.locks.by[accessKeyID] = by
	}
	for id := range b.sessions {
		if hit(id) {
			delete(b.sessions, id)
			result.Sessions++
		}
	}
	for key, e := range b.roles {
		if hit(e.id) {
			delete(b.roles, key)
			result.Sessions++
		}
	}
	result.Prompts = b.endFlightsLocked(hit)
	result.Vault = b.vaultLocked()
	return result, leaving
}

// endFlightsLocked ends the flights that hit chooses. A call that carries a
// code goes on, and its result is dropped when it comes.
func (b *Broker) endFlightsLocked(hit func(sessionID) bool) int {
	n := 0
	for id, f := range b.flights {
		if hit(id) {
			delete(b.flights, id)
			f.end(b.droppedLocked(f.plan.profile, id.accessKeyID))
			n++
		}
	}
	return n
}

// letGoLocked counts the vault as locked, and has its key forgotten.
func (b *Broker) letGoLocked() {
	if h := b.vault.holder; h != nil {
		b.vault = vaultState{leaving: h, since: b.opts.Clock.Now()}
		close(h.lock)
	}
}

// vaultLocked describes the vault for status; nil if it needs no passphrase.
func (b *Broker) vaultLocked() *ipc.VaultLock {
	if !b.files.current().typed() {
		return nil
	}
	l := &ipc.VaultLock{Locked: true, Since: b.vault.since.UTC()}
	if h := b.vault.holder; h != nil {
		l.Locked, l.IdleLimit = false, h.idleLimit
	}
	return l
}

// opHolding is the conversation with who holds the key of the vault. It lasts
// until either end is gone, or until lock.
func (b *Broker) opHolding(ctx context.Context, _ ipc.Request, c conversation) (any, error) {
	var params ipc.HoldingParams
	if err := c.Decode(&params); err != nil {
		return nil, err
	}
	if v := b.refresh(); !v.typed() {
		return nil, fail(ipc.CodeUsage, "", "the vault does not open with a passphrase: nobody need hold its key")
	}
	h := &holder{idleLimit: params.IdleLimit, lock: make(chan struct{}), gone: make(chan struct{})}
	b.mu.Lock()
	if b.vault.holder != nil {
		b.mu.Unlock()
		return ipc.Holding{Already: true}, nil
	}
	b.vault.holder, b.vault.since = h, b.opts.Clock.Now()
	b.mu.Unlock()
	defer b.released(h)
	b.opts.Log.LogAttrs(ctx, slog.LevelInfo, "vault unlocked")
	if err := c.Event(ipc.HoldingEvent{Accepted: true}); err != nil {
		return nil, err
	}
	b.tasks.start(ctx, func(ctx context.Context) { // what has waited for the vault
		b.awaitHolder(ctx, h)
		b.wakeRotations()
		b.deleteDoomed(ctx)
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-h.lock:
	}
	if c.Event(ipc.HoldingEvent{Lock: true}) == nil {
		patience := time.NewTimer(letGo)
		defer patience.Stop()
		select {
		case <-ctx.Done(): // it hung up, which it does by ending
			return nil, ctx.Err()
		case <-patience.C:
		}
	}
	if err := c.EndPeer(); err != nil {
		b.opts.Log.LogAttrs(ctx, slog.LevelWarn, "who holds the key of the vault does not end", slog.Any("error", err))
	}
	return ipc.Holding{}, nil
}

// askable is how long a holder that was accepted may take until workers can ask
// it: it has only its socket to make.
const askable = 5 * time.Second

// awaitHolder returns when workers can ask who holds the key of the vault. What
// would begin earlier would find the vault locked, and come again much later.
func (b *Broker) awaitHolder(ctx context.Context, h *holder) {
	enough := time.NewTimer(askable)
	defer enough.Stop()
	for !ipc.Reachable(b.opts.Places.HolderSocket) {
		again := time.NewTimer(10 * time.Millisecond)
		select {
		case <-again.C:
			continue
		case <-h.gone:
		case <-enough.C:
		case <-ctx.Done():
		}
		again.Stop()
		return
	}
}

// released notes that a holder is gone. Who waits for a code waits in vain.
func (b *Broker) released(h *holder) {
	if b.withdraw(h) {
		b.opts.Log.Info("vault locked: who held its key has ended")
	}
}

// withdraw takes a holder out, and reports whether that locked the vault.
func (b *Broker) withdraw(h *holder) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(h.gone)
	if b.vault.leaving == h {
		b.vault.leaving = nil
	}
	if b.vault.holder != h {
		return false
	}
	b.vault.holder, b.vault.since = nil, b.opts.Clock.Now()
	b.endFlightsLocked(func(sessionID) bool { return true })
	return true
}
