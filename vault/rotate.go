// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"credbroker/credproc"
	"credbroker/internal/ipc"
	"credbroker/internal/secret"
)

// IAM is what a worker asks of IAM about the keys of a user. Its errors are
// *AWSError. CreateAccessKey sends its request once.
type IAM interface {
	GetUser(ctx context.Context) error // of the caller; only whether it is let in matters
	ListAccessKeys(ctx context.Context, userName string) ([]ipc.KeyState, error)
	LastUsed(ctx context.Context, key *ipc.KeyState) error // fills in the last use
	CreateAccessKey(ctx context.Context, userName string) (accessKeyID string, key secret.String, err error)
	UpdateAccessKey(ctx context.Context, userName, accessKeyID string, active bool) error
	DeleteAccessKey(ctx context.Context, userName, accessKeyID string) error
	Policies
	// BeginReport has IAM make a report on the services that a user has used.
	// Report returns what it says once it is done.
	BeginReport(ctx context.Context, arn string) (job string, err error)
	Report(ctx context.Context, job string) (done bool, used []ipc.ServiceUse, err error)
}

// signed returns calls of IAM in the name that a request says.
func (w *Worker) signed(ctx context.Context, p ipc.IAMParams) (IAM, error) {
	if len(p.Session) > 0 {
		session, err := credproc.Parse(p.Session)
		if err != nil {
			return nil, &ipc.Error{Code: ipc.CodeProtocol, Message: "the session to sign with is malformed"}
		}
		if w.o.Session == nil {
			return nil, errors.New("this worker signs with stored keys only")
		}
		return w.o.Session(p.AWS, session)
	}
	r, err := w.read(ctx, p.ItemParams)
	if err != nil {
		return nil, err
	}
	return w.o.AWS(p.AWS, r.AccessKeyID, r.SecretAccessKey)
}

// iam makes one call of IAM under its deadline.
func (w *Worker) iam(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, w.o.Limits.AWS)
	defer cancel()
	return call(ctx)
}

