// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"bytes"
	"encoding"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const canary = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

// holder hides a secret as deep as other packages do.
type holder struct {
	Name   string
	Public String
	hidden String
	list   []String
	table  map[string]String
	inner  struct{ deep *String }
	any    any
}

func newHolder() holder {
	s := New(canary)
	h := holder{Name: "dev", Public: s, hidden: s, list: []String{s}, table: map[string]String{"k": s}, any: s}
	h.inner.deep = &s
	return h
}

// leaks reports whether text shows the canary in any spelling of it.
func leaks(text string) bool {
	for _, form := range []string{
		canary,
		hex.EncodeToString([]byte(canary)),
		strings.ToUpper(hex.EncodeToString([]byte(canary))),
		base64.StdEncoding.EncodeToString([]byte(canary))[:50],
		fmt.Sprint([]byte(canary)),
		fmt.Sprintf("% x", canary),
		fmt.Sprintf("%#v", []byte(canary)),
	} {
		if strings.Contains(text, form) {
			return true
		}
	}
	return false
}

func TestP33FormattingShowsNothing(t *testing.T) {
	if !leaks(fmt.Sprintf("%x", struct{ s string }{canary})) || !leaks(fmt.Sprint([]byte(canary))) {
		t.Fatal("the check does not find a text that is there")
	}
	s := New(canary)
	for _, v := range []any{s, &s, newHolder(), []any{s}, map[String]int{s: 1}, struct{ s String }{s}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%#q", "%x", "%X", "% x", "%d", "%c", "%U", "%t", "%p", "%T", "%10.3s", "%-50v", "%z"} {
			if got := fmt.Sprintf(verb, v); leaks(got) {
				t.Errorf("%s of a %T shows it: %s", verb, v, got)
			}
		}
		if got := fmt.Sprintln(v); leaks(got) {
			t.Errorf("Sprintln of a %T shows it: %s", v, got)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got := fmt.Sprintf(verb, s); got != Redacted {
			t.Errorf("%s = %s, want %s", verb, got, Redacted)
		}
	}
	if s.String() != Redacted || s.GoString() != Redacted {
		t.Errorf("String %s, GoString %s", s.String(), s.GoString())
	}
}

func TestP33ErrorsShowNothing(t *testing.T) {
	s := New(canary)
	err := errors.Join(fmt.Errorf("sign with %v", s), fmt.Errorf("%w for %+v", errors.New("denied"), newHolder()))
	if leaks(err.Error()) || !strings.Contains(err.Error(), Redacted) {
		t.Errorf("error: %v", err)
	}
	func() {
		defer func() {
			if got := fmt.Sprint(recover()); leaks(got) {
				t.Errorf("panic: %s", got)
			}
		}()
		panic(newHolder())
	}()
}

func TestP33LogsShowNothing(t *testing.T) {
	s := New(canary)
	var out bytes.Buffer
	options := &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, options), slog.NewJSONHandler(&out, options)} {
		log := slog.New(h).With("with", s)
		log.Debug("m", "secret", s, "pointer", &s, "holder", newHolder(), "list", []String{s})
		log.WithGroup("g").Info("m", slog.Group("group", "secret", s), slog.Any("any", map[string]any{"s": s}))
	}
	if leaks(out.String()) || !strings.Contains(out.String(), Redacted) {
		t.Errorf("log:\n%s", &out)
	}
}

func TestP33EncodersShowNothing(t *testing.T) {
	s := New(canary)
	var _ encoding.TextMarshaler = s
	for _, v := range []any{s, &s, newHolder(), map[string]any{"s": s}, []String{s}} {
		got, err := json.Marshal(v)
		if err != nil || leaks(string(got)) {
			t.Errorf("JSON of a %T: %s, %v", v, got, err)
		}
	}
	type document struct{ S String }
	got, err := xml.Marshal(document{s})
	if err != nil || leaks(string(got)) {
		t.Errorf("XML: %s, %v", got, err)
	}
	if got, err := json.Marshal(s); err != nil || string(got) != `"`+Redacted+`"` {
		t.Errorf("JSON = %s, %v", got, err)
	}
	if got, err := s.MarshalText(); err != nil || string(got) != Redacted {
		t.Errorf("text = %s, %v", got, err)
	}
}

func TestRevealAndEqual(t *testing.T) {
	s, zero := New(canary), String{}
	if s.Reveal() != canary || s.IsZero() {
		t.Errorf("New(canary) holds %q", s.Reveal())
	}
	if zero.Reveal() != "" || !zero.IsZero() || !New("").IsZero() || New("") != zero {
		t.Error("the empty secret is not the zero value")
	}
	for _, tt := range []struct {
		a, b String
		want bool
	}{
		{s, s, true},
		{s, New(canary), true},
		{s, New(canary + "x"), false},
		{s, zero, false},
		{zero, New(""), true},
	} {
		if got := tt.a.Equal(tt.b); got != tt.want {
			t.Errorf("Equal of %d and %d bytes = %v, want %v", len(tt.a.Reveal()), len(tt.b.Reveal()), got, tt.want)
		}
	}
}

func TestUnmarshalJSON(t *testing.T) {
	var v struct{ S String }
	if err := json.Unmarshal([]byte(`{"S":"a\u0026b"}`), &v); err != nil || v.S.Reveal() != "a&b" {
		t.Errorf("read %q, %v", v.S.Reveal(), err)
	}
	for _, bad := range []string{`{"S":["` + canary + `"]}`, `{"S":{"x":"` + canary + `"}}`, `{"S":42}`} {
		if err := json.Unmarshal([]byte(bad), &v); err == nil || leaks(err.Error()) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
