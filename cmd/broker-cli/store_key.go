// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// newKey is a key on its way into the vault, and what the user said of it.
type newKey struct {
	profile     string
	accessKeyID string
	// put has a worker store the key as a new item: the one step in which its
	// secret is seen.
	put       func(ctx context.Context, item ipc.ItemParams, choice ipc.MFAChoice) (ipc.PutResult, error)
	mfaSerial string
	noMFA     bool
	noVerify  bool
	replace   bool
	again     string // the command that stores it, for hints: "broker add dev"
}

// storeKey stores one key. The daemon names the place, the worker stores the
// key there, and only what the daemon then adopts exists: whatever fails on the
// way, the profile keeps the key it had.
func (a *app) storeKey(ctx context.Context, n newKey) (ipc.Key, error) {
	place, err := a.reserve(ctx, ipc.ReserveParams{Profile: n.profile, AccessKeyID: n.accessKeyID, Replace: n.replace})
	if err != nil {
		return ipc.Key{}, err
	}
	item := ipc.ItemParams{Store: place.Store, Item: place.Item, Profile: n.profile, AccessKeyID: n.accessKeyID, AWS: place.AWS}
	stored, err := n.put(ctx, item, ipc.MFAChoice{SerialNumber: n.mfaSerial, NoMFA: n.noMFA})
	if client.HasCode(err, ipc.CodeInternal, ipc.CodeProtocol, ipc.CodeDeadline, ipc.CodeKeychainTimeout) {
		err = errors.Join(err, a.discard(ctx, item)) // a worker that did not get to say how it ended may have stored it
	}
	if err != nil {
		return ipc.Key{}, err
	}
	serial, err := a.device(ctx, n, place.SerialNumber, stored)
	if err != nil {
		return ipc.Key{}, errors.Join(err, a.discard(ctx, item))
	}
	return a.adopt(ctx, item, ipc.AdoptParams{
		Item: item.Item, Profile: n.profile, AccessKeyID: item.AccessKeyID, Replace: n.replace,
		KeyDetails: ipc.KeyDetails{
			AccountID: stored.Identity.AccountID, ARN: stored.Identity.ARN, UserName: stored.Identity.UserName,
			SerialNumber: serial, NoMFA: n.noMFA, Region: place.Region,
		},
	})
}

// reserve asks the daemon for a place in the vault, which the user is let
// unlock first.
func (a *app) reserve(ctx context.Context, params ipc.ReserveParams) (place ipc.Reservation, err error) {
	err = a.Unlocked(ctx, func() error { return a.Call(ctx, ipc.OpReserve, params, &place) })
	return place, err
}

// putPair returns the step that stores a key which this program holds.
func (a *app) putPair(key keyPair, noVerify bool) func(context.Context, ipc.ItemParams, ipc.MFAChoice) (ipc.PutResult, error) {
	return func(ctx context.Context, item ipc.ItemParams, choice ipc.MFAChoice) (stored ipc.PutResult, err error) {
		err = a.vault(ctx, item.Store, ipc.OpPut, ipc.PutParams{
			Item: item.Item, Store: item.Store, AWS: item.AWS, Profile: item.Profile,
			AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey, NoVerify: noVerify, MFAChoice: choice,
		}, &stored)
		return stored, err
	}
}

// adoptGrace is how long an interrupt waits for the answer to adopt.
const adoptGrace = 5 * time.Second

// adopt enters the stored key into the index. From the moment that the daemon
// has the request, the item may be the only copy of the key that the index
// names, and the one before it deleted: the item is discarded only if the
// daemon says that it did not adopt it, and never because no answer came.
func (a *app) adopt(ctx context.Context, item ipc.ItemParams, params ipc.AdoptParams) (ipc.Key, error) {
	patient, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	defer context.AfterFunc(ctx, func() {
		time.AfterFunc(adoptGrace, func() { stop(context.Cause(ctx)) })
	})()
	var key ipc.Key
	err := a.Call(patient, ipc.OpAdopt, params, &key)
	switch {
	case err == nil:
		return key, nil
	case client.HasCode(err, ipc.CodeUsage, ipc.CodeKeyInvalid, ipc.CodeKeyExists, ipc.CodeNotInitialised):
		return key, errors.Join(err, a.discard(ctx, item))
	}
	return key, fmt.Errorf("enter key %s into the index, which broker list shows; it stays in the store, where broker recover finds it: %w", item.AccessKeyID, err)
}

// discard deletes an item that the index does not have, also when the user
// interrupted us.
func (a *app) discard(ctx context.Context, item ipc.ItemParams) error {
	if err := a.vault(context.WithoutCancel(ctx), item.Store, ipc.OpDelete, item, nil); err != nil {
		return fmt.Errorf("delete item %s again: %w", item.Item, err)
	}
	return nil
}
