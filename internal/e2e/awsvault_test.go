// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"credbroker/vault/vaulttest"
)

// vaultPhrase opens aws-vault's files.
const vaultPhrase = "tr0ub4dor & 3 of aws-vault"

// noKeys are what aws-vault keeps beside keys.
var noKeys = []string{
	"sts.GetSessionToken,ZGV2,YXJuOmF3czppYW06OjExMTEyMjIyMzMzMzptZmEvYW5u,1767225600", "oidc:https://example.awsapps.com/start",
	"session,ZGV2,,1767225600",
}

// vaultNames returns the names of n keys, sorted. One account serves for all.
func vaultNames(n int) []string {
	names := []string{"dev"}
	for i := range n - 1 {
		names = append(names, fmt.Sprintf("team/p%02d", i))
	}
	return names
}

// shelf is a store of aws-vault's.
type shelf struct {
	names []string // of its keys, sorted
	plant func(name string, data []byte)
	left  func() []string // the names of all that is in it, sorted
}

// fill puts ann's key under every name, of both generations, and what is no key.
func (s shelf) fill(w *world) {
	k := w.user("ann").AccessKeys[0]
	for i, name := range s.names {
		data := vaulttest.AWSVaultKey(k.AccessKeyID, k.SecretAccessKey)
		if i%2 == 1 {
			data = vaulttest.OldAWSVaultKey(k.AccessKeyID, k.SecretAccessKey)
		}
		s.plant(name, data)
	}
	for _, name := range noKeys {
		s.plant(name, []byte(`{"AccessKeyId":"ASIAIOSFODNN7EXAMPLE","SecretAccessKey":"x","SessionToken":"x","Expiration":"2026-01-01T00:00:00Z"}`))
	}
}

// fileShelf is aws-vault's directory of files in the home of w.
func fileShelf(w *world, keys int) shelf {
	dir := filepath.Join(w.home, ".awsvault", "keys")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	w.env = append(w.env, "AWS_VAULT_FILE_PASSPHRASE="+vaultPhrase)
	return shelf{
		names: vaultNames(keys),
		plant: func(name string, data []byte) {
			body := vaulttest.EncryptedFile(vaultPhrase, vaulttest.WrappedItem(name, data))
			if err := os.WriteFile(filepath.Join(dir, vaulttest.FileName(name)), body, 0o600); err != nil {
				w.t.Fatal(err)
			}
		},
		left: func() []string {
			entries, err := os.ReadDir(dir)
			if err != nil {
				w.t.Fatal(err)
			}
			var names []string
			for _, e := range entries {
				names = append(names, strings.NewReplacer("%2F", "/", "%25", "%").Replace(e.Name()))
			}
			slices.Sort(names)
			return names
		},
	}
}

// collectionShelf is aws-vault's collection in a keyring.
func collectionShelf(c *vaulttest.Collection, keys int) shelf {
	return shelf{
		names: vaultNames(keys),
		plant: func(name string, data []byte) { c.Plant(name, vaulttest.WrappedItem(name, data)) },
		left: func() []string {
			names := c.Labels()
			slices.Sort(names)
			return names
		},
	}
}

// awsVaultConfig is an AWS config as users of aws-vault have it.
const awsVaultConfig = `[default]
region = eu-west-1 ; kept

[profile dev]
mfa_serial=arn:aws:iam::111122223333:mfa/ann

[profile ops]
# a role
region=eu-west-1
source_profile = dev
role_arn = arn:aws:iam::111122223333:role/dev
mfa_serial = arn:aws:iam::111122223333:mfa/ann
`

// imported is the part of broker import --json that tests look at.
type imported struct {
	Keys []struct {
		Profile string `json:"profile"`
		State   string `json:"state"`
	} `json:"keys"`
	Deleted []struct {
		Profile string `json:"profile"`
		Why     string `json:"why"`
	} `json:"deleted"`
}

