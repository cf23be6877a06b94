// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"

	"credbroker/internal/awsconfig"
	"credbroker/internal/secret"
)

// fileSource is the key pairs in the two AWS files.
type fileSource struct {
	a      *app
	config *awsconfig.Config
	keys   map[string][]awsconfig.StaticKey // by profile, the one that SDKs prefer first
	taken  map[string]keyPair               // by profile
}

var _ importSource = (*fileSource)(nil)

func openFileSource(a *app, _ importOptions, config *awsconfig.Config) (importSource, error) {
	return &fileSource{a: a, config: config, keys: map[string][]awsconfig.StaticKey{}, taken: map[string]keyPair{}}, nil
}

func (s *fileSource) list(context.Context) ([]candidate, error) {
	var found []candidate
	for _, k := range s.config.StaticKeys() {
		if k.Stray {
			stray := keyInvalid("not all SDKs take this section for a profile in this file: correct its name", "")
			found = append(found, candidate{profile: "[" + k.Profile + "]", where: k.Pos.String(), leave: stray})
			continue
		}
		if s.keys[k.Profile] = append(s.keys[k.Profile], k); len(s.keys[k.Profile]) == 1 {
			found = append(found, candidate{profile: k.Profile})
		}
	}
	for i, c := range found {
		if c.leave == nil {
			found[i] = fileCandidate(s.keys[c.profile])
		}
	}
	return found, nil
}

// fileCandidate judges what both files have of one profile's key. The
// credentials file counts first, as with SDKs.
func fileCandidate(keys []awsconfig.StaticKey) candidate {
	k := keys[0]
	c := candidate{profile: k.Profile, accessKeyID: k.AccessKeyID, where: k.Pos.String(), leave: fileProblem(k)}
	if err := awsconfig.ValidProfileName(k.Profile); err != nil {
		c.leave = err
	}
	if len(keys) == 1 {
		return c
	}
	other := keys[1]
	switch {
	case other.HasToken && !k.HasToken:
		c.leave = keyInvalid("it is a temporary key: its session token stands at "+other.Pos.String(), "")
	case other.AccessKeyID != k.AccessKeyID && k.AccessKeyID != "" && k.HasSecret:
		c.note = other.Pos.String() + " has another key of the profile, which SDKs do not use: it is left alone"
	}
	return c
}

// importable reports whether a key in a file is one to import.
func importable(k awsconfig.StaticKey) bool { return !k.Stray && fileProblem(k) == nil }

// fileProblem says why a key in a file is not one to import, or nil.
func fileProblem(k awsconfig.StaticKey) error {
	id := k.AccessKeyID
	switch {
	case isKeyID(id, "ASIA") || k.HasToken:
		return keyInvalid("it is a temporary key, which ends by itself", "")
	case id != "" && !k.HasSecret:
		return keyInvalid("aws_secret_access_key is missing beside its access key ID", "")
	case id == "":
		return keyInvalid("aws_access_key_id is missing beside its secret", "")
	case id == secret.Redacted:
		return keyInvalid("the access key ID looks like a secret: are the two swapped?", "")
	case id[0] == '"' || id[0] == '\'':
		return keyInvalid("its values stand in quotes, which some SDKs take for a part of them", "")
	case !isKeyID(id, "AKIA"):
		return keyInvalid("the access key ID is malformed", "")
	}
	return nil
}

func (s *fileSource) take(_ context.Context, c candidate) (takenKey, error) {
	pair, err := s.keys[c.profile][0].Read()
	if errors.Is(err, &awsconfig.Error{Code: awsconfig.CodeProfileInvalid}) {
		return takenKey{}, &leftAlone{err}
	}
	if err != nil {
		return takenKey{}, err
	}
	key := keyPair{pair.AccessKeyID, pair.SecretAccessKey}
	if err := key.check(); err != nil {
		return takenKey{}, err
	}
	s.taken[c.profile] = key
	return takenKey{key.AccessKeyID, s.a.putPair(key, false)}, nil
}
