// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"context"
	"errors"
	"time"
)

// Key is one access key of the user, as IAM has it.
type Key struct {
	AccessKeyID string
	Profile     string // that has it here; empty: none
	Active      bool
	CreateDate  time.Time
	LastUsed    *time.Time // nil: never, or not yet known to IAM
	ServiceName string     // of the last use
	Region      string     // of the last use
}

// Hands do what a Machine decides. Every method bounds its own time. An error is
// an *Error, or counts as one of kind Unknown.
type Hands interface {
	// Now is the present time, by AWS's clock as far as it is known.
	Now() time.Time
	// Save makes the journal durable before it returns nil.
	Save(ctx context.Context, j Journal) error
	// ListKeys reads all access keys of the user, with their last use.
	ListKeys(ctx context.Context, j Journal) ([]Key, error)
	// Prepare proves that the vault keeps things, by storing j.Seal in it: a key
	// for sealing, of which nobody keeps a copy. It is there already after a crash.
	Prepare(ctx context.Context, j Journal) error
	// CreateKey sends CreateAccessKey once, and seals the secret into a file
	// before anything else can fail. It returns the ID as soon as there is one,
	// with an error when what came after failed.
	CreateKey(ctx context.Context, j Journal) (accessKeyID string, err error)
	// Sealed returns the ID of the key whose secret is in the sealed file, and ""
	// when there is no file, nor anybody who could still be writing it.
	Sealed(ctx context.Context, j Journal) (accessKeyID string, err error)
	// Store puts the secret of j.New from the sealed file into the NewItem of
	// each place, and reads them back. What is stored already is left so. An item
	// that holds something else is ErrSpoilt.
	Store(ctx context.Context, j Journal) error
	// Try makes one call with a stored key to every service that must know it,
	// and checks that the answer is j.ARN. ErrNotYet is for a key that AWS does
	// not know (yet, or any more), ErrSpoilt for one whose item cannot be read.
	Try(ctx context.Context, j Journal, accessKeyID string) error
	// Switch makes the index name a key, which is j.New or j.Old, in all places.
	Switch(ctx context.Context, j Journal, accessKeyID string) error
	// Tell runs the user's on_rotate for the key that the index names. Without
	// one it does nothing.
	Tell(ctx context.Context, j Journal, accessKeyID string) error
	// SetActive sets the status of a key at IAM. A key that is gone is ErrGone.
	SetActive(ctx context.Context, j Journal, accessKeyID string, active bool) error
	// DeleteKey deletes a key at IAM. A key that is gone is ErrGone.
	DeleteKey(ctx context.Context, j Journal, accessKeyID string) error
	// Forget deletes items of the vault, and with j.Seal among them the sealed
	// file. What the vault does not let go now is written down, and deleted later.
	Forget(ctx context.Context, j Journal, items []string) error
}

var (
	// ErrGone is wrapped by an error for a key that IAM does not have.
	ErrGone = errors.New("there is no such key")
	// ErrNotYet is wrapped by an error of Try for a key that AWS does not know.
	ErrNotYet = errors.New("AWS does not know the key")
	// ErrSpoilt is wrapped by an error of Store or Try for an item of the vault
	// that is not what was written to it.
	ErrSpoilt = errors.New("the vault does not have the key as it was stored")
	// ErrMismatch is wrapped by an error of Try for a key of somebody else.
	ErrMismatch = errors.New("the key is not of this user")
)

// Kind says what an error means for the call that it is from.
type Kind int

// The kinds of errors.
const (
	// Unknown is for a call that may have been carried out: its answer was lost.
	Unknown Kind = iota
	// Refused is for a call that was not carried out and, as things are, never
	// will be: a person has to act.
	Refused
	// Later is for a call that was not carried out and may be tried again:
	// nobody could be reached, a vault is locked, a code is missing.
	Later
)

// Error is what a Hand failed with.
type Error struct {
	Kind Kind
	Code string // for the user; one of package ipc's
	Hint string
	Err  error
}

// Error returns the words of the cause.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap makes ErrGone and ErrNotYet visible.
func (e *Error) Unwrap() error { return e.Err }

func kindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Unknown
}