func (w *world) imported(r result) imported {
	w.t.Helper()
	var report imported
	if err := json.Unmarshal([]byte(w.must(r).stdout), &report); err != nil {
		w.t.Fatalf("import: %v in %q", err, r.stdout)
	}
	return report
}

// wantStates fails the test unless each of its keys came to that state.
func (s shelf) wantStates(t *testing.T, r imported, want string) {
	t.Helper()
	var names []string
	for _, k := range r.Keys {
		if names = append(names, k.Profile); k.State != want {
			t.Errorf("the key of %s is %s, want %s", k.Profile, k.State, want)
		}
	}
	if !slices.Equal(names, s.names) {
		t.Errorf("keys of %q, want %q", names, s.names)
	}
}

// A user of aws-vault comes over without aws-vault: import, wire, use, remove the
// copies, and back.
func TestAWSVaultUser(t *testing.T) {
	t.Parallel()
	t.Run("file", func(t *testing.T) {
		w := newWorld(t)
		w.initialise()
		comesOver(w, fileShelf(w, 30))
	})
	t.Run("secret-service", func(t *testing.T) {
		w, bus := desktopWorld(t)
		k := bus.StartKeyring(t)
		w.initialiseWith("secret-service")
		comesOver(w, collectionShelf(k.MakeCollection("awsvault"), 8))
	})
}

func comesOver(w *world, s shelf) {
	s.fill(w)
	before := s.left()
	w.awsConfig(awsVaultConfig)
	s.wantStates(w.t, w.imported(w.run("broker", "import", "--from", "aws-vault", "--dry-run", "--json")), "found")
	s.wantStates(w.t, w.imported(w.run("broker", "import", "--from", "aws-vault", "--json")), "stored")
	s.wantStates(w.t, w.imported(w.run("broker", "import", "--from", "aws-vault", "--json")), "already-stored")
	if left := s.left(); !slices.Equal(left, before) {
		w.t.Errorf("left in the source: %q, want %q", left, before)
	}

	w.must(w.run("broker", "wire", "dev", "ops"))
	w.prime("dev")
	if arn, r := w.cli("ops"); !strings.Contains(arn, ":assumed-role/dev/") {
		w.t.Errorf("the AWS CLI is %q as ops: %s", arn, r.stderr)
	}
	w.must(w.run("broker", "unwire", "--all"))
	if data, err := os.ReadFile(filepath.Join(w.home, ".aws", "config")); err != nil || string(data) != awsVaultConfig {
		w.t.Errorf("after unwire the config is %q, %v", data, err)
	}

	report := w.imported(w.run("broker", "import", "--from", "aws-vault", "--delete-source", "--json"))
	for _, d := range report.Deleted {
		if d.Why != "" {
			w.t.Errorf("the key of %s is still there: %s", d.Profile, d.Why)
		}
	}
	want := slices.Clone(noKeys)
	slices.Sort(want)
	if left := s.left(); len(report.Deleted) != len(s.names) || !slices.Equal(left, want) {
		w.t.Errorf("%d keys are deleted, and left is %q, want %q", len(report.Deleted), left, want)
	}
	w.credentials("dev") // from the session, and the key is there still
	if n := len(w.keys()); n != len(s.names) {
		w.t.Errorf("broker has %d keys, want %d", n, len(s.names))
	}
}

