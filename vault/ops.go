// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"credbroker/internal/ipc"
)

// done is the result of an operation that has none.
type done struct{}

func (w *Worker) probe(ctx context.Context, p ipc.ProbeParams) (any, error) {
	store, err := w.open(ctx, p.Store, p.Create)
	if err != nil {
		return nil, fmt.Errorf("open the %s vault: %w", p.Store.Backend, err)
	}
	if err := store.ProbeItem(ctx, p.Item); err != nil {
		return nil, fmt.Errorf("try the %s vault: %w", p.Store.Backend, err)
	}
	return done{}, nil
}

func (w *Worker) delete(ctx context.Context, p ipc.ItemParams) (any, error) {
	store, err := w.open(ctx, p.Store, false)
	if err == nil {
		err = store.Delete(ctx, p.Item, p.Profile, p.AccessKeyID)
	}
	if err != nil {
		return nil, about("delete", p, err)
	}
	return done{}, nil
}

func (w *Worker) sessionToken(ctx context.Context, p ipc.SessionTokenParams) (any, error) {
	r, err := w.read(ctx, p.ItemParams)
	if err != nil {
		return nil, err // before AWS: no code is spent
	}
	var document json.RawMessage
	err = w.aws(ctx, p.AWS, r, func(ctx context.Context, aws AWS) (err error) {
		document, err = aws.GetSessionToken(ctx, SessionToken{
			SerialNumber:    p.SerialNumber,
			TokenCode:       p.TokenCode,
			DurationSeconds: p.DurationSeconds,
			AccountID:       r.AccountID,
		})
		return err
	})
	if err != nil {
		failure := wire(about("get a session for", p.ItemParams, err))
		failure.Spent = p.TokenCode != "" && sent(err)
		return nil, failure
	}
	return document, nil
}

// sent reports whether a call that failed may have left this machine. What is
// not known to have stayed here counts as sent.
func sent(err error) bool {
	var refused *AWSError
	return !errors.As(err, &refused) || refused.Sent
}

func (w *Worker) callerIdentity(ctx context.Context, p ipc.ItemParams) (any, error) {
	r, err := w.read(ctx, p)
	if err != nil {
		return nil, err
	}
	return w.identify(ctx, p.AWS, r)
}

func (w *Worker) listMFADevices(ctx context.Context, p ipc.ItemParams) (any, error) {
	r, err := w.read(ctx, p)
	if err != nil {
		return nil, err
	}
	devices, err := w.devices(ctx, p.AWS, r, "")
	if err != nil {
		return nil, err
	}
	return ipc.MFADevices{Devices: devices}, nil
}

// read returns the key that a request names, bound to what the request says.
func (w *Worker) read(ctx context.Context, p ipc.ItemParams) (Record, error) {
	store, err := w.open(ctx, p.Store, false)
	if err != nil {
		return Record{}, about("read", p, err)
	}
	r, err := store.Get(ctx, p.Item, p.Profile, p.AccessKeyID)
	if err != nil {
		return Record{}, about("read", p, err)
	}
	return r, nil
}

// about says which key an error is about, as far as the names may be repeated.
func about(act string, p ipc.ItemParams, err error) error {
	if !keyID.MatchString(p.AccessKeyID) || !profileName.MatchString(p.Profile) {
		return fmt.Errorf("%s a key: %w", act, err)
	}
	return fmt.Errorf("%s key %s of profile %s: %w", act, p.AccessKeyID, p.Profile, err)
}

// identify asks AWS whose key it is. A key belongs to one account for ever, so
// another one than was recorded means that it is not AWS that answers.
func (w *Worker) identify(ctx context.Context, to ipc.AWS, r Record) (ipc.Identity, error) {
	var id ipc.Identity
	err := w.aws(ctx, to, r, func(ctx context.Context, aws AWS) (err error) {
		id, err = aws.GetCallerIdentity(ctx)
		return err
	})
	if err != nil {
		return ipc.Identity{}, fmt.Errorf("ask AWS whose key %s is: %w", r.AccessKeyID, err)
	}
	if r.AccountID != "" && id.AccountID != r.AccountID {
		return ipc.Identity{}, &AWSError{Code: ipc.CodeAWSGarbage, Sent: true, Message: fmt.Sprintf(
			"ask AWS whose key %s is: the answer is account %s, and it was stored as one of %s", r.AccessKeyID, id.AccountID, r.AccountID)}
	}
	return id, nil
}

// devices lists the MFA devices of a key's user; never nil without an error.
func (w *Worker) devices(ctx context.Context, to ipc.AWS, r Record, userName string) ([]ipc.MFADevice, error) {
	devices := []ipc.MFADevice{}
	err := w.aws(ctx, to, r, func(ctx context.Context, aws AWS) error {
		found, err := aws.ListMFADevices(ctx, userName)
		devices = append(devices, found...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the MFA devices of key %s: %w", r.AccessKeyID, err)
	}
	return devices, nil
}
