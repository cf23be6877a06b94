// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"credbroker/internal/ipc"
)

// strays lists the items of ours in a store that the caller does not know of. No
// item that is known is read, and no other one unless that is asked for.
func (w *Worker) strays(ctx context.Context, p ipc.StraysParams) (any, error) {
	store, err := w.open(ctx, p.Store, false)
	if err != nil {
		return nil, fmt.Errorf("open the %s vault: %w", p.Store.Backend, err)
	}
	names, err := store.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the %s vault: %w", p.Store.Backend, err)
	}
	slices.Sort(names)
	names = slices.DeleteFunc(slices.Compact(names), func(name string) bool { return slices.Contains(p.Known, name) })
	found := ipc.Strays{Items: []ipc.Stray{}, More: max(0, len(names)-ipc.MostStrays)}
	for _, name := range names[:len(names)-found.More] {
		stray := ipc.Stray{Item: fmt.Sprintf("%.80s", printable(name))}
		if p.Read {
			r, err := store.Read(ctx, name)
			if errors.Is(err, ErrNotFound) {
				continue // somebody was about to delete it
			}
			if err != nil {
				stray.Error = wire(err)
			} else {
				stray.Profile, stray.AccessKeyID, stray.StoredAt = r.Profile, r.AccessKeyID, r.StoredAt
			}
		}
		found.Items = append(found.Items, stray)
	}
	return found, nil
}
