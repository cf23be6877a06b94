// SPDX-License-Identifier: Apache-2.0

// Package secret holds values that must not be shown: secret access keys,
// session tokens, passphrases.
//
// A String does not print, log or marshal itself. Reveal is the only way out,
// and internal/archtest lists the files that may call it. HideProcess keeps
// other programs out of the memory that one is in.
package secret

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
)

// Redacted is what every formatter, logger and encoder shows instead of the value.
const Redacted = "[redacted]"

// String is a secret text. The zero value is the empty secret. Values may be
// copied and used by several goroutines.
//
// The text sits behind a pointer because fmt calls no methods on unexported
// fields: a String inside somebody's private field would print its bytes if it
// stored them in place, and prints an address this way.
type String struct {
	text *string
}

// New returns a String that holds text.
func New(text string) String {
	if text == "" {
		return String{}
	}
	return String{text: &text}
}

// Reveal returns the text itself.
func (s String) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero reports whether the secret is empty.
func (s String) IsZero() bool { return s.text == nil }

// Equal compares two secrets in time that depends on their length only.
func (s String) Equal(other String) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// String returns Redacted.
func (s String) String() string { return Redacted }

// GoString returns Redacted, for %#v.
func (s String) GoString() string { return Redacted }

// Format writes Redacted for every verb and flag. It and MarshalJSON are what the
// handlers of log/slog show: a LogValue would only link slog into the client.
func (s String) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// MarshalJSON writes Redacted: a document that must carry the text is built by
// hand, in a file that archtest knows.
func (s String) MarshalJSON() ([]byte, error) { return json.Marshal(Redacted) }

// MarshalText writes Redacted, for encoders other than JSON.
func (s String) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// UnmarshalJSON reads a JSON string as a secret.
func (s *String) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("a secret must be a JSON string")
	}
	*s = New(text)
	return nil
}
