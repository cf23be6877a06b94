// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"path/filepath"
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
