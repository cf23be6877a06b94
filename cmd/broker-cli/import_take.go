// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"golang.org/x/term"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// importing is one run of import.
type importing struct {
	a      *app
	o      importOptions
	kind   sourceKind
	source importSource
	config *awsconfig.Config
	stored map[string]ipc.Key // what the vault has, by profile
	had    map[string]string  // what it had before: access key IDs by profile
	report importReport

	failed int     // keys that are not stored
	errs   []error // why, of those that were tried
	worst  error   // of them, the one with the highest exit status
}

func newImporting(a *app, o importOptions, kind sourceKind, source importSource, config *awsconfig.Config) *importing {
	return &importing{
		a: a, o: o, kind: kind, source: source, config: config, stored: map[string]ipc.Key{},
		report: importReport{From: kind.name, DryRun: o.dryRun, Keys: []importedKey{}, Plans: []profilePlan{}},
	}
}

// The states of an importedKey.
const (
	keyStored  = "stored"
	keyAlready = "already-stored"
	keyLeft    = "left-alone"
	keyFailed  = "failed"
	keyUntried = "not-tried"
	keyFound   = "found" // by --dry-run
)

// importedKey is what became of one key of the source.
type importedKey struct {
	Profile      string     `json:"profile"`
	AccessKeyID  string     `json:"accessKeyId,omitempty"`
	Where        string     `json:"where"`
	State        string     `json:"state"`
	ARN          string     `json:"arn,omitempty"`
	SerialNumber string     `json:"serialNumber,omitempty"`
	NoMFA        bool       `json:"noMfa,omitempty"`
	Note         string     `json:"note,omitempty"`
	Error        *ipc.Error `json:"error,omitempty"` // why it failed or is left alone
}

// look finds out which keys the vault has. A dry run asks no daemon.
func (r *importing) look(ctx context.Context) (err error) {
	if r.o.dryRun {
		r.had, err = r.a.StoredKeys()
		for profile, id := range r.had {
			r.stored[profile] = ipc.Key{Profile: profile, AccessKeyID: id}
		}
		return err
	}
	var list ipc.KeyList
	if err := r.a.Call(ctx, ipc.OpList, nil, &list); err != nil {
		return err
	}
	r.had = map[string]string{}
	for _, k := range list.Keys {
		r.stored[k.Profile], r.had[k.Profile] = k, k.AccessKeyID
	}
	return nil
}

// dryRun says what takeAll would begin with.
func (r *importing) dryRun(candidates []candidate) {
	for _, c := range candidates {
		k := importedKey{Profile: c.profile, AccessKeyID: c.accessKeyID, Where: c.where, Note: c.note, State: keyFound}
		switch {
		case c.leave != nil:
			k.State, k.Error = keyLeft, client.AsCoded(c.leave)
		case c.accessKeyID != "" && r.had[c.profile] == c.accessKeyID:
			k.State = keyAlready
		case r.had[c.profile] != "" && c.accessKeyID != "":
			k.Note = "the vault has another key of the profile, " + r.had[c.profile] + ", which stays"
		default:
			r.stored[c.profile] = ipc.Key{Profile: c.profile, AccessKeyID: c.accessKeyID}
		}
		r.enter(k)
	}
}

// takeAll takes the keys one by one. What is wrong with one key does not keep
// it from the next; what would be wrong with each of them ends it.
func (r *importing) takeAll(ctx context.Context, candidates []candidate) {
	var end error
	for i, c := range candidates {
		k := importedKey{Profile: c.profile, AccessKeyID: c.accessKeyID, Where: c.where, Note: c.note}
		if end != nil {
			k.State = keyUntried
			r.failed++
			r.enter(k)
			continue
		}
		r.progress(i, len(candidates), c.profile)
		err := r.takeOne(ctx, c, &k)
		var left *leftAlone
		switch {
		case errors.As(err, &left):
			k.State, k.Error = keyLeft, client.AsCoded(err)
		case err != nil:
			k.State, k.Error = keyFailed, client.AsCoded(err)
			r.fail(c, err)
			if ctx.Err() != nil || endsImport(err) {
				end = err
			}
		}
		r.enter(k)
	}
}