func (w *Worker) listKeys(ctx context.Context, p ipc.IAMParams) (any, error) {
	api, err := w.signed(ctx, p)
	if err != nil {
		return nil, err
	}
	result := ipc.KeyStates{Keys: []ipc.KeyState{}}
	err = w.iam(ctx, func(ctx context.Context) error {
		found, err := api.ListAccessKeys(ctx, p.UserName)
		result.Keys = append(result.Keys, found...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the access keys of IAM user %s: %w", p.UserName, err)
	}
	for i := range result.Keys {
		k := &result.Keys[i]
		if err := w.iam(ctx, func(ctx context.Context) error { return api.LastUsed(ctx, k) }); err != nil {
			k.LastUsedError = wire(fmt.Errorf("read the last use of key %s: %w", k.AccessKeyID, err))
		}
	}
	return result, nil
}

func (w *Worker) setKeyStatus(ctx context.Context, p ipc.KeyStatusParams) (any, error) {
	api, err := w.signed(ctx, p.IAMParams)
	if err == nil {
		err = w.iam(ctx, func(ctx context.Context) error {
			return api.UpdateAccessKey(ctx, p.UserName, p.Target, p.Active)
		})
	}
	if err != nil {
		return nil, fmt.Errorf("make key %s %s: %w", p.Target, map[bool]string{true: "active", false: "inactive"}[p.Active], err)
	}
	return done{}, nil
}

func (w *Worker) deleteKey(ctx context.Context, p ipc.TargetParams) (any, error) {
	api, err := w.signed(ctx, p.IAMParams)
	if err == nil {
		err = w.iam(ctx, func(ctx context.Context) error { return api.DeleteAccessKey(ctx, p.UserName, p.Target) })
	}
	if err != nil {
		return nil, fmt.Errorf("delete key %s at IAM: %w", p.Target, err)
	}
	return done{}, nil
}

// createKey makes a key at IAM. Nothing that can be known to fail beforehand is
// left for afterwards: the seal is read, and the room for the file is taken. The
// lock comes first: opening a vault can take minutes, by which a daemon that was
// started meanwhile would believe that nobody makes a key any more.
func (w *Worker) createKey(ctx context.Context, p ipc.CreateKeyParams) (any, error) {
	unlock, err := lockSealed(ctx, p.Sealed)
	if err != nil {
		return nil, err
	}
	defer unlock()
	store, err := w.open(ctx, p.Store, false)
	if err != nil {
		return nil, fmt.Errorf("open the %s vault: %w", p.Store.Backend, err)
	}
	box, err := store.sealKey(ctx, p.Seal)
	if err != nil {
		return nil, fmt.Errorf("read what a new key is sealed with: %w", err)
	}
	api, err := w.signed(ctx, p.IAMParams)
	if err != nil {
		return nil, err
	}
	release, err := reserve(p.Sealed)
	if err != nil {
		return nil, err
	}
	id, key, err := w.create(ctx, api, p.UserName)
	if err != nil {
		release()
		return nil, err
	}
	release() // the room, just before it is needed
	serr := sealInto(p.Sealed, box, id, key)
	created := ipc.CreatedKey{AccessKeyID: id}
	if err := w.storeNew(ctx, store, created.AccessKeyID, key, p); err != nil {
		if serr != nil { // nothing has the secret but this process
			return nil, w.discard(ctx, api, p, id, errors.Join(serr, err))
		}
		created.StoreError = wire(err)
	}
	return created, nil
}

// create sends CreateAccessKey. What is not known to have stayed here may have
// made a key.
func (w *Worker) create(ctx context.Context, api IAM, userName string) (id string, key secret.String, err error) {
	err = w.iam(ctx, func(ctx context.Context) (err error) {
		id, key, err = api.CreateAccessKey(ctx, userName)
		return err
	})
	if err == nil && (!keyID.MatchString(id) || !keySecret.MatchString(key.Reveal())) {
		err = &AWSError{Code: ipc.CodeAWSGarbage, Sent: true, Message: "the answer is no key"}
	}
	if err != nil {
		failure := wire(fmt.Errorf("make a new key for IAM user %s: %w", userName, err))
		failure.Spent = sent(err) && !answered(err)
		return "", secret.String{}, failure
	}
	return id, key, nil
}

// answered reports whether AWS itself said no, so that nothing was done.
func answered(err error) bool {
	var e *AWSError
	return errors.As(err, &e) && e.Refused
}

// discard deletes a key at IAM whose secret could be kept nowhere.
func (w *Worker) discard(ctx context.Context, api IAM, p ipc.CreateKeyParams, id string, why error) error {
	err := w.iam(ctx, func(ctx context.Context) error { return api.DeleteAccessKey(ctx, p.UserName, id) })
	if err != nil {
		failure := wire(fmt.Errorf("keep the new key %s: %w; delete it again: %w", id, why, err))
		failure.Spent = true
		return failure
	}
	return wire(fmt.Errorf("keep the new key %s, which was deleted again: %w", id, why))
}

// storeNew stores a new key in each of its places.
func (w *Worker) storeNew(ctx context.Context, store *Store, id string, key secret.String, p ipc.CreateKeyParams) error {
	return w.storeIn(ctx, store, key, ipc.StoreKeyParams{
		Sealed: p.Sealed, Store: p.Store, AccessKeyID: id, AccountID: p.AccountID, ARN: p.ARN, Places: p.Places, MFAChoice: p.MFAChoice,
	})
}

func (w *Worker) storeIn(ctx context.Context, store *Store, key secret.String, p ipc.StoreKeyParams) error {
	for _, place := range p.Places {
		err := store.Put(ctx, Record{
			Item: place.Item, Profile: place.Profile, AccessKeyID: p.AccessKeyID, SecretAccessKey: key,
			AccountID: p.AccountID, ARN: p.ARN, StoredAt: w.o.Now(), MFA: p.MFAChoice,
		})
		if errors.Is(err, ErrExists) { // from before a crash, if it is this key
			var have Record
			if have, err = store.Get(ctx, place.Item, place.Profile, p.AccessKeyID); err == nil && have.SecretAccessKey.Reveal() != key.Reveal() {
				err = &Error{Kind: ErrMismatch, Text: "item " + place.Item + " holds another secret"}
			}
		}
		if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrMismatch) {
			err = spoilt{err}
		}
		if err != nil {
			return fmt.Errorf("store key %s of profile %s: %w", p.AccessKeyID, place.Profile, err)
		}
	}
	return nil
}

// errSpoilt is wrapped by an error of storeIn for an item that holds something
// else than the key, or nothing that can be read: a write that was cut short, or
// a store that does not keep what it is given. The key itself is not lost.
var errSpoilt = errors.New("the item is spoilt")

// spoilt adds errSpoilt to an error, and no words.
type spoilt struct{ error }

func (e spoilt) Unwrap() []error { return []error{e.error, errSpoilt} }

// storeKey stores the key of the sealed file.
func (w *Worker) storeKey(ctx context.Context, p ipc.StoreKeyParams) (any, error) {
	store, err := w.open(ctx, p.Store, false)
	if err != nil {
		return nil, fmt.Errorf("open the %s vault: %w", p.Store.Backend, err)
	}
	key, err := unsealed(ctx, store, p)
	if err != nil && allHave(ctx, store, p) { // createKey stored it, and could not write the file
		return ipc.StoredKey{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the sealed key %s: %w", p.AccessKeyID, err)
	}
	err = w.storeIn(ctx, store, key, p)
	if errors.Is(err, errSpoilt) {
		return ipc.StoredKey{Spoilt: wire(err)}, nil
	}
	return ipc.StoredKey{}, err
}

// allHave reports whether every place has the key, whole.
func allHave(ctx context.Context, store *Store, p ipc.StoreKeyParams) bool {
	return len(p.Places) > 0 && !slices.ContainsFunc(p.Places, func(place ipc.KeyPlace) bool {
		_, err := store.Get(ctx, place.Item, place.Profile, p.AccessKeyID)
		return err != nil
	})
}

func unsealed(ctx context.Context, store *Store, p ipc.StoreKeyParams) (secret.String, error) {
	f, err := readSealed(p.Sealed)
	if errors.Is(err, fs.ErrNotExist) {
		err = &Error{Kind: ErrCorrupt, Text: "file " + p.File + " is missing"}
	}
	if err == nil && f.AccessKeyID != p.AccessKeyID {
		err = &Error{Kind: ErrMismatch, Text: "the file has key " + f.AccessKeyID}
	}
	if err != nil {
		return secret.String{}, err
	}
	box, err := store.sealKey(ctx, p.Seal)
	if err != nil {
		return secret.String{}, err
	}
	return f.open(box)
}

// verifyKey tries a stored key once at STS and once at IAM, whose endpoints
// learn of a new key at different times.
func (w *Worker) verifyKey(ctx context.Context, p ipc.VerifyKeyParams) (any, error) {
	r, err := w.read(ctx, p.ItemParams)
	if err != nil {
		return nil, err
	}
	id, err := w.identify(ctx, p.AWS, r)
	if err != nil {
		return nil, err
	}
	if p.ARN != "" && id.ARN != p.ARN {
		return nil, &ipc.Error{
			Code: ipc.CodeKeyInvalid, Message: fmt.Sprintf("key %s belongs to %s, and must be one of %s", p.AccessKeyID, id.ARN, p.ARN),
		}
	}
	api, err := w.o.AWS(p.AWS, r.AccessKeyID, r.SecretAccessKey)
	if err != nil {
		return nil, err
	}
	if err := w.iam(ctx, api.GetUser); err != nil && !forbidden(err) {
		return nil, fmt.Errorf("ask IAM whether it knows key %s: %w", p.AccessKeyID, err)
	}
	return done{}, nil
}

// forbidden reports whether a policy forbids a call, or demands MFA for it: then
// AWS knows the key that it was signed with.
func forbidden(err error) bool {
	switch wire(err).Code {
	case ipc.CodeAWSDenied, ipc.CodeAWSExplicitDeny, ipc.CodeAWSQuarantined:
		return true
	}
	return false
}
