// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bytes"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"credbroker/internal/testcorpus"
)

const corpusBroker = "/opt/broker/bin/broker"

// corpusKeys is the vault of the corpus: the profiles that own a stored key.
// The tests that run the programs store the same ones.
func corpusKeys(profile string) (accessKeyID string, ok bool) {
	return "AKIAIOSFODNN7EXAMPLE", slices.Contains(testcorpus.Stored(), profile)
}

// corpus returns every set, each written below a home of its own.
func corpus(t *testing.T, each func(t *testing.T, c testcorpus.Case, files Files)) {
	t.Helper()
	cases, err := testcorpus.Load("../e2e/testdata/corpus")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			home := t.TempDir()
			if err := c.Write(home, corpusBroker); err != nil {
				t.Fatal(err)
			}
			each(t, c, Files{filepath.Join(home, ".aws", "config"), filepath.Join(home, ".aws", "credentials")})
		})
	}
}

// TestCorpusRoutes: what broker reads in the files is what somebody wrote down
// by hand of each profile.
func TestCorpusRoutes(t *testing.T) {
	corpus(t, func(t *testing.T, c testcorpus.Case, files Files) {
		config, err := Load(files)
		if err != nil {
			if c.RefusedWhole() == "" {
				t.Error(err)
			}
			return
		}
		named := map[string]bool{}
		for _, w := range c.Want {
			named[w.Profile] = true
			route, err := config.Route(w.Profile, corpusKeys)
			switch {
			case w.Profile == "*" || w.Refused != "":
			case !w.Served() && err == nil:
				t.Errorf("%s: broker serves it, want not", w.Profile)
			case w.Served() && err != nil:
				t.Errorf("%s: %v", w.Profile, err)
			case w.Served():
				checkRoute(t, route, w)
			}
		}
		if !c.Sampled && c.RefusedWhole() == "" {
			for _, name := range config.Profiles() {
				if !named[name] {
					t.Errorf("%s has no line in want", name)
				}
			}
		}
	})
}

// checkRoute compares the end of a route with the identity that is wanted.
func checkRoute(t *testing.T, r Route, w testcorpus.Want) {
	t.Helper()
	kind, rest, _ := strings.Cut(w.Resource, "/")
	if kind == "user" {
		if len(r.Roles) > 0 {
			t.Errorf("%s ends at a role, want %s", w.Profile, w.Resource)
		}
		return
	}
	if len(r.Roles) == 0 {
		t.Errorf("%s ends at a key, want %s", w.Profile, w.Resource)
		return
	}
	arn := strings.Split(r.Roles[len(r.Roles)-1].Role.ARN, ":")
	path := strings.Split(arn[5], "/")
	role, _, _ := strings.Cut(rest, "/")
	if arn[4] != w.Account || path[len(path)-1] != role {
		t.Errorf("%s ends at %s, want %s of account %s", w.Profile, strings.Join(arn, ":"), w.Resource, w.Account)
	}
}

// TestCorpusRoundTrip: wire sends each served profile to broker and to nothing
// else, leaves broker's own way to each profile as it was, and unwire gives
// every byte back; all profiles at once, and each by itself.
func TestCorpusRoundTrip(t *testing.T) {
	corpus(t, func(t *testing.T, c testcorpus.Case, files Files) {
		var original bothFiles
		original.read(t, files)
		if reason := c.RefusedWhole(); reason == "read-only" {
			return // which the content does not show
		} else if reason != "" {
			err := original.clone().wire("dev")
			checkRefusal(t, "the files", err, reason)
			return
		}
		before := original.load(t, files)
		served := wirable(before, c)
		if len(served) == 0 {
			t.Fatal("nothing is served")
		}
		for _, w := range c.Want {
			if w.Refused != "" {
				checkRefusal(t, w.Profile, original.clone().wire(w.Profile), w.Refused)
			}
		}
		home := filepath.Dir(filepath.Dir(files.Config))
		unwired := bothFiles{c.Unwired("config", home, corpusBroker), c.Unwired("credentials", home, corpusBroker)}
		checkWired(t, files, original, unwired, before, served...)
		for i, name := range served {
			if !c.Sampled || i < 3 {
				checkWired(t, files, original, unwired, before, name)
			}
		}
	})
}

