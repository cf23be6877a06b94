// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

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
