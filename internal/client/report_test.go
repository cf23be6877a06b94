// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"errors"
	"testing"
	"unicode"

	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

// TestBystander: a command without a terminal declines every question, and says
// in one line what it waits for.
func TestBystander(t *testing.T) {
	var said bytes.Buffer
	answer, err := Bystander{&said}.Prompt(t.Context(), ipc.Prompt{Kind: ipc.PromptMFA, Profile: "dev\nx"})
	if answer != "" || err == nil {
		t.Errorf("Prompt() = %q, %v; want an error", answer, err)
	}
	if want := "broker: waiting for an MFA code for profile dev x: give it in any terminal: broker mfa\n"; said.String() != want {
		t.Errorf("it says %q, want %q", said.String(), want)
	}
}

func TestWithHint(t *testing.T) {
	for _, test := range []struct {
		Name string
		err  error
		want string
	}{
		{"none", Usagef("x"), "do it"},
		{"its own", &ipc.Error{Code: ipc.CodeUsage, Message: "x", Hint: "first"}, "first"},
		{"AWS config", awsconfig.ValidProfileName("a b"), "do it"},
		{"no code", errors.New("disk on fire"), ""},
	} {
		t.Run(test.Name, func(t *testing.T) {
			got, _ := Failure(WithHint(test.err, "do it"))
			if got.Hint != test.want || got.Message != test.err.Error() {
				t.Errorf("%q, hint %q; want %q, hint %q", got.Message, got.Hint, test.err.Error(), test.want)
			}
		})
	}
}

// TestP33URLsWithoutPasswords: a password that was not escaped, as in so many
// shells, does not show either, in whatever part of the URL it ends up.
func TestP33URLsWithoutPasswords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"http://proxy.example.com:3128/":    "http://proxy.example.com:3128",
		"https://ann:secret@h:8080/x?y#z":   "https://h:8080",
		"http://[::1]:3128":                 "http://[::1]:3128",
		"http://ann:12/secret@h":            "",
		"http://ann:sec/ret@h":              "",
		"http://ann:12?secret@h":            "",
		"http://ann:12#secret@h":            "",
		"http://ann:sec@ret@h":              "",
		"http://ann:sec%zzret@h":            "",
		"ann:secret@h:80":                   "",
		"//ann:secret@h":                    "",
		"proxy.example.com:3128":            "",
		"http://ann:secret@h/ann:secret@h2": "",
	} {
		if got := ShownURL(text); got != want {
			t.Errorf("%s is shown as %q, want %q", text, got, want)
		}
	}
	if got := ShownProxy("http://ann:12/secret@h"); got != "a proxy" {
		t.Errorf("a proxy is shown as %q", got)
	}
}

// TestP49NothingReordersALine: no character of a text moves the cursor, begins a
// line, or turns the direction of what follows: those that Unicode has for it.
func TestP49NothingReordersALine(t *testing.T) {
	t.Parallel()
	for r := rune(0); r < 0x3000; r++ {
		moves := unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
		if got := Printable(string(r)); (got == " ") != (moves || r == ' ') {
			t.Errorf("%U is shown as %q", r, got)
		}
	}
}
