// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

func TestDidYouMean(t *testing.T) {
	names := []string{"status", "list", "ls", "add", "remove", "--json", "--profile"}
	for _, test := range []struct{ given, want string }{
		{"stauts", "status"},  // swapped
		{"sttus", "status"},   // missing
		{"statuss", "status"}, // added
		{"stetus", "status"},  // another
		{"stat", "status"},    // begun
		{"lst", "list"},
		{"ad", "add"},
		{"--jsn", "--json"},
		{"--p", "--profile"},
		{"frob", ""},
		{"delete", ""},
		{"--frob", ""},
		{"", ""},
		{"statistics", ""},
	} {
		want := ""
		if test.want != "" {
			want = "did you mean " + test.want + "?"
		}
		if got := didYouMean(test.given, names); got != want {
			t.Errorf("didYouMean(%q) = %q, want %q", test.given, got, want)
		}
	}
}

// cutWriter takes some bytes and then fails.
type cutWriter struct{ left int }

func (w *cutWriter) Write(data []byte) (int, error) {
	if w.left < len(data) {
		return 0, io.ErrShortWrite
	}
	w.left -= len(data)
	return len(data), nil
}

// TestOutputRemembersTheFirstFailure: what comes after a failed write does not
// make the answer whole again.
func TestOutputRemembersTheFirstFailure(t *testing.T) {
	out := &output{w: &cutWriter{left: 4}}
	a := &app{stdout: out}
	a.printf("%s", "abc")
	if out.err != nil {
		t.Fatal(out.err)
	}
	a.printf("%s", "defg")
	a.printf("%s", "h")
	if !errors.Is(out.err, io.ErrShortWrite) {
		t.Errorf("err = %v, want %v", out.err, io.ErrShortWrite)
	}
}

// TestBystander: a command without a terminal declines every question, and says
// in one line what it waits for.
func TestBystander(t *testing.T) {
	var said bytes.Buffer
	answer, err := bystander{&said}.Prompt(t.Context(), ipc.Prompt{Kind: ipc.PromptMFA, Profile: "dev\nx"})
	if answer != "" || err == nil {
		t.Errorf("Prompt() = %q, %v; want an error", answer, err)
	}
	if want := "broker: waiting for an MFA code for profile dev x: give it in any terminal: broker mfa\n"; said.String() != want {
		t.Errorf("it says %q, want %q", said.String(), want)
	}
}

func TestWithHint(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"none", usagef("x"), "do it"},
		{"its own", &ipc.Error{Code: ipc.CodeUsage, Message: "x", Hint: "first"}, "first"},
		{"AWS config", awsconfig.ValidProfileName("a b"), "do it"},
		{"no code", errors.New("disk on fire"), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, _ := failure(withHint(test.err, "do it"))
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
		if got := shownURL(text); got != want {
			t.Errorf("%s is shown as %q, want %q", text, got, want)
		}
	}
	if got := shownProxy("http://ann:12/secret@h"); got != "a proxy" {
		t.Errorf("a proxy is shown as %q", got)
	}
}

func TestSpan(t *testing.T) {
	for _, test := range []struct {
		d    time.Duration
		want string
	}{
		{-time.Second, "0s"},
		{1499 * time.Millisecond, "1s"},
		{time.Minute, "1m"},
		{5 * time.Minute, "5m"},
		{12 * time.Hour, "12h0m"},
	} {
		if got := span(test.d); got != test.want {
			t.Errorf("span(%v) = %q, want %q", test.d, got, test.want)
		}
	}
}

func TestStepText(t *testing.T) {
	for _, test := range []struct {
		step awsconfig.Step
		want string
	}{
		{awsconfig.Step{Type: "process"}, "process"},
		{awsconfig.Step{Type: "vault", AccessKeyID: "AKIA1"}, "vault AKIA1"},
		{awsconfig.Step{Type: "role", RoleARN: "arn", ExternalID: "hidden from people"}, "role arn"},
		{awsconfig.Step{Type: "source", Name: "Environment"}, "source Environment"},
		{awsconfig.Step{Type: "sso", SSOSession: "corp", SSOStartURL: "https://x", SSOAccountID: "1", SSORoleName: "r"}, "sso corp https://x 1 r"},
	} {
		if got := stepText(test.step); got != test.want {
			t.Errorf("stepText() = %q, want %q", got, test.want)
		}
	}
}

// TestRestoredDevice: the device of a recovered key is what the config names,
// else the user's only one that shows codes; of several none is guessed.
func TestRestoredDevice(t *testing.T) {
	phone := ipc.MFADevice{SerialNumber: "arn:aws:iam::111122223333:mfa/phone"}
	tablet := ipc.MFADevice{SerialNumber: "arn:aws:iam::111122223333:mfa/tablet"}
	passkey := ipc.MFADevice{SerialNumber: "arn:aws:iam::111122223333:u2f/user/ann/key"}
	config, err := awsconfig.Load(awsconfig.Files{Config: "/nonexistent", Credentials: "/nonexistent"})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		devices []ipc.MFADevice
		want    string
	}{
		{"none", nil, ""},
		{"one", []ipc.MFADevice{phone}, phone.SerialNumber},
		{"beside a passkey", []ipc.MFADevice{passkey, phone}, phone.SerialNumber},
		{"a passkey", []ipc.MFADevice{passkey}, ""},
		{"two", []ipc.MFADevice{phone, tablet}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			key := ipc.RecoveredKey{Item: "i", Profile: "dev", AccessKeyID: "AKIA1", Devices: test.devices}
			got := restored(key, config)
			if got.SerialNumber != test.want || got.Profile != "dev" || got.Item != "i" || got.AccessKeyID != "AKIA1" {
				t.Errorf("restored() = %+v, want serial %q", got, test.want)
			}
		})
	}
}
