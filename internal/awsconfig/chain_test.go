// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestChains runs testdata/chain: files named "chain P" hold the document of
// profile P, files named "error P" the code and the beginning of the message.
func TestChains(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/chain/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			runChains(t, unpack(string(data)))
		})
	}
}

// unpack cuts an archive at its lines "-- name --"; what stands before the
// first one is its comment.
func unpack(text string) map[string]string {
	files, name := map[string]string{}, ""
	for line := range strings.Lines(text) {
		if next, ok := strings.CutPrefix(line, "-- "); ok {
			name = strings.TrimSuffix(strings.TrimSpace(next), " --")
		} else {
			files[name] += line
		}
	}
	delete(files, "")
	return files
}

func runChains(t *testing.T, files map[string]string) {
	t.Helper()
	keys := map[string]string{}
	for line := range strings.Lines(files["vault"]) {
		profile, id, _ := strings.Cut(strings.TrimSpace(line), " ")
		keys[profile] = id
	}
	c := mustLoad(t, files["config"], files["credentials"])
	for name, text := range files {
		what, profile, ok := strings.Cut(name, " ")
		if !ok {
			continue
		}
		text = strings.TrimSpace(text)
		chain, err := c.Chain(profile, vault(keys))
		if what == "error" {
			code, message, _ := strings.Cut(text, " ")
			checkError(t, err, code, message)
			continue
		}
		got, jsonErr := json.Marshal(chain)
		if err != nil || jsonErr != nil {
			t.Errorf("%s: %v, %v", profile, err, jsonErr)
		} else if string(got) != text {
			t.Errorf("%s: got %s\nwant %s", profile, got, text)
		}
	}
}

func TestChainWithoutVault(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, "[profile dev]\nregion = x", "")
	_, err := c.Chain("dev", nil)
	checkError(t, err, CodeNoKey, "config:1: profile dev has no credentials")
}

// TestMessagesAreFitForATerminal names profiles that try to move the cursor.
func TestMessagesAreFitForATerminal(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, "[profile dev]\nrole_arn = x\nsource_profile = \x1b[2J"+strings.Repeat("é", 400), "")
	_, err := c.Chain("dev", nil)
	checkError(t, err, CodeNoProfile, `config:3: profile "\x1b[2J\u00e9`)
	if len(err.Error()) > 1500 {
		t.Errorf("the message is %d bytes long", len(err.Error()))
	}
	_, err = c.Chain("\x1b[2J", nil)
	checkError(t, err, CodeNoProfile, `profile "\x1b[2J" does not exist`)
}

// TestP47AWSConfigIsInert sets every key that makes SDKs run a program or
// follow a URL, under every operation of the package.
func TestP47AWSConfigIsInert(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fired := filepath.Join(dir, "fired")
	script := filepath.Join(dir, "script")
	write(t, script, "#!/bin/sh\necho fired >>"+fired+"\n")
	if err := os.Chmod(script, 0o700); err != nil {
		t.Fatal(err)
	}
	keys := strings.ReplaceAll("credential_process = S\nmfa_process = S\nbroker_mfa_command = S\nbroker_credential_process = S\n"+
		"endpoint_url = http://127.0.0.1:1\nbroker_endpoint_url = http://127.0.0.1:1\nca_bundle = S\n", "S", script)
	c := mustLoad(t, "[profile dev]\n"+keys+"[profile role]\nsource_profile = dev\nrole_arn = arn:aws:iam::111122223333:role/X\n"+keys, "[dev]\n"+keys)
	for _, name := range c.Profiles() {
		if _, err := c.Show(name, true); err != nil {
			t.Error(err)
		}
		if _, err := c.Chain(name, nil); err != nil {
			t.Error(err)
		}
		if _, err := c.Route(name, vault(map[string]string{"dev": "AKIADEV"})); err != nil {
			t.Error(err)
		}
	}
	if _, err := Overlay(OverlayOptions{Config: []byte("[profile dev]\n" + keys), Served: c.Profiles(), Broker: "/bin/broker"}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(fired); err == nil {
		t.Error("a program named in the AWS config was run")
	}
}
