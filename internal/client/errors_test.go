// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

// TestEveryCodeHasAnOutcome: the table knows each code of package ipc, and no
// other.
func TestEveryCodeHasAnOutcome(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../internal/ipc/errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := map[ipc.Code]bool{"": true}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if lit, ok := spec.Values[0].(*ast.BasicLit); ok && strings.HasPrefix(spec.Names[0].Name, "Code") {
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			codes[ipc.Code(text)] = true
		}
		return true
	})
	if len(codes) < 40 {
		t.Fatalf("found %d codes", len(codes))
	}
	for code := range codes {
		if _, ok := outcomeOf(code); !ok {
			t.Errorf("code %q has no outcome", code)
		}
	}
	seen := map[ipc.Code]bool{}
	for _, o := range outcomes {
		code := o.code
		if !codes[code] || seen[code] {
			t.Errorf("the table has code %q, which does not exist, or twice", code)
		}
		seen[code] = true
		if o.status < ExitError || o.status > ExitDue {
			t.Errorf("code %q ends with %d", code, o.status)
		}
	}
}

func TestFailure(t *testing.T) {
	internal, _ := outcomeOf(ipc.CodeInternal)
	for _, test := range []struct {
		Name   string
		err    error
		status int
		want   string
	}{
		{"coded", &ipc.Error{Code: ipc.CodeNoKey, Message: "no key", Hint: "add it"}, ExitNoKey, "broker: error: no key\nbroker: hint: add it\n"},
		{"wrapped", fmt.Errorf("add dev: %w", &ipc.Error{Code: ipc.CodeKeychainLocked, Message: "it is locked", Hint: "x"}), ExitKeychain, "broker: error: add dev: it is locked\nbroker: hint: x\n"},
		{"hint of the table", &ipc.Error{Code: ipc.CodeIndexLost, Message: "it is lost"}, ExitKeychain, "broker: error: it is lost\nbroker: hint: rebuild it from the store: broker recover\n"},
		{"unknown code", &ipc.Error{Code: "from_the_future", Message: "what"}, ExitError, "broker: error: what\nbroker: hint: " + internal.hint + "\n"},
		{"AWS config", &awsconfig.Error{Code: awsconfig.CodeConfigBroken, File: "/f", Line: 3, Message: "broken", Hint: "mend it"}, ExitError, "broker: error: /f:3: broken\nbroker: hint: mend it\n"},
		{"own", errors.New("disk on fire"), ExitError, "broker: error: disk on fire\n"},
		{"exec", &StatusError{Status: ExitExecNotRun, Err: errors.New("run x: no")}, ExitExecNotRun, "broker: error: run x: no\n"},
		{"interrupted", context.Canceled, ExitInterrupted, "broker: error: interrupted\n"},
		{"interrupted while the daemon was asked", fmt.Errorf("ask: %w", ended{2}), ExitInterrupted, "broker: error: interrupted\n"},
		{"escape sequences", errors.New("a\x1b[31m\nbroker: hint: b\u202e"), ExitError, "broker: error: a [31m broker: hint: b \n"},
	} {
		t.Run(test.Name, func(t *testing.T) {
			var out bytes.Buffer
			if status := Report(&out, test.err); status != test.status || out.String() != test.want {
				t.Errorf("status %d, %q; want %d, %q", status, out.String(), test.status, test.want)
			}
		})
	}
}

// TestP50HelperFailsInOneLine: whatever the failure says, the helper's stderr
// is one line of bounded length.
func TestP50HelperFailsInOneLine(t *testing.T) {
	for _, err := range []error{
		errors.New("plain"),
		&ipc.Error{Code: ipc.CodeMFARequired, Message: "no code\nin time"},
		&ipc.Error{Code: ipc.CodeAWSFailed, Message: strings.Repeat("é\n", 5000), Hint: strings.Repeat("x", 5000)},
	} {
		var out bytes.Buffer
		reportLine(&out, err)
		text := out.String()
		if len(text) > 300 || strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") || !strings.HasPrefix(text, "broker: error: ") {
			t.Errorf("stderr = %q", text)
		}
	}
}

// TestLongProblemKeepsItsRemedy: the line is cut where it hurts least.
func TestLongProblemKeepsItsRemedy(t *testing.T) {
	var out bytes.Buffer
	reportLine(&out, &ipc.Error{Code: ipc.CodeAWSDenied, Message: strings.Repeat("AWS says a lot. ", 50), Hint: "ask an administrator"})
	var short bytes.Buffer
	reportLine(&short, &ipc.Error{Code: ipc.CodeAWSDenied, Message: "the token is invalid.", Hint: "look"})
	if got, want := short.String(), "broker: error: the token is invalid: look\n"; got != want {
		t.Errorf("stderr = %q, want %q", got, want)
	}
	if text := out.String(); len(text) > 300 || !strings.HasSuffix(text, "…: ask an administrator\n") {
		t.Errorf("stderr = %q", text)
	}
}

// TestP26ClassesOfTheKeychain: locked, denied, timed out and gone have one exit
// status, which is not that of a missing key.
func TestP26ClassesOfTheKeychain(t *testing.T) {
	for _, code := range []ipc.Code{ipc.CodeKeychainLocked, ipc.CodeKeychainDenied, ipc.CodeKeychainTimeout, ipc.CodeKeychainGone, ipc.CodeKeychainCorrupt, ipc.CodeKeychainFailed, ipc.CodeIndexLost} {
		if _, status := Failure(&ipc.Error{Code: code, Message: "x"}); status != ExitKeychain {
			t.Errorf("%s ends with %d, want %d", code, status, ExitKeychain)
		}
	}
	if _, status := Failure(&ipc.Error{Code: ipc.CodeNoKey, Message: "x"}); status != ExitNoKey {
		t.Errorf("no_key ends with %d, want %d", status, ExitNoKey)
	}
}

// TestP50OnlyDocumentsGoOut: what the daemon says goes to an SDK only if it is
// a whole document of temporary credentials.
func TestP50OnlyDocumentsGoOut(t *testing.T) {
	good := `{"Version":1,"AccessKeyId":"ASIAX","SecretAccessKey":"s","SessionToken":"t","Expiration":"2026-01-02T03:04:05Z","AccountId":"111122223333"}`
	out, err := checkDocument([]byte(good), "dev")
	if err != nil || string(out) != good+"\n" {
		t.Errorf("checkDocument() = %q, %v", out, err)
	}
	for _, bad := range []string{
		"", "{}", "null", good + good,
		strings.Replace(good, `"Version":1`, `"Version":2`, 1),
		strings.Replace(good, `"t"`, `""`, 1),
		strings.Replace(good, `2026-01-02T03:04:05Z`, ``, 1),
		strings.Replace(good, `"t"`, `"`+strings.Repeat("t", 9000)+`"`, 1),
	} {
		out, err := checkDocument([]byte(bad), "dev")
		if err == nil || out != nil {
			t.Errorf("checkDocument(%.60q) = %q, %v", bad, out, err)
		}
		if err != nil && strings.Contains(err.Error(), `"s"`) {
			t.Errorf("the error quotes the document: %v", err)
		}
	}
}
