// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"credbroker/internal/testprograms"
)

// TestWireSurvivesUpgrades: broker in a Homebrew Cellar writes the link that brew
// keeps, and what it wrote runs the next release when the old one is gone. Where no
// link leads there nothing is written.
func TestWireSurvivesUpgrades(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	brew := filepath.Join(w.dir, "brew")
	cellar, link := filepath.Join(brew, "Cellar", "broker"), filepath.Join(brew, "bin", "broker")
	w.env = append(w.env, "PATH="+systemPath()) // the programs of this world are hard links to the same files
	install := func(release string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Join(cellar, release), 0o755),
			testprograms.Link(programs, filepath.Join(cellar, release, "bin")), os.MkdirAll(filepath.Dir(link), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	install("1.2.3")
	old := filepath.Join(cellar, "1.2.3", "bin", "broker")
	w.awsConfig("[profile dev]\nregion = eu-west-1\n")
	refused := w.run(old, "wire", "dev")
	if refused.status != 7 || refused.stdout != "" || !strings.Contains(refused.stderr, "a path that ends with the next upgrade") {
		t.Errorf("without a link: exit status %d, stdout %q, stderr %q", refused.status, refused.stdout, refused.stderr)
	}

	if err := os.Symlink(old, link); err != nil {
		t.Fatal(err)
	}
	w.must(w.run(old, "wire", "dev"))
	config, err := os.ReadFile(filepath.Join(w.home, ".aws", "config"))
	if err != nil || !strings.Contains(string(config), "credential_process = "+link+" credential-process dev\n") {
		t.Fatalf("the config is %q, %v", config, err)
	}
	install("1.2.4")
	if err := errors.Join(os.RemoveAll(filepath.Dir(filepath.Dir(old))), os.Remove(link),
		os.Symlink(filepath.Join(cellar, "1.2.4", "bin", "broker"), link)); err != nil {
		t.Fatal(err)
	}
	if r := w.must(w.run(link, "version")); !strings.Contains(r.stdout, "broker") {
		t.Errorf("the next release: %q", r.stdout)
	}
	again := w.must(w.run(link, "wire", "dev"))
	if after, err := os.ReadFile(filepath.Join(w.home, ".aws", "config")); err != nil || string(after) != string(config) {
		t.Errorf("wired again by the next release: %q, %v; it said %q", after, err, again.stdout)
	}
}
