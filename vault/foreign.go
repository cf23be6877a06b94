// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"credbroker/internal/ipc"
	"credbroker/internal/secret"
)

// ForeignStore is where another program keeps keys. It is read, and on request
// an item is deleted; nothing is ever written. Errors are as those of a Backend.
type ForeignStore interface {
	// Names lists its items, and reads no secret.
	Names(ctx context.Context) ([]string, error)
	// Get returns what the owner stored under a name.
	Get(ctx context.Context, name string) ([]byte, error)
	Delete(ctx context.Context, name string) error
}

// foreignList answers with the names of keys. A name can be any text: whoever
// prints it sees to that.
func (w *Worker) foreignList(ctx context.Context, p ipc.ForeignListParams) (any, error) {
	act := "list the keys in " + storeOf(p.Source)
	store, err := w.openForeign(ctx, p.Source, secret.String{})
	if err != nil {
		return nil, sourceError(act, err)
	}
	names, err := within(ctx, w.o.Limits.Call, store.Names)
	if err != nil {
		return nil, sourceError(act, err)
	}
	names = slices.DeleteFunc(names, noKeyName)
	slices.Sort(names)
	return ipc.ForeignKeys{Names: append([]string{}, slices.Compact(names)...)}, nil
}

// foreignKey says which key an item is.
func (w *Worker) foreignKey(ctx context.Context, p ipc.ForeignParams) (any, error) {
	_, key, err := w.readForeign(ctx, p)
	if err != nil {
		return nil, err
	}
	return ipc.ForeignKey{AccessKeyID: key.id}, nil
}

// foreignPut takes a key from its store into broker's: from here on it is a put
// like any other.
func (w *Worker) foreignPut(ctx context.Context, p ipc.ForeignPutParams) (any, error) {
	if p.AccessKeyID == "" {
		return nil, &ipc.Error{Code: ipc.CodeUsage, Message: "store a key: which one is not said"}
	}
	_, key, err := w.readForeign(ctx, p.ForeignParams)
	if err != nil {
		return nil, err
	}
	return w.put(ctx, ipc.PutParams{
		Item: p.Item, Store: p.Store, AWS: p.AWS, Profile: p.Profile,
		AccessKeyID: key.id, SecretAccessKey: key.secret, NoVerify: p.NoVerify, MFAChoice: p.MFAChoice,
	})
}

// foreignDelete removes an item, if it is the key that the caller means. That it
// was taken is for the caller to know.
func (w *Worker) foreignDelete(ctx context.Context, p ipc.ForeignParams) (any, error) {
	if p.AccessKeyID == "" {
		return nil, &ipc.Error{Code: ipc.CodeUsage, Message: "delete a key: which one is not said"}
	}
	store, _, err := w.readForeign(ctx, p)
	if err != nil {
		return nil, err
	}
	act := fmt.Sprintf("delete %s from %s", p.Name, storeOf(p.Source))
	if _, err := within(ctx, w.o.Limits.Call, func(ctx context.Context) (done, error) {
		return done{}, store.Delete(ctx, p.Name)
	}); err != nil {
		return nil, sourceError(act, err)
	}
	_, err = within(ctx, w.o.Limits.Call, func(ctx context.Context) (done, error) {
		data, err := store.Get(ctx, p.Name)
		clear(data)
		return done{}, err
	})
	if err == nil {
		err = &Error{Kind: ErrFailed, Text: "it is still there"}
	}
	if !errors.Is(err, ErrNotFound) {
		return nil, sourceError(act, err)
	}
	return done{}, nil
}

// foreignPair is a key of a foreign store.
type foreignPair struct {
	id     string
	secret secret.String
}

// readForeign reads one item and makes sure that it is a long-lived key, and
// the one that is meant.
func (w *Worker) readForeign(ctx context.Context, p ipc.ForeignParams) (ForeignStore, foreignPair, error) {
	act := fmt.Sprintf("read %s in %s", p.Name, storeOf(p.Source))
	if noKeyName(p.Name) {
		return nil, foreignPair{}, &ipc.Error{Code: ipc.CodeKeyInvalid, Message: act + ": it is no key, by its name"}
	}
	store, err := w.openForeign(ctx, p.Source, p.Passphrase)
	if err != nil {
		return nil, foreignPair{}, sourceError(act, err)
	}
	// The dialog of the store may come up here as well as when it is opened.
	data, err := within(ctx, w.o.Limits.Dialog, func(ctx context.Context) ([]byte, error) { return store.Get(ctx, p.Name) })
	if err != nil {
		return nil, foreignPair{}, sourceError(act, err)
	}
	defer clear(data)
	key, err := decodeForeign(act, data)
	if err != nil {
		return nil, foreignPair{}, err
	}
	if p.AccessKeyID != "" && p.AccessKeyID != key.id {
		return nil, foreignPair{}, &ipc.Error{
			Code: ipc.CodeSourceFailed, Message: fmt.Sprintf("%s: it was key %s a moment ago, and now is %s", act, p.AccessKeyID, key.id),
			Hint: "nothing was done with it: begin anew",
		}
	}
	return store, key, nil
}

