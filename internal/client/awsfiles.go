// SPDX-License-Identifier: Apache-2.0

package client

import (
	"encoding/json"
	"errors"
	"io/fs"

	"credbroker/internal/atomicfile"
	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

// MaxState is the longest index, in bytes, that is read: some hundred bytes a
// key.
const MaxState = 1 << 20

// AWSFiles returns the AWS files of the caller. Under broker exec that is the
// file behind the overlay: the overlay is exec's own, not the user's.
func (a *App) AWSFiles() (awsconfig.Files, error) {
	p, err := a.Places()
	if err != nil {
		return awsconfig.Files{}, err
	}
	files := awsconfig.Locate(a.Getenv, p.Home)
	if original, ok := overlaid(p.OverlayDir, files.Config); ok {
		files.Config = original
	}
	return files, nil
}

// AWSConfig reads the AWS files of the caller.
func (a *App) AWSConfig() (*awsconfig.Config, error) {
	files, err := a.AWSFiles()
	if err != nil {
		return nil, err
	}
	return awsconfig.Load(files)
}

// StoredKeys returns the access key ID that the index has for each profile. No
// daemon is asked. A missing index is empty; one that cannot be read is not.
func (a *App) StoredKeys() (map[string]string, error) {
	p, err := a.Places()
	if err != nil {
		return nil, err
	}
	data, err := atomicfile.Read(p.StateFile, MaxState)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, Errorf(ipc.CodeIndexLost, "read the index of stored keys: %v", err)
	}
	var index struct {
		V    int `json:"v"`
		Keys map[string]struct {
			AccessKeyID string `json:"accessKeyId"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(data, &index); err != nil || index.V != 1 {
		return nil, Errorf(ipc.CodeIndexLost, "read the index of stored keys: %s is not one", p.StateFile)
	}
	keys := make(map[string]string, len(index.Keys))
	for profile, key := range index.Keys {
		keys[profile] = key.AccessKeyID
	}
	return keys, nil
}

// Lookup is keys as package awsconfig asks for them.
func Lookup(keys map[string]string) awsconfig.KeyLookup {
	return func(profile string) (string, bool) {
		id, ok := keys[profile]
		return id, ok
	}
}

// IsProfile reports whether a word names a profile, of the AWS files or of the
// index. Files that cannot be read name none: exec reads them again and says so.
func (a *App) IsProfile(name string) bool {
	if keys, err := a.StoredKeys(); err == nil {
		if _, ok := keys[name]; ok {
			return true
		}
	}
	config, err := a.AWSConfig()
	if err != nil {
		return false
	}
	_, ok := config.Profile(name)
	return ok
}
