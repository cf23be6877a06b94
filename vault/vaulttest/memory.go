// SPDX-License-Identifier: Apache-2.0

package vaulttest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"syscall"

	"credbroker/vault"
)

// Fault is a way in which a Memory fails.
type Fault int

// The faults. Each is one that a real store was seen to have.
const (
	None      Fault = iota
	Locked          // every call says so
	Denied          // every call says so
	Hanging         // every call waits for its context to end
	Vanished        // every call says that the store is gone
	Masking         // reads say "not found" of everything, as macOS does when it means "not now"
	Lying           // reads return another item's data
	Torn            // writes keep half of the data and report success
	Forgetful       // writes keep nothing and report success, as KWallet does
	Full            // writes fail for want of space
	Sticky          // deletes report success and delete nothing
	Mute            // every call says that it is locked, but the list, which is empty
	Stutter         // the list has each item twice
)

// Memory is a Backend in memory. The zero value is empty and works. It may be
// used by several goroutines.
type Memory struct {
	mu    sync.Mutex
	items map[string][]byte
	fault Fault
	calls []string
}

var _ vault.Backend = (*Memory)(nil)

// Break makes every call from now on fail as f says; None mends.
func (m *Memory) Break(f Fault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = f
}

// Items returns a copy of what is stored.
func (m *Memory) Items() map[string][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.items)
}

// Plant stores an item behind the back of the store's users.
func (m *Memory) Plant(name string, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.plant(name, data)
}

// Calls returns the calls so far, as in "set broker.v1.…", and forgets them.
func (m *Memory) Calls() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	calls := m.calls
	m.calls = nil
	return calls
}

// Set implements vault.Backend.
func (m *Memory) Set(ctx context.Context, name string, data []byte) error {
	fault, err := m.begin(ctx, "set", name)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.items[name]; ok {
		return &vault.Error{Kind: vault.ErrExists, Text: "item " + name + " is in memory already"}
	}
	switch fault {
	case Full:
		return &vault.Error{Kind: vault.ErrFull, Text: "write item " + name, Err: syscall.ENOSPC}
	case Torn:
		m.plant(name, data[:len(data)/2])
	case Forgetful:
	default:
		m.plant(name, data)
	}
	return nil
}

// Get implements vault.Backend.
func (m *Memory) Get(ctx context.Context, name string) ([]byte, error) {
	fault, err := m.begin(ctx, "get", name)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.items[name]
	if fault == Lying {
		for _, other := range slices.Sorted(maps.Keys(m.items)) {
			if other != name {
				data, ok = m.items[other], true
				break
			}
		}
	}
	if !ok || fault == Masking {
		return nil, &vault.Error{Kind: vault.ErrNotFound, Text: "item " + name + " is not in memory"}
	}
	return slices.Clone(data), nil
}

// Delete implements vault.Backend.
func (m *Memory) Delete(ctx context.Context, name string) error {
	fault, err := m.begin(ctx, "delete", name)
	if err != nil || fault == Sticky {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.items, name)
	return nil
}

// List implements vault.Backend.
func (m *Memory) List(ctx context.Context) ([]string, error) {
	fault, err := m.begin(ctx, "list", vault.Prefix)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for name := range m.items {
		if vault.Ours(name) && fault != Mute {
			names = append(names, name)
		}
	}
	if fault == Stutter {
		names = append(names, names...)
	}
	return names, nil
}

func (m *Memory) plant(name string, data []byte) {
	if m.items == nil {
		m.items = map[string][]byte{}
	}
	m.items[name] = slices.Clone(data)
}

// begin notes a call and carries out the faults that no call survives.
func (m *Memory) begin(ctx context.Context, call, name string) (Fault, error) {
	m.mu.Lock()
	fault := m.fault
	m.calls = append(m.calls, call+" "+name)
	m.mu.Unlock()
	if !vault.Ours(name) || call != "list" && !vault.ValidName(name) {
		return fault, &vault.Error{Kind: vault.ErrCorrupt, Text: fmt.Sprintf("%.40q is not the name of an item", name)}
	}
	switch fault {
	case Mute:
		if call == "list" {
			return fault, nil
		}
		fallthrough
	case Locked:
		return fault, &vault.Error{Kind: vault.ErrLocked, Text: "memory is locked"}
	case Denied:
		return fault, &vault.Error{Kind: vault.ErrDenied, Text: "memory is denied"}
	case Vanished:
		return fault, &vault.Error{Kind: vault.ErrGone, Text: "memory is gone"}
	case Hanging:
		<-ctx.Done()
		return fault, fmt.Errorf("%s item %s: %w", call, name, ctx.Err())
	}
	return fault, nil
}
