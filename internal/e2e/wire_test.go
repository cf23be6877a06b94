// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"credbroker/internal/testprograms"
)

// awsFile returns what a file of ~/.aws holds.
func (w *world) awsFile(name string) string {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(w.home, ".aws", name))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(data)
}

func (w *world) writeAWSFile(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.home, ".aws", name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// twoFiles is a setup whose roles stand in both AWS files.
func (w *world) twoFiles() (config, credentials string) {
	arn := func(name string) string { return "arn:aws:iam::" + w.account.AccountID + ":role/" + name }
	config = "# mine\r\n[profile dev]\r\nregion = eu-west-1\r\n\r\n" +
		"[profile hop1]\r\nregion = eu-west-2\r\nrole_arn = " + arn("dev-hop1") + "\r\nsource_profile = dev\r\n" +
		"[profile hop2]\r\nregion = eu-west-3\r\nsource_profile\t=\thop1\r\nrole_arn=" + arn("dev-hop2")
	credentials = "; kept\n[stale]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = not-the-secret\n\n" +
		"[there]\n# a role in the credentials file\nrole_arn = " + arn("dev") + "\nsource_profile = dev\n"
	w.writeAWSFile("config", config)
	w.writeAWSFile("credentials", credentials)
	return config, credentials
}

// TestWireServesEveryClient: from a path with a blank, for a key, a role, a
// chain of roles and a role of the credentials file, the AWS CLI and a Go
// program get the identity that the files said before; then both files are what
// they were, byte for byte.
func TestWireServesEveryClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	spaced := filepath.Join(w.dir, "my programs")
	if err := testprograms.Link(programs, spaced); err != nil {
		t.Fatal(err)
	}
	for i, entry := range w.env {
		w.env[i] = strings.Replace(entry, "PATH="+w.bin, "PATH="+spaced, 1)
	}
	w.bin = spaced
	w.initialise()
	w.add("dev", "ann", "--no-mfa")
	config, credentials := w.twoFiles()
	r := w.must(w.run("broker", "wire", "dev", "hop1", "hop2", "there"))
	if strings.Count(r.stdout, "; now from broker: ") != 4 || strings.Contains(r.stdout+r.stderr, "not-the-secret") {
		t.Errorf("stdout %q, stderr %q", r.stdout, r.stderr)
	}
	want := map[string]string{"dev": "user/ann", "hop1": "assumed-role/dev-hop1/", "hop2": "assumed-role/dev-hop2/", "there": "assumed-role/dev/"}
	for profile, part := range want {
		arn, r := w.cli(profile, "AWS_DEFAULT_REGION=eu-west-1")
		if !strings.Contains(arn, part) {
			t.Errorf("aws --profile %s is %q, want %s; stderr %q", profile, arn, part, r.stderr)
		}
	}
	w.env = append(w.env, "AWS_REGION=eu-west-1") // there has none
	for _, s := range w.goClient("dev,hop1,hop2,there") {
		if !strings.Contains(s.ARN, want[s.Profile]) || !strings.HasPrefix(s.AccessKeyID, "ASIA") {
			t.Errorf("Go SDK: %+v, want %s", s, want[s.Profile])
		}
	}
	w.must(w.run("broker", "unwire", "--all"))
	if w.awsFile("config") != config || w.awsFile("credentials") != credentials {
		t.Errorf("unwire leaves\n%q\n%q\nwant\n%q\n%q", w.awsFile("config"), w.awsFile("credentials"), config, credentials)
	}
}