// P29: what is taken out of another program's store goes through one worker. The
// daemon never has it, nor has the client, nor any command line, environment,
// file or log.
func TestP29ImportedSecretStaysInTheWorker(t *testing.T) {
	t.Parallel()
	needRoot(t)
	begin := time.Now().Add(-time.Second)
	w := newWorld(t)
	w.initialise()
	s := fileShelf(w, 10)
	s.fill(w)
	canary, phrase := newNeedle(w.user("ann").AccessKeys[0].SecretAccessKey), newNeedle(vaultPhrase)
	v := w.watchFor(canary)
	client := w.start("broker", "import", "--from", "aws-vault")
	var seen []string
	scans, proofs := 0, 0
	for client.running() {
		found, err := canary.scanMemory(client.Process.Pid)
		seen = append(seen, found...)
		if err != nil {
			continue // it has ended meanwhile
		}
		scans++
		if proofs > 0 {
			continue
		}
		_ = client.Process.Signal(syscall.SIGSTOP) // it may have ended; else it stays until it was looked through
		if found, err := phrase.scanMemory(client.Process.Pid); err == nil && len(found) > 0 {
			proofs++
		}
		_ = client.Process.Signal(syscall.SIGCONT)
	}
	w.must(client.wait())
	v.sawNothing(1) // how many scans there are, the load of the machine decides
	if len(seen) > 0 {
		slices.Sort(seen)
		t.Errorf("the secret was seen in the client:\n%s", strings.Join(slices.Compact(seen), "\n"))
	}
	if proofs == 0 {
		t.Errorf("%d scans of the client did not find the passphrase, which it has", scans)
	}
	files := canary.scanFiles(t, begin, w.dir, os.TempDir())
	files = slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "/sandbox.json") })
	if len(files) > 0 {
		t.Errorf("the secret lies in files:\n%s", strings.Join(files, "\n"))
	}
	if n := len(w.keys()); n != len(s.names) {
		t.Errorf("broker has %d keys, want %d", n, len(s.names))
	}
}

// F17, F22: aws-vault's keyring is locked, or its service dies amid an import.
// Either is told apart from broker's own store, nothing is lost, and the next
// import takes the rest.
func TestF17ForeignKeyring(t *testing.T) {
	t.Parallel()
	w, bus := desktopWorld(t)
	w.initialise()
	k := bus.StartKeyring(t)
	c := k.MakeCollection("awsvault")
	s := collectionShelf(c, 12)
	s.fill(w)
	before := s.left()

	c.Lock()
	w.refused("a locked keyring", w.run("broker", "import", "--from", "aws-vault"), "the keyring awsvault is locked")
	c.Unlock()

	w.env = append(w.env, "AWS_VAULT_BACKEND=secret-service")
	importing := w.start("broker", "import", "--from", "aws-vault")
	w.eventually("three keys are stored", func() error {
		if n := w.items(); n < 4 { // of which the last one may not be in the index yet
			return fmt.Errorf("%d are", n)
		}
		if !importing.running() {
			return errors.New("the import has ended")
		}
		return nil
	})
	k.Kill()
	r := importing.wait()
	if r.status != 5 || !strings.Contains(r.stderr, "keys are not stored, and their source is as it was") || !strings.Contains(r.stdout, "not tried: ") {
		t.Errorf("import while the keyring dies: status %d, stdout %q, stderr %q", r.status, r.stdout, r.stderr)
	}
	w.refused("a keyring that is gone", w.run("broker", "import", "--from", "aws-vault"), "aws-vault's secret-service store")
	some := len(w.keys())

	k.Start()
	c.Unlock()
	if left := s.left(); !slices.Equal(left, before) {
		t.Errorf("left in the source: %q, want %q", left, before)
	}
	w.must(w.run("broker", "import", "--from", "aws-vault"))
	if n := len(w.keys()); n != len(s.names) || some < 3 || some == n {
		t.Errorf("broker has %d keys, and had %d, want %d in the end", n, some, len(s.names))
	}
}

// F19: a keyring of aws-vault's that hangs ends the import, in time.
func TestF19ForeignKeyringHangs(t *testing.T) {
	t.Parallel()
	w, bus := desktopWorld(t)
	w.initialise()
	k := bus.StartKeyring(t)
	s := collectionShelf(k.MakeCollection("awsvault"), 1)
	s.plant("dev", vaulttest.AWSVaultKey("AKIAIOSFODNN7EXAMPLE", "x"))
	k.Freeze()
	defer k.Thaw()
	w.refused("a keyring that hangs", w.run("broker", "import", "--from", "aws-vault"), "did not answer in time")
}
