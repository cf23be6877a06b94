// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"credbroker/internal/client"
	"credbroker/internal/ipc"
	"credbroker/internal/testprograms"
	"credbroker/vault/vaulttest"
)

// cmdShelve writes a key as aws-vault and granted do, into a directory of files:
// shelve DIR NAME ACCESS-KEY-ID SECRET PASSPHRASE [SESSION-TOKEN].
func cmdShelve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 5 {
		ts.Fatalf("usage: shelve DIR NAME ACCESS-KEY-ID SECRET PASSPHRASE [SESSION-TOKEN]")
	}
	dir, name, data := ts.MkAbs(args[0]), args[1], string(vaulttest.AWSVaultKey(args[2], args[3]))
	if len(args) > 5 {
		data = strings.Replace(data, `"SessionToken":""`, `"SessionToken":"`+args[5]+`"`, 1)
	}
	ts.Check(os.MkdirAll(dir, 0o700))
	body := vaulttest.EncryptedFile(args[4], vaulttest.WrappedItem(name, []byte(data)))
	ts.Check(os.WriteFile(filepath.Join(dir, vaulttest.FileName(name)), body, 0o600))
}

// What aws-vault is started with is the caller's environment, but for what would
// have it assume a role or refuse.
func TestAWSVaultEnv(t *testing.T) {
	t.Parallel()
	got := awsVaultEnv([]string{
		"HOME=/home/ann", "AWS_VAULT=dev", "AWS_ROLE_ARN=arn", "AWS_PROFILE=dev", "AWS_CONFIG_FILE=/home/ann/config",
		"AWS_VAULT_BACKEND=file", "AWS_SOURCE_IDENTITY=x", "AWS_SESSION_TAGS=a=b", "AWS_ROLE_SESSION_NAME=x", "AWS_TRANSITIVE_TAGS=a",
	})
	if want := []string{"HOME=/home/ann", "AWS_VAULT_BACKEND=file", "AWS_CONFIG_FILE=/dev/null"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestGrantedKeyring(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config")
	for _, test := range []struct {
		name, text string
		want       map[string]string
		wrong      string
	}{
		{"whole", "DefaultBrowser = \"X\"\n\n[Keyring]\n  Backend = \"file\"\n  # x\n  FileDir = '/keys' # here\n\n[Other]\nBackend = 1\n", map[string]string{"Backend": "file", "FileDir": "/keys"}, ""},
		{"without", "Ordering = \"\"\nBackend = \"pass\"\n", map[string]string{}, ""},
		{"spaced", "[ Keyring ] # x\nBackend=\"pass\"\r\n", map[string]string{"Backend": "pass"}, ""},
		{"strange", "[Keyring]\nBackend = [\"pass\"]\n", nil, path + ":2: "},
		{"escaped", "[Keyring]\nFileDir = \"C:\\\\keys\"\n", nil, path + ":2: "},
	} {
		if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := grantedKeyring(path)
		if test.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("%s: %v, want an error at %s", test.name, err, test.wrong)
			}
			continue
		}
		if err != nil || len(got) != len(test.want) {
			t.Errorf("%s: %q, %v, want %q", test.name, got, err, test.want)
		}
		for key, value := range test.want {
			if got[key] != value {
				t.Errorf("%s: %s = %q, want %q", test.name, key, got[key], value)
			}
		}
	}
	if got, err := grantedKeyring(path + "-none"); err != nil || len(got) != 0 {
		t.Errorf("no file: %q, %v", got, err)
	}
}

// F19: an aws-vault that hangs, or prints without end, is ended, and what it
// printed is not repeated.
func TestF19AWSVaultHangs(t *testing.T) {
	t.Parallel()
	const canary = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLE12345"
	for _, test := range []struct {
		script string
		limit  time.Duration
		code   ipc.Code
	}{
		{"echo " + canary + "; exec sleep 1000", 200 * time.Millisecond, ipc.CodeSourceTimeout},
		{"echo " + canary + "; sleep 3 & wait", 200 * time.Millisecond, ipc.CodeSourceTimeout},
		{"while :; do echo " + canary + "; done", time.Minute, ipc.CodeSourceFailed},
		{"echo " + canary + "; exit 1", time.Minute, ipc.CodeSourceFailed},
		{"echo " + canary + "; kill -9 $$", time.Minute, ipc.CodeSourceFailed},
	} {
		path := filepath.Join(t.TempDir(), "aws-vault")
		if err := testprograms.Write(path, []byte("#!/bin/sh\nexec 2>/dev/null\n"+test.script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		var diag strings.Builder
		s := &awsVaultProgram{a: &app{App: &client.App{Env: os.Environ(), Stderr: &diag}}, path: path, limit: test.limit, taken: map[string]string{}}
		_, err := s.take(t.Context(), candidate{profile: "dev"})
		if !client.HasCode(err, test.code) || strings.Contains(fmt.Sprintf("%v %+v", err, err)+diag.String(), "wJalr") {
			t.Errorf("%s: %v, want %s without what it printed", test.script, err, test.code)
		}
	}
}

// FuzzGrantedKeyring: whatever granted's config is, it is read or refused.
func FuzzGrantedKeyring(f *testing.F) {
	f.Add("[Keyring]\nBackend = \"file\"\n")
	f.Add("[Keyring\n=\n\"")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		settings, err := grantedKeyring(path)
		for key, value := range settings {
			if err == nil && (!strings.Contains(text, key) || !strings.Contains(text, value)) {
				t.Errorf("%q = %q is not in %q", key, value, text)
			}
		}
	})
}