// takeOne stores one key, unless it is there already. One that is there is
// stored anew before it may go from its source: then the item of the vault is
// made of what the source has, and AWS has said that it works.
func (r *importing) takeOne(ctx context.Context, c candidate, k *importedKey) error {
	if c.leave != nil {
		return &leftAlone{c.leave}
	}
	have := r.stored[c.profile]
	there := func(id string) bool { return id != "" && id == have.AccessKeyID && !r.o.deleteSource }
	if there(c.accessKeyID) {
		k.of(have, keyAlready)
		return nil
	}
	taken, err := r.source.take(ctx, c)
	if err != nil {
		return err
	}
	k.AccessKeyID = taken.accessKeyID
	if there(taken.accessKeyID) {
		k.of(have, keyAlready)
		return nil
	}
	n := newKey{
		profile: c.profile, accessKeyID: taken.accessKeyID, put: taken.put,
		mfaSerial: r.o.mfaSerial, noMFA: r.o.noMFA, again: r.o.again(c.profile),
	}
	state := keyStored
	if taken.accessKeyID == have.AccessKeyID {
		state = keyAlready
		if n.mfaSerial == "" && (have.SerialNumber != "" || have.NoMFA) { // what was said of it stays
			n.mfaSerial, n.noMFA = have.SerialNumber, have.NoMFA
		}
	}
	key, err := r.a.storeKey(ctx, n)
	if err != nil {
		return err
	}
	k.of(key, state)
	r.twin(k)
	r.stored[c.profile] = key
	return nil
}

// of enters what the vault knows of a key.
func (k *importedKey) of(key ipc.Key, state string) {
	k.AccessKeyID, k.ARN, k.SerialNumber, k.NoMFA, k.State = key.AccessKeyID, key.ARN, key.SerialNumber, key.NoMFA, state
}

// twin notes that the key is stored for another profile, too.
func (r *importing) twin(k *importedKey) {
	for _, name := range slices.Sorted(maps.Keys(r.stored)) {
		if name != k.Profile && r.stored[name].AccessKeyID == k.AccessKeyID && k.Note == "" {
			k.Note = "profile " + name + " has the same key: it is stored for each"
		}
	}
}

// endsImport reports whether a failure would be that of the next key, too.
func endsImport(err error) bool {
	return client.HasCode(err, ipc.CodeNoDaemon, ipc.CodeForeignDaemon, ipc.CodeProtocol, ipc.CodeInternal, ipc.CodeBusy, ipc.CodeDeadline,
		ipc.CodeConfigBroken, ipc.CodeNotInitialised, ipc.CodeIndexLost, ipc.CodeStorage, ipc.CodeDiskFull, ipc.CodeReadOnly,
		ipc.CodeKeychainLocked, ipc.CodeKeychainDenied, ipc.CodeKeychainTimeout, ipc.CodeKeychainGone, ipc.CodeKeychainFailed, ipc.CodeWrongPassphrase,
		ipc.CodeSourceLocked, ipc.CodeSourceTimeout, ipc.CodeSourcePassword, ipc.CodeSourceGone,
		ipc.CodeAWSUnreachable, ipc.CodeAWSSlow, ipc.CodeAWSCertificate, ipc.CodeAWSProxy, ipc.CodeAWSUnavailable, ipc.CodeAWSClock, ipc.CodeAWSGarbage)
}

// fail counts a key that is not stored.
func (r *importing) fail(c candidate, err error) {
	err = fmt.Errorf("import the key of profile %s, %s: %w", c.profile, c.where, err)
	if r.worst == nil || exitStatusOf(err) > exitStatusOf(r.worst) {
		r.worst = err
	}
	r.failed++
	r.errs = append(r.errs, err)
}

func exitStatusOf(err error) int {
	_, status := client.Failure(err)
	return status
}

// progress says on a terminal which of many keys is under way.
func (r *importing) progress(i, n int, profile string) {
	if f, ok := r.a.Stderr.(*os.File); ok && n > 1 && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(f, "broker: key %d of %d, profile %s\n", i+1, n, client.Printable(profile))
	}
}
