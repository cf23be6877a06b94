// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
	"credbroker/internal/secret"
)

// editLock is the name, in the state directory, of the lock that keeps two
// edits of broker's apart.
const editLock = "edit.lock"

// drop removes the lines of keys from both files, and from the backups of
// earlier edits. What stands in a file is compared once more under the lock:
// only the very key that is in the vault now, secret and all, is removed.
//
// The backups come first: who is stopped in between finds the keys in the files
// again, and the next run begins anew.
func (s *fileSource) drop(ctx context.Context, profiles []string) ([]droppedKey, error) {
	options, err := s.a.editOptions()
	if err != nil {
		return nil, err
	}
	var all []droppedKey
	files := s.config.Files()
	for _, f := range []struct {
		path string
		kind awsconfig.FileKind
	}{{files.Credentials, awsconfig.CredentialsFile}, {files.Config, awsconfig.ConfigFile}} {
		var keys []awsconfig.StaticKey
		for _, profile := range profiles {
			for _, k := range s.keys[profile] {
				if k.Pos.File == f.path {
					keys = append(keys, k)
				}
			}
		}
		if len(keys) == 0 {
			continue
		}
		var dropped []droppedKey
		remove := func(old []byte) (data []byte, err error) {
			dropped, data, err = s.without(f.path, f.kind, keys, old)
			return data, err
		}
		if _, err := awsconfig.ScrubBackups(ctx, f.path, options, remove); err != nil {
			return all, fmt.Errorf("remove keys from the backups of %s, before they are removed from itself: %w", f.path, err)
		}
		if _, err := awsconfig.Rewrite(ctx, f.path, options, remove); err != nil {
			return all, fmt.Errorf("remove the keys from %s: %w", f.path, err)
		}
		all = append(all, dropped...)
	}
	return all, nil
}

// without returns what a file holds without keys, and what became of each.
func (s *fileSource) without(path string, kind awsconfig.FileKind, keys []awsconfig.StaticKey, old []byte) ([]droppedKey, []byte, error) {
	doc, err := awsconfig.ParseDocument(path, kind, old)
	if err != nil {
		return nil, nil, err
	}
	defer doc.Wipe()
	var dropped []droppedKey
	for _, k := range keys {
		d := droppedKey{Profile: k.Profile, AccessKeyID: k.AccessKeyID, Where: path}
		taken := s.taken[k.Profile]
		switch now, err := k.In(old); {
		case k.AccessKeyID != taken.AccessKeyID:
			d.Why = "it is another key than the one that was stored"
		case err != nil:
			d.Why = client.AsCoded(err).Message
		case !now.SecretAccessKey.Equal(taken.SecretAccessKey):
			d.Why = "its secret is not the one that was stored"
		default:
			removed, err := doc.RemoveKeyPair(k.Profile, k.AccessKeyID)
			if err != nil {
				return nil, nil, err
			}
			if !removed {
				d.Why = "SDKs do not agree whose it is"
			}
		}
		dropped = append(dropped, d)
	}
	data, err := heldTo(doc, kind)
	for i, d := range dropped {
		if d.Why == "" {
			dropped[i].Copies = copiesOf(data, s.taken[d.Profile].SecretAccessKey)
		}
	}
	return dropped, data, err
}

// copiesOf returns the numbers of the lines that hold a secret.
func copiesOf(data []byte, key secret.String) []int {
	var lines []int
	n := 0
	for line := range bytes.Lines(data) {
		n++
		for word := range bytes.FieldsFuncSeq(line, notOfKey) {
			if secret.New(string(word)).Equal(key) {
				lines = append(lines, n)
				break
			}
		}
	}
	return lines
}

// notOfKey reports whether a character ends what could be a secret access key.
func notOfKey(r rune) bool {
	return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '/' && r != '+'
}

// heldTo returns what a file is to hold, once the edit was held against what it
// was for. The other file has no part in it.
func heldTo(doc *awsconfig.Document, kind awsconfig.FileKind) ([]byte, error) {
	docs := map[awsconfig.FileKind]*awsconfig.Document{kind: doc}
	for _, other := range []awsconfig.FileKind{awsconfig.ConfigFile, awsconfig.CredentialsFile} {
		if docs[other] != nil {
			continue
		}
		empty, err := awsconfig.ParseDocument("", other, nil)
		if err != nil {
			return nil, err
		}
		docs[other] = empty
	}
	if err := awsconfig.Verify(awsconfig.Files{}, nil, docs[awsconfig.ConfigFile], docs[awsconfig.CredentialsFile]); err != nil {
		return nil, err
	}
	return doc.Bytes(), nil
}

// editOptions is how import edits a file: without a backup, which would keep
// what is taken out.
func (a *app) editOptions() (awsconfig.RewriteOptions, error) {
	p, err := a.Places()
	return awsconfig.RewriteOptions{Lock: filepath.Join(p.StateDir, editLock), Now: a.Now()}, err
}

// dropAll removes what is stored from the source. A key that stays, because it
// is no longer the one that was stored, is an error in the end.
func (r *importing) dropAll(ctx context.Context) error {
	profiles := r.profiles()
	if len(profiles) == 0 {
		return nil
	}
	dropped, err := r.source.drop(ctx, profiles)
	r.report.Deleted = dropped
	kept := 0
	for _, d := range dropped {
		switch {
		case d.Why != "":
			kept++
			r.say("kept %s of profile %s in %s: %s\n", d.AccessKeyID, d.Profile, d.Where, d.Why)
		default:
			r.say("removed %s of profile %s from %s\n", d.AccessKeyID, d.Profile, d.Where)
			for _, line := range d.Copies {
				r.say("  its secret stands in line %d as well, in a comment perhaps: remove that yourself, and rotate the key\n", line)
			}
		}
	}
	if err == nil && kept > 0 {
		refused := client.Errorf(ipc.CodeRefused, "import: %d keys are still in their source, because they are not the ones that were stored", kept)
		refused.Hint = "look at them, and remove what nobody uses: broker doctor"
		return refused
	}
	return err
}
