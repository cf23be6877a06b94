// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"credbroker/internal/testcorpus"
)

// lay replaces everything in the home but broker's own by the files of a set.
func (r *corpusRig) lay(t *testing.T, c testcorpus.Case) {
	t.Helper()
	entries, err := os.ReadDir(r.home)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name := e.Name(); name != ".config" && name != ".local" {
			if err := os.RemoveAll(filepath.Join(r.home, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.Write(r.home, filepath.Join(r.bin, "broker")); err != nil {
		t.Fatal(err)
	}
}

func (r *corpusRig) config() string { return filepath.Join(r.home, ".aws", "config") }

// snapshot describes every file and link of the home, but for broker's own and
// the backups, which wire makes beside what it edits.
func (r *corpusRig) snapshot(t *testing.T) map[string]string {
	t.Helper()
	seen := map[string]string{}
	err := filepath.WalkDir(r.home, func(path string, e fs.DirEntry, err error) error {
		name, rel := e.Name(), strings.TrimPrefix(path, r.home)
		switch {
		case err != nil:
			return err
		case e.IsDir() && (rel == "/.config" || rel == "/.local" || rel == "/.aws/cli"):
			return fs.SkipDir
		case e.IsDir() || strings.Contains(name, ".broker-"):
			return nil
		case e.Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			seen[rel] = "link to " + target
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		stat := info.Sys().(*syscall.Stat_t)
		seen[rel] = fmt.Sprintf("%v of %d:%d\n%s", info.Mode(), stat.Uid, stat.Gid, data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// unchanged compares the home with what it was. A file that was not there may
// be an empty one now.
func (r *corpusRig) unchanged(t *testing.T, was map[string]string, after string) {
	t.Helper()
	is := r.snapshot(t)
	for _, path := range slices.Sorted(maps.Keys(is)) {
		if _, old := was[path]; !old && !strings.HasSuffix(is[path], "\n") {
			t.Errorf("after %s there is %s: %q", after, path, is[path])
		}
	}
	for _, path := range slices.Sorted(maps.Keys(was)) {
		if is[path] != was[path] {
			t.Errorf("after %s %s is\n%q\nwant\n%q", after, path, is[path], was[path])
		}
	}
}

// unwired is what the home is to be after unwire.
func (r *corpusRig) unwired(t *testing.T, c testcorpus.Case, original map[string]string) map[string]string {
	t.Helper()
	want := maps.Clone(original)
	for _, name := range []string{"config", "credentials"} {
		path, err := filepath.EvalSymlinks(filepath.Join(r.home, ".aws", name))
		if err != nil {
			continue
		}
		rel := strings.TrimPrefix(path, r.home)
		mode, _, existed := strings.Cut(original[rel], "\n")
		if existed {
			want[rel] = mode + "\n" + string(c.Unwired(name, r.home, filepath.Join(r.bin, "broker")))
		}
	}
	return want
}

// foreignEdits sees that unwire leaves what others have written in between: the
// AWS CLI sets a Region in a served profile, or makes a new one, and somebody
// appends a section by hand. The same edits of the original are what has to
// come out. Every other set is wired by the names of its profiles.
func (r *corpusRig) foreignEdits(t *testing.T, c testcorpus.Case, i int) {
	t.Helper()
	config := c.Unwired("config", r.home, filepath.Join(r.bin, "broker"))
	if len(config) == 0 || len(c.Served()) == 0 {
		return
	}
	plain := filepath.Join(r.dir, "plain-config")
	if err := os.WriteFile(plain, config, 0o600); err != nil {
		t.Fatal(err)
	}
	r.edit(t, c, plain)
	want, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	if i%2 == 0 || c.Sampled {
		r.wire(t, c)
	} else {
		r.must(r.world.run("broker", append([]string{"wire"}, names(c.Served())...)...))
	}
	r.edit(t, c, r.config())
	r.unwire(t)
	got, err := os.ReadFile(r.config())
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("after wire, edits of others and unwire the config is\n%q\nwant\n%q", got, want)
	}
}

// edit makes the edits of others in a config.
func (r *corpusRig) edit(t *testing.T, c testcorpus.Case, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	text := "\n[profile appended-by-hand]\nregion = eu-west-3\n# the end\n"
	if config := c.Unwired("config", r.home, ""); bytes.Contains(config, []byte("\r\n")) {
		text = strings.ReplaceAll(text, "\n", "\r\n") // as its owner's editor does
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(r.pythons, func(c *client) bool { return c.cli })
	if i < 0 {
		return
	}
	set := []string{"configure", "set", "output", "text", "--profile", "made-by-aws"}
	config, _ := c.Data("config", r.home, "")
	for _, name := range names(c.Served()) {
		if bytes.Contains(config, []byte("[profile "+name+"]\n")) {
			set = []string{"configure", "set", "region", "eu-north-1", "--profile", name}
			break
		}
	}
	q := question{Op: "cli", Commands: [][]string{set}, Env: map[string]string{"AWS_CONFIG_FILE": path, "AWS_DEFAULT_REGION": regionOf(c.Partition)}}
	for _, result := range r.pythons[i].ask(t, q).Results {
		if result.Status != 0 {
			t.Fatalf("aws configure set: %s", result.Stderr)
		}
	}
}