// wirable returns what `wire --all` would wire: every profile that is served,
// also one that has a stored key and nothing in the files.
func wirable(config *Config, c testcorpus.Case) []string {
	names := append(config.Profiles(), testcorpus.Stored()...)
	slices.Sort(names)
	names = slices.Compact(names)
	return slices.DeleteFunc(names, func(name string) bool {
		_, err := config.Route(name, corpusKeys)
		return err != nil || slices.ContainsFunc(c.Want, func(w testcorpus.Want) bool { return w.Profile == name && !w.Served() })
	})
}

// checkWired wires profiles, looks at everything, and takes it back.
func checkWired(t *testing.T, files Files, original, unwired bothFiles, before *Config, names ...string) {
	t.Helper()
	p := original.clone()
	if err := p.wire(names...); err != nil {
		t.Fatalf("wire %s: %v", names, err)
	}
	after := p.load(t, files)
	for _, name := range names {
		if program, ok := after.Helper(name); !ok || program != corpusBroker {
			t.Errorf("%s is not wired:\n%s", name, p.config)
		}
	}
	for _, name := range append(before.Profiles(), names...) {
		was, errWas := before.Route(name, corpusKeys)
		is, errIs := after.Route(name, corpusKeys)
		if (errWas == nil) != (errIs == nil) || !reflect.DeepEqual(plainRoute(was), plainRoute(is)) {
			t.Errorf("wiring %s, broker's way to %s was %+v, %v and is %+v, %v", names, name, plainRoute(was), errWas, plainRoute(is), errIs)
		}
	}
	again := p.clone()
	if err := again.wire(names...); err != nil || !again.same(*p) {
		t.Errorf("wire %s twice: %v\n%q\nwant\n%q", names, err, again.config, p.config)
	}
	if err := p.unwire(); err != nil || !p.same(unwired) {
		t.Errorf("wire and unwire %s: %v\n%q\n%q\nwant\n%q\n%q", names, err, p.config, p.credentials, unwired.config, unwired.credentials)
	}
}

// plainRoute returns a route without where in the files it is from, and what
// the files say beside.
func plainRoute(r Route) Route {
	plain := func(list []ProfileSettings) []ProfileSettings {
		list = slices.Clone(list)
		for i := range list {
			list[i].source = Profile{}
		}
		return list
	}
	return Route{plain(r.Path), plain(r.Roles)}
}

func checkRefusal(t *testing.T, what string, err error, reason string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || !strings.Contains(e.Error()+"\n"+e.Hint, reason) {
		t.Errorf("%s: error %v, want one with %q", what, err, reason)
	}
}

// bothFiles is the content of both files.
type bothFiles struct{ config, credentials []byte }

func (p *bothFiles) read(t *testing.T, files Files) {
	t.Helper()
	var err error
	if p.config, err = ReadFile(files.Config); err != nil {
		t.Fatal(err)
	}
	if p.credentials, err = ReadFile(files.Credentials); err != nil {
		t.Fatal(err)
	}
}

func (p bothFiles) clone() *bothFiles {
	return &bothFiles{bytes.Clone(p.config), bytes.Clone(p.credentials)}
}

func (p bothFiles) same(other bothFiles) bool {
	return bytes.Equal(p.config, other.config) && bytes.Equal(p.credentials, other.credentials)
}

func (p bothFiles) load(t *testing.T, files Files) *Config {
	t.Helper()
	config, err := LoadBytes(files, p.config, p.credentials)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// edit changes both files or none.
func (p *bothFiles) edit(change func(config, credentials *Document) error) error {
	config, err := ParseDocument("config", ConfigFile, p.config)
	if err != nil {
		return err
	}
	credentials, err := ParseDocument("credentials", CredentialsFile, p.credentials)
	if err != nil {
		return err
	}
	if err := change(config, credentials); err != nil {
		return err
	}
	p.config, p.credentials = config.Bytes(), credentials.Bytes()
	return nil
}

func (p *bothFiles) wire(names ...string) error {
	return p.edit(func(config, credentials *Document) error {
		for _, name := range names {
			line, err := HelperLine(corpusBroker, name, 0)
			if err != nil {
				return err
			}
			if err := errors.Join(credentials.Park(name), config.Wire(name, line)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *bothFiles) unwire() error {
	return p.edit(func(config, credentials *Document) error {
		for _, d := range []*Document{config, credentials} {
			for _, name := range d.Wired() {
				if _, err := d.Unwire(name); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
