// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"go/ast"
	"regexp"
	"strings"
	"testing"
)

// revealers are the files that may take a secret out of its secret.String,
// each with its reason.
var revealers = map[string]string{
	"credproc/credproc.go":       "writes the document that the SDKs read",
	"internal/awsapi/client.go":  "hands keys and credentials to the SDK, which signs with them",
	"internal/fakeaws/caller.go": "checks signatures, as AWS does; its secrets are pretend ones",
	"internal/ipc/worker.go":     "writes the request of put, for the worker's standard input",
	"internal/secret/secret.go":  "compares in constant time",
	"vault/record.go":            "writes the record that the store keeps",
}

// plainFields are the struct fields that hold a secret as plain text, by file
// and name, each with its reason.
var plainFields = map[string]string{
	"credproc/credproc.go SecretAccessKey":   "wire form, alive while Encode and Parse run",
	"credproc/credproc.go SessionToken":      "wire form, alive while Encode and Parse run",
	"internal/ipc/worker.go SecretAccessKey": "wire form, alive while Encode runs",
	"vault/record.go SecretAccessKey":        "form in the store, alive while encode runs",
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
	}
}

func revealSites(tr tree) []string {
	var found []string
	tr.production(func(s source) {
		if revealers[s.path] != "" {
			return
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Reveal" {
				found = append(found, tr.at(sel.Pos(), "reveals a secret: give the file its reason in revealers, or keep the secret in"))
			}
			return true
		})
	})
	return found
}

func plainSecrets(tr tree) []string {
	var found []string
	tr.production(func(s source) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			fields, ok := n.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range fields.Fields.List {
				if !plainText(field.Type) {
					continue
				}
				for _, name := range field.Names {
					if secretive.MatchString(name.Name) && !public.MatchString(name.Name) && plainFields[s.path+" "+name.Name] == "" {
						found = append(found, tr.at(name.Pos(), "field %s holds a secret as plain text: make it a secret.String", name.Name))
					}
				}
			}
			return true
		})
	})
	return found
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

// An entry of a list of exceptions that excuses nothing would excuse whatever
// comes to stand there.
func TestExceptionsAreNeeded(t *testing.T) {
	t.Parallel()
	tr := load(t)
	reveals, fields := map[string]bool{}, map[string]bool{}
	tr.production(func(s source) {
		reveals[s.path] = strings.Contains(string(s.text), ".Reveal(")
		ast.Inspect(s.file, func(n ast.Node) bool {
			if st, ok := n.(*ast.StructType); ok {
				for _, field := range st.Fields.List {
					for _, name := range field.Names {
						if plainText(field.Type) {
							fields[s.path+" "+name.Name] = true
						}
					}
				}
			}
			return true
		})
	})
	for name := range revealers {
		if !reveals[name] {
			t.Errorf("revealers: %s reveals nothing", name)
		}
	}
	for name := range plainFields {
		if !fields[name] {
			t.Errorf("plainFields: there is no plain field %s", name)
		}
	}
}