// credentialsElsewhere gives the credentials file a directory of its own.
func (w *world) credentialsElsewhere(text string) (dir string) {
	w.t.Helper()
	dir = filepath.Join(w.dir, "elsewhere")
	if err := os.Mkdir(dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	file := filepath.Join(dir, "credentials")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.env = append(w.env, "AWS_SHARED_CREDENTIALS_FILE="+file)
	w.initialise("credentials_file = " + file)
	return dir
}

// TestWireTakesTheFirstHalfBack: if the second file cannot be written, the
// first is as it was, and the error says so.
func TestWireTakesTheFirstHalfBack(t *testing.T) {
	needRoot(t)
	t.Parallel()
	w := newWorld(t)
	config, credentials := w.twoFiles()
	elsewhere := w.credentialsElsewhere(credentials)
	w.add("dev", "ann", "--no-mfa")
	mount(t, elsewhere, elsewhere, "", syscall.MS_BIND, "")
	remount(t, elsewhere, syscall.MS_RDONLY)
	r := w.run("broker", "wire", "hop1", "there")
	if r.status != 1 || r.stdout != "" || !strings.Contains(r.stderr, "config is as it was before") || !strings.Contains(r.stderr, "read-only") {
		t.Errorf("status %d, stdout %q, stderr %q", r.status, r.stdout, r.stderr)
	}
	if got := w.awsFile("config"); got != config {
		t.Errorf("the config is\n%q\nwant\n%q", got, config)
	}
	w.must(w.run("broker", "wire", "hop1")) // needs nothing of the other file
	remount(t, elsewhere, 0)
	w.must(w.run("broker", "wire", "hop1", "there"))
}

func remount(t *testing.T, dir string, flags uintptr) {
	t.Helper()
	if err := syscall.Mount("", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|flags, ""); err != nil {
		t.Fatal(err)
	}
}

// TestAddWireKeepsTheKey: whatever keeps the profile from being wired after the
// key was stored, the key is stored, and the command ends with the reason and
// with what is left to do.
func TestAddWireKeepsTheKey(t *testing.T) {
	needRoot(t)
	t.Parallel()
	w := newWorld(t)
	w.initialise()
	w.awsConfig("[profile dev]\nregion = eu-west-1\n")
	dir := filepath.Join(w.home, ".aws")
	mount(t, dir, dir, "", syscall.MS_BIND, "")
	remount(t, dir, syscall.MS_RDONLY)
	r := w.finish(w.addCommand("dev", "ann", "--no-mfa", "--wire"))
	if r.status != 1 || !strings.HasPrefix(r.stdout, "stored ") ||
		!strings.Contains(r.stderr, "broker: error: the key is stored; wire profile dev: ") || !strings.HasSuffix(r.stderr, ": broker wire dev\n") {
		t.Errorf("status %d, stdout %q, stderr %q", r.status, r.stdout, r.stderr)
	}
	r = w.finish(w.addCommand("new", "bob", "--no-mfa", "--wire", "--json"))
	var added struct {
		Profile string
		Wire    struct{ Profiles []struct{ State string } }
	}
	if err := json.Unmarshal([]byte(r.stdout), &added); err != nil || r.status != 1 || added.Profile != "new" {
		t.Errorf("status %d, stdout %q (%v)", r.status, r.stdout, err)
	}
	if keys := w.keys(); len(keys) != 2 {
		t.Errorf("stored: %v", keys)
	}
	w.credentials("dev")
	remount(t, dir, 0)
	w.must(w.run("broker", "wire", "dev", "new"))
}

// TestEditorsAtOnce: several wires and unwires, and the AWS CLI, which knows no
// lock, write one file at once. Everybody's lines are there in the end.
func TestEditorsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.initialise()
	w.add("base", "ann", "--no-mfa")
	text := "[profile base]\nregion = eu-west-1\n"
	const each = 4
	for i := range each {
		for _, kind := range []string{"a", "b"} {
			text += fmt.Sprintf("[profile %s%d]\nrole_arn = arn:aws:iam::%s:role/dev\nsource_profile = base\n", kind, i, w.account.AccountID)
		}
	}
	w.awsConfig(text)
	cli := aws(t)
	var all sync.WaitGroup
	run := func(name string, args ...string) {
		if r := w.finish(w.command(name, args...)); r.status != 0 {
			t.Errorf("%s: status %d, stderr %q", r.line, r.status, r.stderr)
		}
	}
	all.Go(func() {
		for i := range each {
			run(cli, "configure", "set", "output", fmt.Sprint("text", i), "--profile", fmt.Sprint("cli", i))
		}
	})
	for _, kind := range []string{"a", "b"} {
		all.Go(func() {
			for i := range each {
				run("broker", "wire", fmt.Sprint(kind, i))
				run("broker", "unwire", fmt.Sprint(kind, i))
				run("broker", "wire", fmt.Sprint(kind, i))
			}
		})
	}
	all.Wait()
	got := w.awsFile("config")
	for i := range each {
		for _, kind := range []string{"a", "b"} {
			if name := fmt.Sprint(kind, i); strings.Count(got, "credential-process "+name+"\n") != 1 {
				t.Errorf("%s is not wired once in\n%s", name, got)
			}
		}
		if strings.Count(got, fmt.Sprintf("[profile cli%d]\noutput = text%[1]d\n", i)) != 1 {
			t.Errorf("what the AWS CLI has set %d is not there in\n%s", i, got)
		}
	}
}
