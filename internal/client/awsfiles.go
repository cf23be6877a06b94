// SPDX-License-Identifier: Apache-2.0

package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"credbroker/internal/atomicfile"
	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

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
	data, err := atomicfile.Read(p.StateFile, ipc.MaxState)
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

// SamePath reports whether two paths are one file, or one name of a file that
// does not exist.
func SamePath(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// OtherFile refuses files that brokerd does not read.
func OtherFile(who, variable, caller, daemon string) error {
	return &ipc.Error{
		Code:    ipc.CodeRefused,
		Message: fmt.Sprintf("%s %s, but brokerd reads %s", who, caller, daemon),
		Hint:    "unset " + variable + " or set it to that file, or name yours in [aws] of broker's config",
	}
}

// KeyPairHint says how a key comes out of the AWS files. stored is the access
// key ID of the key that is stored for the profile, or "".
func KeyPairHint(p awsconfig.Profile, stored string) string {
	id := p.Get("aws_access_key_id")
	switch {
	case p.Get("aws_session_token") != "" || p.Get("aws_security_token") != "":
		return "remove the temporary credentials, and what writes them: broker renews such credentials by itself"
	case id == "" || p.Get("aws_secret_access_key") == "":
		return "remove the line, or add the one that is missing"
	case stored == "":
		return "store it and remove its lines: broker import " + p.Name + " --delete-source"
	case stored == id:
		return "the key is stored: remove its lines: broker import " + p.Name + " --delete-source"
	}
	return "store it in place of the other (broker add " + p.Name + " --replace), or remove its lines"
}
