// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"credbroker/internal/ipc"
)

const (
	// strayLife is how long what a hunt found is good for, and strayRetry when
	// the next one is after a store that was locked.
	strayLife  = 24 * time.Hour
	strayRetry = time.Hour
	// promiseLife is how long a client may take to store a key in its place: it
	// may ask its user which MFA device it is.
	promiseLife = 10 * time.Minute
)

// strayState is what is known of items in the vault that nobody knows of. The
// zero value is nothing. It has a lock of its own, which is never held while
// something is waited for.
type strayState struct {
	mu       sync.Mutex
	promises map[string]time.Duration // items of clients that are about to store: until when, by boot clock
	hunted   bool
	next     time.Duration // when the next hunt is, by boot clock
	seen     []string      // by the last hunt
	named    []string      // by the last two: what only one saw was somebody's at work
	more     int
}

// promise notes that a client is about to store an item.
func (s *strayState) promise(item string, now time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.promises == nil {
		s.promises = map[string]time.Duration{}
	}
	maps.DeleteFunc(s.promises, func(_ string, until time.Duration) bool { return now > until })
	s.promises[item] = now + promiseLife
}

// promised returns the items that clients are about to store.
func (s *strayState) promised(now time.Duration) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.promises, func(_ string, until time.Duration) bool { return now > until })
	return slices.Sorted(maps.Keys(s.promises))
}

// knownItems returns every item that the index, a journal, or a client at work
// explains.
func (b *Broker) knownItems() (map[string]bool, error) {
	known := map[string]bool{}
	b.rotations.mu.Lock()
	broken := len(b.rotations.broken) > 0
	for _, r := range b.rotations.all {
		for _, item := range r.journal.Items() {
			known[item] = true
		}
	}
	b.rotations.mu.Unlock()
	if broken {
		return nil, fail(ipc.CodeStorage, "", "a journal of a rotation cannot be read")
	}
	s, err := b.index.whole()
	if err != nil {
		return nil, err
	}
	for _, r := range s.Keys {
		known[r.Item] = true
	}
	for _, d := range s.Doomed {
		known[d.Item] = true
	}
	for _, item := range b.strays.promised(b.opts.Clock.Boot()) {
		known[item] = true
	}
	return known, nil
}

// huntStrays looks, once a day and after the start, for items of ours in the
// vault that nobody knows of: a client was killed before it could say that it
// had stored one, or the index is an older one. Names are all that is asked for,
// and no store is unlocked for it; that of macOS, which cannot be told, is left
// to broker doctor.
func (b *Broker) huntStrays(ctx context.Context) {
	now := b.opts.Clock.Boot()
	b.strays.mu.Lock()
	due := !b.strays.hunted || now >= b.strays.next
	b.strays.mu.Unlock()
	v := b.files.current()
	if !due || v.settings.Vault.Backend == "" || v.settings.Vault.Backend == "keychain" || b.opened() != nil {
		return
	}
	known, err := b.knownItems()
	if err != nil || len(known) > ipc.MostKnown {
		return
	}
	store := v.store(b.opts)
	store.Silent = true
	found, err := b.opts.Worker.Strays(ctx, ipc.StraysParams{Store: store, Known: slices.Sorted(maps.Keys(known))})
	if err != nil {
		b.opts.Log.LogAttrs(ctx, slog.LevelDebug, "items without an index not looked for", slog.Any("error", err))
	}
	b.strays.keep(found, now, err)
}

// keep notes what a hunt found.
func (s *strayState) keep(found ipc.Strays, now time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hunted = true
	if err != nil {
		s.next = now + strayRetry
		return
	}
	seen := make([]string, 0, len(found.Items))
	for _, stray := range found.Items {
		seen = append(seen, stray.Item)
	}
	s.named = slices.DeleteFunc(slices.Clone(seen), func(item string) bool { return !slices.Contains(s.seen, item) })
	s.next = now + strayLife
	if len(s.named) < len(seen) {
		s.next = now // with the next tick
	}
	s.seen, s.more = seen, found.More
}

// strayProblems is what status says of items that nobody knows of. What has got
// its explanation since the hunt is left out.
func (b *Broker) strayProblems() []ipc.Error {
	known, err := b.knownItems()
	if err != nil {
		return nil // status says so
	}
	b.strays.mu.Lock()
	named, more := slices.Clone(b.strays.named), b.strays.more
	b.strays.mu.Unlock()
	named = slices.DeleteFunc(named, func(item string) bool { return known[item] })
	var list []ipc.Error
	for _, item := range named {
		list = append(list, *ipc.Stray{Item: item}.Problem())
	}
	if more > 0 && len(named) > 0 {
		list = append(list, *fail(ipc.CodeKeyUnexplained, "rebuild the index: broker recover", "the vault has %d more items that neither index nor journal names", more))
	}
	return list
}

// removeStray deletes an item that nobody knows of. What it holds, the client
// has read: the worker deletes nothing else in its place.
func (b *Broker) removeStray(ctx context.Context, p ipc.RemoveParams) (any, error) {
	if !itemShape.MatchString(p.Item) {
		return nil, fail(ipc.CodeUsage, "broker doctor names them", "%.80q is not the name of an item", p.Item)
	}
	b.beginning.Lock() // no journal gets an item meanwhile
	defer b.beginning.Unlock()
	known, err := b.knownItems()
	if err != nil {
		return nil, err
	}
	if known[p.Item] {
		return nil, fail(ipc.CodeRefused, "to forget the key of a profile: broker remove PROFILE", "item %s is in use, or about to be", p.Item)
	}
	if err := b.opened(); err != nil {
		return nil, err
	}
	if err := b.deleteItem(ctx, doomed{p.Profile, p.AccessKeyID, p.Item}, false); err != nil {
		return nil, err
	}
	b.strays.forget(p.Item)
	b.opts.Log.LogAttrs(ctx, slog.LevelInfo, "item removed", slog.String("item", p.Item), slog.String("access_key_id", p.AccessKeyID))
	return ipc.Key{Profile: p.Profile, AccessKeyID: p.AccessKeyID}, nil
}

// forget drops an item that is gone, or in the index.
func (s *strayState) forget(item string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.promises, item)
	s.named = slices.DeleteFunc(s.named, func(name string) bool { return name == item })
}
