// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// revealers are the files that may take a secret out of its secret.String, a
// directory with a slash at its end, each with its reason.
var revealers = map[string]string{
	"cmd/broker-vault/hold.go":           "hands the key of the file store to workers",
	"cmd/broker-cli/init_passphrase.go":  "counts the characters of a new passphrase",
	"credproc/credproc.go":               "writes the document that the SDKs read",
	"credproc/environ.go":                "writes the environment of a program that was asked for with its credentials in it",
	"internal/awsapi/client.go":          "hands keys and credentials to the SDK, which signs with them",
	"internal/fakeaws/":                  "is AWS: it makes the secrets, checks and answers with them, and all are pretend ones",
	"internal/ipc/foreign.go":            "writes the requests for foreign stores, for a worker's standard input",
	"internal/ipc/worker.go":             "writes the requests of put, unlock and hold, for a worker's standard input",
	"internal/secret/secret.go":          "compares in constant time",
	"vault/keychain/foreign_file.go":     "opens the file store of another program with its password",
	"vault/keychain/file.go":             "opens the file store with its password",
	"vault/keychain/passphrase_typed.go": "derives the password of the file store",
	"vault/onrotate.go":                  "hands a key to the user's own program, which asked for it",
	"vault/put.go":                       "checks the form of a key before it is stored",
	"vault/record.go":                    "writes the record that the store keeps",
	"vault/rotate.go":                    "checks the form of a new key, and that an item has it",
	"vault/seal.go":                      "seals a new key until it is stored",
}

// plainFields are the files, or directories, whose structs may hold a secret
// as plain text, each with its reason.
var plainFields = map[string]string{
	"credproc/credproc.go":    "wire form, alive while Encode and Parse run",
	"internal/fakeaws/":       "wire forms of pretend secrets",
	"internal/ipc/foreign.go": "wire form, alive while Encode runs",
	"internal/ipc/worker.go":  "wire form, alive while Encode runs",
	"vault/foreign.go":        "form in a foreign store, alive while it is decoded",
	"vault/record.go":         "form in the store, alive while it is encoded",
}

// excusing returns the entry of a list of exceptions that covers a file.
func excusing(list map[string]string, file string) string {
	for entry := range list {
		if entry == file || strings.HasSuffix(entry, "/") && strings.HasPrefix(file, entry) {
			return entry
		}
	}
	return ""
}

// secretive matches names of things that must not be shown; public matches
// those that only sound like it.
var (
	secretive = regexp.MustCompile(`(?i)(secret|password|passphrase|token)`)
	public    = regexp.MustCompile(`(?i)(tokencode|file|path|dir|url|id)$`)
)

func secretRules() []rule {
	return []rule{
		{
			name:  "reveal sites",
			check: revealSites,
			plant: map[string]string{
				"broker/a.go":          `package broker; func f(s interface{ Reveal() string }) string { return s.Reveal() }`,
				"broker/a_test.go":     `package broker; func g(s interface{ Reveal() string }) string { return s.Reveal() }`,
				"broker/b.go":          `package broker; func h(s interface{ Reveal() string }) func() string { return s.Reveal }`,
				"credproc/credproc.go": `package credproc; func f(s interface{ Reveal() string }) string { return s.Reveal() }`,
			},
			want: []string{"reveals a secret", "reveals a secret"},
		},
		{
			name:  "secrets as plain text",
			check: plainSecrets,
			plant: map[string]string{
				"broker/a.go": `package broker
					type T struct {
						SecretAccessKey string
						password, Name  []byte
						TokenCode       string
						PassphraseFile  string
						Token           secret.String
					}`,
			},
			want: []string{"field SecretAccessKey", "field password"},
		},
		{
			name:  "hand-built AWS config",
			check: loadDefaultConfig,
			plant: map[string]string{
				"internal/awsapi/a.go": `package awsapi; import c "github.com/aws/aws-sdk-go-v2/config"; var _ = c.LoadDefaultConfig`,
			},
			want: []string{"LoadDefaultConfig reads the environment"},
		},
		{
			name:  "keys of AWS files",
			check: fileKeys,
			plant: map[string]string{
				"broker/a.go":         `package broker; func f(c interface{ StaticKeys() []int }) []int { return c.StaticKeys() }`,
				"cmd/brokerd/a.go":    `package main; import "credbroker/internal/awsconfig"; var k awsconfig.StaticKey`,
				"cmd/brokerd/b.go":    `package main; import "credbroker/internal/awsconfig"; var k awsconfig.KeyPair`,
				"cmd/broker-cli/a.go": `package main; import "credbroker/internal/awsconfig"; var k awsconfig.StaticKey`,
				"broker/a_test.go":    `package broker; func g(c interface{ StaticKeys() []int }) []int { return c.StaticKeys() }`,
				"internal/ipc/ok.go":  `package ipc; type T struct{ StaticKeys bool }`,
			},
			want: []string{"reads keys of AWS files", "reads keys of AWS files", "reads keys of AWS files"},
		},
	}
}

