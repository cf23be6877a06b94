// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"slices"
	"strings"
)

// ours says which of our packages each package may import outside its tests.
// Only those named here may exist: a new package begins with its line.
var ours = map[string][]string{
	"cmd/broker": {"internal/client"},
	"cmd/broker-cli": {
		"credproc", "internal/atomicfile", "internal/awsconfig", "internal/client", "internal/ipc",
		"internal/paths", "internal/secret", "internal/tty",
	},
	"cmd/brokerd": {
		"broker", "broker/nag", "credproc", "internal/atomicfile", "internal/awsapi", "internal/awsconfig",
		"internal/desktop", "internal/ipc", "internal/paths", "internal/secret",
	},
	"cmd/broker-vault": {
		"credproc", "internal/awsapi", "internal/ipc", "internal/paths", "internal/secret",
		"vault", "vault/keychain",
	},
	"cmd/broker-sandbox": {"internal/atomicfile", "internal/fakeaws"},

	"broker": {
		"broker/nag", "broker/rotation", "credproc", "internal/atomicfile", "internal/awsconfig", "internal/ipc",
		"internal/secret",
	},
	"broker/nag":      {},
	"broker/rotation": {},
	"vault":           {"credproc", "internal/atomicfile", "internal/awsapi", "internal/ipc", "internal/secret"},
	"vault/keychain":  {"vault", "internal/atomicfile", "internal/secret"},
	"vault/vaulttest": {"vault", "internal/secret"},
	"credproc":        {"internal/secret"},

	"internal/archtest":      {},
	"internal/archtest/gate": {},
	"internal/atomicfile":    {},
	"internal/awsapi":        {"credproc", "internal/secret"},
	"internal/awsconfig":     {"internal/atomicfile", "internal/paths", "internal/secret"},
	"internal/bench":         {"internal/awsconfig"},
	"internal/bench/floor":   {},
	"internal/bench/phone":   {},
	"internal/client":        {"credproc", "internal/atomicfile", "internal/awsconfig", "internal/ipc", "internal/paths", "internal/tty"},
	"internal/desktop":       {},
	"internal/e2e":           {},
	"internal/fakeaws":       {"internal/atomicfile", "internal/paths", "internal/secret"},
	"internal/ipc":           {"credproc", "internal/secret"},
	"internal/paths":         {"internal/atomicfile", "internal/secret"},
	"internal/secret":        {},
	"internal/tty":           {"internal/atomicfile", "internal/paths", "internal/secret"},
	"internal/testcorpus":    {},
	"internal/testprograms":  {},
	"internal/testtracer":    {},
}

// theirs says who may import a module of somebody else: a directory, or with a
// slash at its end everything below it. "test" stands for any test.
var theirs = map[string][]string{
	"github.com/99designs/keyring":     {"vault/keychain"},
	"github.com/Microsoft/go-winio":    {"internal/ipc"}, // linked on Windows only
	"github.com/aws/aws-sdk-go-v2":     {"internal/awsapi", "internal/fakeaws", "test"},
	"github.com/aws/smithy-go":         {"internal/awsapi", "internal/fakeaws", "test"},
	"github.com/creack/pty":            {"test"},
	"github.com/danieljoos/wincred":    {"vault/keychain"},
	"github.com/fsnotify/fsnotify":     {"broker", "cmd/brokerd", "internal/ipc"},
	"github.com/godbus/dbus":           {"vault/keychain", "test"}, // v4: the library's own connection, see vault/keychain
	"github.com/godbus/dbus/v5":        {"internal/desktop", "vault/vaulttest", "test"},
	"github.com/rogpeppe/go-internal":  {"internal/testcorpus", "test"},
	"github.com/urfave/cli/v2":         {"cmd/broker-cli"},
	"golang.org/x/crypto":              {"vault/keychain", "test"},
	"golang.org/x/sys":                 {"broker", "cmd/", "internal/", "vault", "vault/keychain", "test"},
	"golang.org/x/term":                {"cmd/", "internal/tty", "test"},
	"github.com/dvsekhvalnov/jose2go":  {},
	"github.com/gsterjov/go-libsecret": {},
}

