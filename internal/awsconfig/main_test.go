// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// canary is a secret access key that must never come out of anything.
const canary = "wJalrCANARYxMDENG7bPxRfiCYdontPRINTme000"

// load writes both files into a directory of the test and reads them.
func load(t *testing.T, config, credentials string) (*Config, error) {
	t.Helper()
	dir := t.TempDir()
	files := Files{Config: filepath.Join(dir, "config"), Credentials: filepath.Join(dir, "credentials")}
	write(t, files.Config, config)
	write(t, files.Credentials, credentials)
	return Load(files)
}

func mustLoad(t *testing.T, config, credentials string) *Config {
	t.Helper()
	c, err := load(t, config, credentials)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// checkError compares an error by code and by its message without the
// directory: "config:3: …".
func checkError(t *testing.T, err error, code, want string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want %s: %s", err, code, want)
	}
	got := e.Error()
	if e.File != "" {
		got = strings.Replace(got, filepath.Dir(e.File)+"/", "", 1)
	}
	if e.Code != code || !strings.Contains(got, want) {
		t.Errorf("got %s: %s\nwant %s: %s", e.Code, got, code, want)
	}
}

// vault is a KeyLookup over a map of profile to access key ID.
func vault(keys map[string]string) KeyLookup {
	return func(profile string) (string, bool) {
		id, ok := keys[profile]
		return id, ok
	}
}