func revealSites(tr tree) []string {
	var found []string
	for _, where := range reveals(tr) {
		if excusing(revealers, where.path) == "" {
			found = append(found, tr.at(where.pos, "reveals a secret: give the file its reason in revealers, or keep the secret in"))
		}
	}
	return found
}

func plainSecrets(tr tree) []string {
	var found []string
	for _, where := range plains(tr) {
		if excusing(plainFields, where.path) == "" {
			found = append(found, tr.at(where.pos, "field %s holds a secret as plain text: make it a secret.String", where.name))
		}
	}
	return found
}

// site is a place in a file.
type site struct {
	path string
	pos  token.Pos
	name string
}

// reveals returns every mention of the method Reveal.
func reveals(tr tree) []site {
	var sites []site
	tr.production(func(s source) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Reveal" {
				sites = append(sites, site{s.path, sel.Pos(), "Reveal"})
			}
			return true
		})
	})
	return sites
}

// plains returns every field of a struct that is text and named like a secret.
func plains(tr tree) []site {
	var sites []site
	tr.production(func(s source) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			fields, ok := n.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range fields.Fields.List {
				for _, name := range field.Names {
					if plainText(field.Type) && secretive.MatchString(name.Name) && !public.MatchString(name.Name) {
						sites = append(sites, site{s.path, name.Pos(), name.Name})
					}
				}
			}
			return true
		})
	})
	return sites
}

// plainText reports whether a type is string, *string, []byte or []string.
func plainText(t ast.Expr) bool {
	switch t := t.(type) {
	case *ast.Ident:
		return t.Name == "string" || t.Name == "byte"
	case *ast.StarExpr:
		return plainText(t.X)
	case *ast.ArrayType:
		return plainText(t.Elt)
	}
	return false
}

func loadDefaultConfig(tr tree) []string {
	var found []string
	tr.production(func(s source) {
		s.selectors(func(sel *ast.SelectorExpr, name string) {
			if name == "config.LoadDefaultConfig" {
				found = append(found, tr.at(sel.Pos(), "LoadDefaultConfig reads the environment and the AWS files"))
			}
		})
	})
	return found
}

// fileKeys reports who could read a secret out of an AWS file, beside the client
// that imports it: brokerd has nothing to do with those.
func fileKeys(tr tree) []string {
	var found []string
	tr.production(func(s source) {
		if strings.HasPrefix(s.path, "cmd/broker-cli/") || strings.HasPrefix(s.path, "internal/awsconfig/") {
			return
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && slices.Contains([]string{"StaticKeys", "StaticKey", "KeyPair"}, sel.Sel.Name) {
				found = append(found, tr.at(sel.Pos(), "%s reads keys of AWS files, which only the client may", sel.Sel.Name))
			}
			return true
		})
	})
	return found
}

// An exception that excuses nothing would excuse whatever comes to stand there.
func TestExceptionsAreNeeded(t *testing.T) {
	t.Parallel()
	tr := load(t)
	for _, list := range []struct {
		name    string
		entries map[string]string
		sites   []site
	}{
		{"revealers", revealers, reveals(tr)},
		{"plainFields", plainFields, plains(tr)},
	} {
		used := map[string]bool{}
		for _, where := range list.sites {
			used[excusing(list.entries, where.path)] = true
		}
		for entry := range list.entries {
			if !used[entry] {
				t.Errorf("%s: %s needs no exception", list.name, entry)
			}
		}
	}
}