// foreignJSON is the form in which both programs keep a key: the credentials
// type of an AWS SDK for Go, of which versions have added and dropped fields.
type foreignJSON struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string
	CanExpire       bool
}

// decodeForeign reads a key. Its errors never quote the data.
func decodeForeign(act string, data []byte) (foreignPair, error) {
	refuse := func(why string) (foreignPair, error) {
		return foreignPair{}, &ipc.Error{Code: ipc.CodeKeyInvalid, Message: act + ": " + why}
	}
	var j foreignJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return refuse(fmt.Sprintf("its %d bytes are no key", len(data)))
	}
	switch {
	case j.SessionToken != "" || j.CanExpire || tempID.MatchString(j.AccessKeyID):
		return refuse("it is a temporary key, which ends by itself")
	case !keyID.MatchString(j.AccessKeyID):
		return refuse("it has no access key ID")
	case !keySecret.MatchString(j.SecretAccessKey):
		return refuse("the secret access key of " + j.AccessKeyID + " is malformed")
	}
	return foreignPair{j.AccessKeyID, secret.New(j.SecretAccessKey)}, nil
}

// notKeys are the names that aws-vault has given to sessions, now and in
// versions before; that of a token begins with oidcPrefix.
var notKeys = []*regexp.Regexp{
	regexp.MustCompile(`^[^,]+,[^,]+,[^,]*,[0-9]+$`),
	regexp.MustCompile(`^session:[^ ]+:[^ ]*:[^:]+$`),
	regexp.MustCompile(`^.+ session \([0-9]+\)$`),
}

const oidcPrefix = "oidc:"

// noKeyName reports whether a name is that of a session or a token.
func noKeyName(name string) bool {
	return name == "" || strings.HasPrefix(name, oidcPrefix) ||
		slices.ContainsFunc(notKeys, func(r *regexp.Regexp) bool { return r.MatchString(name) })
}

func (w *Worker) openForeign(ctx context.Context, source ipc.Foreign, passphrase secret.String) (ForeignStore, error) {
	if w.o.Foreign == nil {
		return nil, errors.New("no foreign store is opened here")
	}
	ctx, cancel := context.WithTimeout(ctx, w.o.Limits.Dialog)
	defer cancel()
	return w.o.Foreign(ctx, source, passphrase)
}

// within runs one call of a foreign store under a deadline.
func within[T any](ctx context.Context, limit time.Duration, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	value, err := f(ctx)
	if errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrTimeout) {
		err = &Error{Kind: ErrTimeout, Text: fmt.Sprintf("the store did not answer within %v", limit)}
	}
	return value, err
}

// storeOf names a foreign store for messages.
func storeOf(source ipc.Foreign) string {
	return fmt.Sprintf("%s's %s store", source.Owner, source.Backend)
}

// sourceError is a failure of a foreign store. It has codes of its own: what is
// to be done about broker's own store would not help, and no hint that was made
// for that is repeated.
func sourceError(act string, err error) error {
	var done *ipc.Error
	if errors.As(err, &done) {
		return done
	}
	code := ipc.CodeSourceFailed
	switch {
	case errors.Is(err, ErrLocked), errors.Is(err, ErrDenied):
		code = ipc.CodeSourceLocked
	case errors.Is(err, ErrTimeout):
		code = ipc.CodeSourceTimeout
	case errors.Is(err, ErrWrongPassphrase):
		code = ipc.CodeSourcePassword
	case errors.Is(err, ErrGone):
		code = ipc.CodeSourceGone
	case isContext(err):
		code = ipc.CodeDeadline
	}
	return &ipc.Error{Code: code, Message: act + ": " + err.Error()}
}
