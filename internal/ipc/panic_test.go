// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"encoding/json"
	"strings"
	"testing"

	"credbroker/internal/secret"
)

// panics has its defect in line 15, which testdata/panic.txt names.
func panics(none *Prompt) (json.RawMessage, error) {
	return json.RawMessage(none.Kind), nil
}

// P33: a panic while a handler holds a secret shows where, and not what.
func TestP33PanicShowsNoSecret(t *testing.T) {
	const canary = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	for _, value := range []any{canary, secret.New(canary), []string{canary}, &Error{Message: canary}, struct{ s string }{canary}} {
		var got string
		func() {
			defer func() { got = describePanic(recover()) }()
			panic(value)
		}()
		if strings.Contains(got, canary) || !strings.Contains(got, "panic_test.go:") {
			t.Errorf("panic with a %T is described as %q", value, got)
		}
	}
}
