// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// carriers are the messages that may carry a long-lived secret: what a client
// writes to the standard input of a worker. None is a result.
var carriers = []string{"PutParams", "UnlockParams", "HoldParams", "ForeignParams", "ForeignPutParams"}

// secretMessages finds types of internal/ipc that can hold a secret and are
// not carriers.
func secretMessages(tr tree) []string {
	var found []string
	tr.production(func(s source) {
		if s.dir() != "internal/ipc" {
			return
		}
		for _, decl := range s.file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range gen.Specs {
				spec, ok := spec.(*ast.TypeSpec)
				if !ok || slices.Contains(carriers, spec.Name.Name) {
					continue
				}
				if holdsSecret(spec.Type) {
					found = append(found, tr.at(spec.Pos(), "message %s can hold a secret", spec.Name.Name))
				}
			}
		}
	})
	return found
}

// holdsSecret reports whether a type mentions secret.String, credentials, a
// carrier, or a field named like a secret.
func holdsSecret(t ast.Expr) bool {
	holds := false
	ast.Inspect(t, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if id, ok := n.X.(*ast.Ident); ok && (id.Name == "secret" || id.Name == "credproc") {
				holds = true
			}
		case *ast.Ident:
			holds = holds || slices.Contains(carriers, n.Name)
		case *ast.Field:
			for _, name := range n.Names {
				holds = holds || secretive.MatchString(name.Name) && !public.MatchString(name.Name)
			}
		}
		return true
	})
	return holds
}

// P18: what an operation of the daemon answers has no place for a long-lived
// secret. That none slips through as raw JSON is for the tests that run it.
func TestP18NoMessageHoldsASecret(t *testing.T) {
	t.Parallel()
	for _, wrong := range secretMessages(load(t)) {
		t.Error(wrong)
	}
}

func TestP18SecretMessagesAreSeen(t *testing.T) {
	t.Parallel()
	found := secretMessages(parse(t, map[string]string{
		"internal/ipc/a.go": `package ipc
			type PutParams struct { SecretAccessKey secret.String }
			type A struct { Keys []struct { Key *secret.String } }
			type B struct { PutParams }
			type C struct { SecretAccessKey string }
			type D struct { TokenCode, PassphraseFile string; Item Store }
			type E = credproc.Credentials`,
		"vault/a.go": `package vault; type F struct { Key secret.String }`,
	}))
	var names []string
	for _, violation := range found {
		_, rest, _ := strings.Cut(violation, "message ")
		name, _, _ := strings.Cut(rest, " ")
		names = append(names, name)
	}
	if want := []string{"A", "B", "C", "E"}; !slices.Equal(names, want) {
		t.Errorf("found %q, want %q", names, want)
	}
}
