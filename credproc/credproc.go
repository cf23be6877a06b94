// SPDX-License-Identifier: Apache-2.0

// Package credproc is the contract between a credential helper and the AWS
// SDKs: the document that a credential_process prints on its standard output.
//
// The document is the intersection of what all SDKs accept: one JSON object on
// one line, Version 1, exact key case, an Expiration with a zone, an AccountId
// that is a string, under 8 KiB (SDK for Go v1 cuts there).
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
package credproc

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"credbroker/internal/secret"
)

// Version is the only version of the document that exists.
const Version = 1

// MaxSize is the largest document, in bytes, that every SDK reads whole: the
// SDK for Go v1 cuts what comes after 8192 bytes without a word.
const MaxSize = 8192 - 1

// ErrIncomplete is wrapped by Encode and Parse when a field that temporary
// credentials need is missing or malformed.
var ErrIncomplete = errors.New("credentials are incomplete")

// Credentials are temporary credentials as AWS STS returns them. The zero
// value is no credentials. Values are immutable by convention and may be shared.
type Credentials struct {
	AccessKeyID     string        // ASIA…
	SecretAccessKey secret.String // 40 characters
	SessionToken    secret.String
	Expiration      time.Time // by the clock of AWS
	AccountID       string    // 12 digits, or empty when it is not known
}

// document is the wire form. Field names are AWS's.
type document struct {
	Version         int    `json:"Version"`
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string `json:"SecretAccessKey"`
	SessionToken    string `json:"SessionToken"`
	Expiration      string `json:"Expiration"`
	AccountID       string `json:"AccountId,omitempty"`
}

// Encode returns the document on one line that ends with a newline. It refuses
// credentials that an SDK would treat as permanent: those without a session
// token or an expiration. It does not look at the clock.
func (c Credentials) Encode() ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	b := append([]byte(nil), `{"Version":1`...)
	for _, f := range []struct{ name, value string }{
		{"AccessKeyId", c.AccessKeyID},
		{"SecretAccessKey", c.SecretAccessKey.Reveal()},
		{"SessionToken", c.SessionToken.Reveal()},
		{"Expiration", c.Expiration.UTC().Format(time.RFC3339)},
		{"AccountId", c.AccountID},
	} {
		if f.value == "" { // an account that is not known
			continue
		}
		b = quote(append(b, ','), f.name)
		b = quote(append(b, ':'), f.value)
	}
	if b = append(b, "}\n"...); len(b) > MaxSize {
		return nil, fmt.Errorf("encode credentials %s: document of %d bytes is over %d", c.AccessKeyID, len(b), MaxSize)
	}
	return b, nil
}

// Parse reads a document that Encode wrote. Its errors never quote the input.
func Parse(data []byte) (Credentials, error) {
	d, ok := parseExact(string(data))
	if !ok {
		if err := json.Unmarshal(data, &d); err != nil {
			return Credentials{}, errors.New("parse credentials: not a credential_process document")
		}
	}
	if d.Version != Version {
		return Credentials{}, fmt.Errorf("parse credentials: version %d is not %d", d.Version, Version)
	}
	c := Credentials{
		AccessKeyID:     d.AccessKeyID,
		SecretAccessKey: secret.New(d.SecretAccessKey),
		SessionToken:    secret.New(d.SessionToken),
		AccountID:       d.AccountID,
	}
	expiration, err := time.Parse(time.RFC3339, d.Expiration)
	if err != nil {
		return Credentials{}, fmt.Errorf("parse credentials %s: expiration: %w", c.AccessKeyID, ErrIncomplete)
	}
	c.Expiration = expiration.UTC()
	if err := c.check(); err != nil {
		return Credentials{}, err
	}
	return c, nil
}

// parseExact reads a document that is written just as Encode writes it, and
// reports whether it is. Any other goes to encoding/json, which takes more time
// to learn the type than a helper needs for all its other work.
func parseExact(text string) (d document, ok bool) {
	text, ok = strings.CutPrefix(strings.TrimSuffix(text, "\n"), `{"Version":1`)
	if !ok {
		return document{}, false
	}
	d.Version = Version
	for _, f := range []struct {
		name string
		into *string
	}{
		{`,"AccessKeyId":"`, &d.AccessKeyID},
		{`,"SecretAccessKey":"`, &d.SecretAccessKey},
		{`,"SessionToken":"`, &d.SessionToken},
		{`,"Expiration":"`, &d.Expiration},
		{`,"AccountId":"`, &d.AccountID},
	} {
		rest, found := strings.CutPrefix(text, f.name)
		if !found {
			continue // the end of the text tells whether it was missing or misplaced
		}
		if *f.into, text, found = strings.Cut(rest, `"`); !found || !plain(*f.into) || strings.Contains(*f.into, `\`) {
			return document{}, false
		}
	}
	return d, text == "}"
}

// check refuses what an SDK would misread: a missing field makes credentials
// permanent or useless, and JSON has no room for bytes that are not text.
func (c Credentials) check() error {
	if c.AccessKeyID == "" {
		return fmt.Errorf("access key ID: %w", ErrIncomplete)
	}
	if !plain(c.AccessKeyID) {
		return fmt.Errorf("access key ID %q: %w", c.AccessKeyID, ErrIncomplete)
	}
	switch {
	case c.SecretAccessKey.IsZero() || !plain(c.SecretAccessKey.Reveal()):
		return fmt.Errorf("secret access key of %s: %w", c.AccessKeyID, ErrIncomplete)
	case c.SessionToken.IsZero() || !plain(c.SessionToken.Reveal()):
		return fmt.Errorf("session token of %s: %w", c.AccessKeyID, ErrIncomplete)
	case c.Expiration.IsZero() || c.Expiration.UTC().Year() < 1 || c.Expiration.UTC().Year() > 9999:
		return fmt.Errorf("expiration of %s: %w", c.AccessKeyID, ErrIncomplete) // RFC 3339 has four digits
	case c.AccountID != "" && !isAccountID(c.AccountID):
		return fmt.Errorf("account ID %q of %s: %w", c.AccountID, c.AccessKeyID, ErrIncomplete)
	}
	return nil
}

// plain reports whether s is printable ASCII without spaces, as every key and
// token of AWS is. Anything else might arrive changed: JSON has no way to write
// bytes that are not UTF-8. Of what is left, Go and JSON quote the same two
// characters in the same way.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// quote appends a plain text as JSON. Most have nothing to escape, which
// strconv takes a hundred times longer to find out.
func quote(b []byte, plain string) []byte {
	if strings.ContainsAny(plain, `"\`) {
		return strconv.AppendQuote(b, plain)
	}
	return append(append(append(b, '"'), plain...), '"')
}

func isAccountID(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) == 12
}
