// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"
)

// Backend is a place that holds small items by name. Every method returns when
// its context ends, wrapping ErrTimeout if that was its deadline, and may be
// called by several goroutines. Errors wrap the sentinels of this package.
//
// A Backend may be asked for items that are not ours and for names that are
// not valid: it refuses both with ErrCorrupt before it touches anything.
type Backend interface {
	// Set creates an item. It returns ErrExists, and changes nothing, if there
	// is one of that name.
	Set(ctx context.Context, name string, data []byte) error
	// Get returns the data of an item, or ErrNotFound.
	Get(ctx context.Context, name string) ([]byte, error)
	// Delete removes an item. ErrNotFound and nil both mean that it is gone.
	Delete(ctx context.Context, name string) error
	// List returns the names that Ours accepts, and reads no item for it. Only
	// Recover needs it.
	List(ctx context.Context) ([]string, error)
}

// Store is the rules of this package on top of a Backend. It may be used by
// several goroutines.
type Store struct {
	backend Backend
	limit   time.Duration
	random  io.Reader
}

// NewStore returns a Store whose every call of the backend ends after limit.
func NewStore(b Backend, limit time.Duration) *Store {
	return &Store{backend: b, limit: limit, random: rand.Reader}
}

// Put stores a record as a new item, reads it back and compares. It returns
// ErrExists if there is an item of that name, which it leaves as it is.
func (s *Store) Put(ctx context.Context, r Record) error {
	data, err := r.encode()
	if err != nil {
		return err
	}
	return s.create(ctx, r.Item, data)
}

// Get returns the record of an item that must be there, stored for this profile
// and key. It returns ErrMismatch for another's, and ErrCorrupt if the store
// works but does not have the item.
func (s *Store) Get(ctx context.Context, name, profile, accessKeyID string) (Record, error) {
	r, err := s.Read(ctx, name)
	if errors.Is(err, ErrNotFound) {
		// Some stores say "not found" when they mean "not now". What the index
		// has is believed to be missing only from a store that can be seen to
		// keep things.
		if probeErr := s.Probe(ctx); probeErr != nil {
			return Record{}, probeErr
		}
		return Record{}, &Error{Kind: ErrCorrupt, Text: "item " + name + " is missing from the store, which works otherwise"}
	}
	if err != nil {
		return Record{}, err
	}
	return r, r.bound(profile, accessKeyID)
}

// Read returns the record of an item, whoever's it is, or ErrNotFound: on the
// store's word alone.
func (s *Store) Read(ctx context.Context, name string) (Record, error) {
	if err := checkName(name); err != nil {
		return Record{}, err
	}
	data, err := s.get(ctx, name)
	if err != nil {
		return Record{}, err
	}
	return decodeRecord(name, data)
}

// Delete removes the item of this profile and key and proves it absent. An item
// that is gone already is a success, if the store works otherwise. One that is
// damaged beyond reading is removed, since no key can be lost with it; one that
// was stored for another profile or key is refused.
func (s *Store) Delete(ctx context.Context, name, profile, accessKeyID string) error {
	r, err := s.Read(ctx, name)
	switch {
	case errors.Is(err, ErrNotFound):
		return s.Probe(ctx)
	case errors.Is(err, ErrCorrupt):
	case err != nil:
		return err
	default:
		if err := r.bound(profile, accessKeyID); err != nil {
			return err
		}
	}
	return s.remove(ctx, name)
}

// Probe proves that the store keeps things: it writes a dummy item under a new
// name, reads it back and deletes it.
func (s *Store) Probe(ctx context.Context) error {
	name, err := NewName(s.random)
	if err != nil {
		return err
	}
	return s.ProbeItem(ctx, name)
}

// ProbeItem is Probe with a name of the caller's, which must be new.
func (s *Store) ProbeItem(ctx context.Context, name string) error {
	var dummy [32]byte
	if _, err := io.ReadFull(s.random, dummy[:]); err != nil {
		return fmt.Errorf("probe the store: %w", err)
	}
	data := hex.AppendEncode([]byte(probeMark), dummy[:])
	if err := s.create(ctx, name, data); err != nil {
		return fmt.Errorf("probe the store: %w", err)
	}
	if err := s.remove(ctx, name); err != nil {
		return fmt.Errorf("probe the store: %w", err)
	}
	return nil
}

// List returns the names of all items of ours, valid or not, in no order.
func (s *Store) List(ctx context.Context) ([]string, error) {
	var names []string
	err := s.call(ctx, func(ctx context.Context) (err error) {
		names, err = s.backend.List(ctx)
		return err
	})
	return names, err
}

// create writes a new item and compares what the store then has of it.
func (s *Store) create(ctx context.Context, name string, data []byte) error {
	if err := checkName(name); err != nil {
		return err
	}
	if err := s.call(ctx, func(ctx context.Context) error { return s.backend.Set(ctx, name, data) }); err != nil {
		return err
	}
	back, err := s.get(ctx, name)
	if err == nil && bytes.Equal(back, data) {
		return nil
	}
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrCorrupt) {
		return fmt.Errorf("read back item %s: %w", name, err)
	}
	// The item is new and worthless. That it may stay behind harms nobody: no
	// index will ever name it.
	_ = s.call(ctx, func(ctx context.Context) error { return s.backend.Delete(ctx, name) })
	return &Error{
		Kind: ErrCorrupt, Text: "the store did not keep item " + name + " as it was written",
		Hint: "check the free space and health of the disk that the store is on, and try again",
	}
}

// remove deletes an item and proves it absent. What stores answer to the
// deletion of something absent differs, so only the proof counts.
func (s *Store) remove(ctx context.Context, name string) error {
	err := s.call(ctx, func(ctx context.Context) error { return s.backend.Delete(ctx, name) })
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	switch _, err := s.get(ctx, name); {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil && !errors.Is(err, ErrCorrupt):
		return fmt.Errorf("prove that item %s is deleted: %w", name, err)
	}
	return &Error{Kind: ErrDenied, Text: "the store kept item " + name + " though it was deleted"}
}

func (s *Store) get(ctx context.Context, name string) ([]byte, error) {
	var data []byte
	err := s.call(ctx, func(ctx context.Context) (err error) {
		data, err = s.backend.Get(ctx, name)
		return err
	})
	return data, err
}

// call runs one call of the backend under its deadline.
func (s *Store) call(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	err := f(ctx)
	if errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrTimeout) {
		return &Error{Kind: ErrTimeout, Text: fmt.Sprintf("the store did not answer within %v", s.limit)}
	}
	return err
}

func checkName(name string) error {
	if ValidName(name) {
		return nil
	}
	return &Error{Kind: ErrCorrupt, Text: fmt.Sprintf("%.40q is not the name of an item", name)}
}