func importRules() []rule {
	return []rule{
		{
			name:  "import table",
			check: importTable,
			plant: map[string]string{
				"cmd/broker/a.go":      `package main; import _ "credbroker/broker"`,
				"broker/a.go":          `package broker; import _ "credbroker/internal/awsapi"`,
				"broker/a_test.go":     `package broker; import _ "credbroker/internal/awsapi"`,
				"internal/ipc/a.go":    `package ipc; import _ "credbroker/credproc"`,
				"internal/helper/a.go": `package helper`,
			},
			want: []string{
				"broker imports internal/awsapi",
				"cmd/broker imports broker",
				"internal/helper is not in the import table",
			},
		},
		{
			name:  "foreign imports",
			check: foreignImports,
			plant: map[string]string{
				"vault/a.go":             `package vault; import _ "github.com/99designs/keyring"`,
				"vault/a_test.go":        `package vault; import _ "github.com/99designs/keyring"`,
				"vault/keychain/a.go":    `package keychain; import _ "github.com/99designs/keyring"`,
				"broker/a.go":            `package broker; import _ "github.com/aws/aws-sdk-go-v2/service/sts"`,
				"internal/ipc/a.go":      `package ipc; import _ "github.com/urfave/cli/v2"`,
				"internal/ipc/a_test.go": `package ipc; import _ "github.com/creack/pty"`,
				"credproc/a.go":          `package credproc; import _ "example.com/somebody/thing"`,
			},
			want: []string{
				"broker imports github.com/aws/aws-sdk-go-v2/service/sts",
				"example.com/somebody/thing is of a module that nobody vouches for",
				"internal/ipc imports github.com/urfave/cli/v2",
				"vault imports github.com/99designs/keyring",
				"vault imports github.com/99designs/keyring",
			},
		},
	}
}

func importTable(tr tree) []string {
	var found []string
	unknown := map[string]bool{}
	for _, s := range tr.sources {
		allowed, ok := ours[s.dir()]
		if !ok && !unknown[s.dir()] {
			unknown[s.dir()] = true
			found = append(found, tr.at(s.file.Package, "%s is not in the import table", s.dir()))
		}
		if !ok || s.test() {
			continue
		}
		for _, spec := range s.file.Imports {
			name, mine := strings.CutPrefix(importPath(spec), module+"/")
			if mine && !slices.Contains(allowed, name) {
				found = append(found, tr.at(spec.Pos(), "%s imports %s", s.dir(), name))
			}
		}
	}
	return found
}

func foreignImports(tr tree) []string {
	var found []string
	for _, s := range tr.sources {
		for _, spec := range s.file.Imports {
			name := importPath(spec)
			first, _, _ := strings.Cut(name, "/")
			if !strings.Contains(first, ".") {
				continue // the standard library, or ours
			}
			importers, known := vouched(name)
			switch {
			case !known:
				found = append(found, tr.at(spec.Pos(), "%s is of a module that nobody vouches for", name))
			case !slices.ContainsFunc(importers, func(who string) bool {
				return who == s.dir() || who == "test" && s.test() ||
					strings.HasSuffix(who, "/") && strings.HasPrefix(s.dir()+"/", who)
			}):
				found = append(found, tr.at(spec.Pos(), "%s imports %s", s.dir(), name))
			}
		}
	}
	return found
}

// vouched returns who may import a foreign package, by the longest module path
// in theirs that it lies under.
func vouched(name string) (importers []string, known bool) {
	var longest string
	for mod, who := range theirs {
		if (name == mod || strings.HasPrefix(name, mod+"/")) && len(mod) > len(longest) {
			longest, importers, known = mod, who, true
		}
	}
	return importers, known
}
