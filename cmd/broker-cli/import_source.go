// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"strings"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// A sourceKind is a kind of place that import takes keys from. To add one,
// write an importSource and enter it into importKinds.
type sourceKind struct {
	name string // what --from says
	// inherits says that profiles had from [default] what they lack themselves,
	// as in aws-vault.
	inherits bool
	// shadows says that SDKs read the source, and prefer it to broker.
	shadows bool
	// found says where a source of this kind is, for who did not ask for it; ""
	// is nowhere. It reads no secret, starts nothing and asks nobody.
	found   func(a *app) string
	command string // that takes such a source over
	after   string // what the user has to do with the source in the end, or ""
	open    func(a *app, o importOptions, config *awsconfig.Config) (importSource, error)
}

// importKinds are the sources, in the order of --help.
func importKinds() []sourceKind {
	return []sourceKind{
		{name: "file", command: "broker import", shadows: true, open: openFileSource},
		{
			name: "env", command: "broker import PROFILE --from env", open: openEnvSource, found: foundEnv,
			after: "remove the variables where your shell sets them: unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY",
		},
		{name: awsVault, command: "broker import --from aws-vault", open: openAWSVault, found: foundAWSVault, inherits: true},
		{name: granted, command: "broker import --from granted", open: openGranted, found: foundGranted},
	}
}

// importSource is one place with long-lived keys of other programs. It belongs
// to one import, which calls list first and once.
type importSource interface {
	// list returns the keys that it has. It reads no secret; under --dry-run
	// nothing else is called.
	list(ctx context.Context) ([]candidate, error)
	// take reads one key, as far as must be to say which it is. A key that
	// turns out to be none to import is an error of type *leftAlone.
	take(ctx context.Context, c candidate) (takenKey, error)
	// drop removes keys that were taken from the source. All of them are stored
	// and verified. One that is no longer what was taken stays.
	drop(ctx context.Context, profiles []string) ([]droppedKey, error)
}

// candidate is a key of a source, without its secret.
type candidate struct {
	profile     string // under which it is stored
	accessKeyID string // "" where the source does not tell it before it is taken
	where       string // for people: "/home/ann/.aws/credentials:3"
	note        string // what else to know of it, or ""
	leave       error  // why it is not imported, or nil
}

// takenKey is a key that was taken.
type takenKey struct {
	accessKeyID string
	// put has a worker store it, as newKey has it.
	put func(ctx context.Context, item ipc.ItemParams, choice ipc.MFAChoice) (ipc.PutResult, error)
}

// droppedKey is what became of a key in its source.
type droppedKey struct {
	Profile     string `json:"profile"`
	AccessKeyID string `json:"accessKeyId"`
	Where       string `json:"where"`         // the file, or the store
	Why         string `json:"why,omitempty"` // it is still there; empty: it is gone
	// Copies are the lines of Where that hold the secret still, though no SDK
	// reads it there: an old line in a comment.
	Copies []int `json:"copies,omitempty"`
}

// leftAlone is why a key is none to import. That is no failure.
type leftAlone struct{ err error }

func (l *leftAlone) Error() string { return l.err.Error() }
func (l *leftAlone) Unwrap() error { return l.err }

// kindOf returns the kind of source that --from names; "" is the files.
func kindOf(from string) (sourceKind, error) {
	kinds := importKinds()
	if from == "" {
		return kinds[0], nil
	}
	i := slices.IndexFunc(kinds, func(k sourceKind) bool { return k.name == from })
	if i < 0 {
		err := client.Usagef("--from %s is no source", from)
		err.Hint = "choose one: " + strings.Join(kindNames(), ", ")
		return sourceKind{}, err
	}
	return kinds[i], nil
}

// firstKey is the command that brings the first key into an empty vault: import,
// where there is one that it would take, else add.
func (a *app) firstKey() string {
	config, err := a.AWSConfig()
	if err != nil {
		return "broker add default" // which says what is wrong with the files
	}
	kinds := importKinds()
	if slices.ContainsFunc(config.StaticKeys(), importable) {
		return kinds[0].command
	}
	for _, kind := range kinds[1:] {
		if kind.found(a) != "" {
			return kind.command
		}
	}
	return "broker add default"
}

func kindNames() []string {
	var names []string
	for _, k := range importKinds() {
		names = append(names, k.name)
	}
	return names
}
