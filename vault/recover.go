// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"credbroker/internal/ipc"
)

// recover lists what is left of ours in a store, for an index to be rebuilt
// from. Every item is in the result: one that cannot be used says why.
func (w *Worker) recover(ctx context.Context, p ipc.RecoverParams) (any, error) {
	store, err := w.open(ctx, p.Store, false)
	if err != nil {
		return nil, fmt.Errorf("open the %s vault: %w", p.Store.Backend, err)
	}
	names, err := store.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the %s vault: %w", p.Store.Backend, err)
	}
	if len(names) == 0 {
		// Some stores list nothing when they are locked, and call that success.
		if err := store.Probe(ctx); err != nil {
			return nil, fmt.Errorf("list the %s vault: %w", p.Store.Backend, err)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	result := ipc.RecoverResult{Keys: []ipc.RecoveredKey{}}
	offline := map[string]error{} // a partition that cannot be reached is not tried for each key
	for i, name := range names {
		r, err := store.Read(ctx, name)
		if errors.Is(err, errProbe) || errors.Is(err, errSeal) {
			continue
		}
		if cause := closed(ctx, store, err); cause != nil {
			return nil, fmt.Errorf("read key %d of %d: %w", i+1, len(names), cause)
		}
		if err != nil {
			result.Keys = append(result.Keys, ipc.RecoveredKey{
				Item: fmt.Sprintf("%.80s", printable(name)), Devices: []ipc.MFADevice{}, Error: wire(fmt.Errorf("read a key: %w", err)),
			})
			continue
		}
		key := recovered(r)
		to := reaching(p.AWS, r)
		if err := offline[to.Partition]; err != nil {
			key.Error = wire(err)
		} else {
			offline[to.Partition] = w.confirm(ctx, to, r, &key)
		}
		result.Keys = append(result.Keys, key)
	}
	return result, nil
}

// reaching returns the way to AWS for a record. No profile says where its key is
// at home, and another partition than its own does not know it: a key that is
// well would pass for one that was deleted.
func reaching(to ipc.AWS, r Record) ipc.AWS {
	for _, arn := range []string{r.ARN, r.MFA.SerialNumber} {
		if p := strings.SplitN(arn, ":", 6); len(p) == 6 && p[0] == "arn" && p[1] != "" {
			to.Partition = p[1]
			break
		}
	}
	return to
}

// closed returns why the store, and not the item, is to blame for an item that
// could not be read. An index without the keys of a store that was locked
// meanwhile would pass for a whole one.
func closed(ctx context.Context, store *Store, err error) error {
	for _, kind := range []error{ErrLocked, ErrDenied, ErrTimeout, ErrGone} {
		if errors.Is(err, kind) {
			return err
		}
	}
	if errors.Is(err, ErrNotFound) { // it was listed: see Get
		return store.Probe(ctx)
	}
	return ctx.Err()
}

// recovered is what a record says about itself.
func recovered(r Record) ipc.RecoveredKey {
	return ipc.RecoveredKey{
		Item: r.Item, Profile: r.Profile, AccessKeyID: r.AccessKeyID, StoredAt: r.StoredAt, MFAChoice: r.MFA,
		Identity: ipc.Identity{AccountID: r.AccountID, ARN: r.ARN}, Devices: []ipc.MFADevice{},
	}
}

// confirm asks AWS about a recovered key. It returns an error only if there is
// no sense in asking about another.
func (w *Worker) confirm(ctx context.Context, to ipc.AWS, r Record, key *ipc.RecoveredKey) error {
	id, err := w.identify(ctx, to, r)
	if err != nil {
		key.Error = wire(err)
		if unreached(key.Error.Code) || ctx.Err() != nil {
			return err
		}
		return nil
	}
	key.Identity = id
	// A user may not be allowed to list devices; the key is whole without.
	if devices, err := w.devices(ctx, to, r, id.UserName); err == nil {
		key.Devices = devices
	}
	return nil
}

// printable returns a name found in a store in a form that a terminal can show.
func printable(name string) string {
	if ValidName(name) {
		return name
	}
	return fmt.Sprintf("%+q", name)
}

// unreached reports whether AWS cannot be asked at all, whatever the key.
func unreached(code ipc.Code) bool {
	switch code {
	case ipc.CodeAWSUnreachable, ipc.CodeAWSSlow, ipc.CodeAWSCertificate, ipc.CodeAWSProxy:
		return true
	}
	return false
}
