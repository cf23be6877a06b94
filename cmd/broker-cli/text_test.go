// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"testing"
	"time"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

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
	a := &app{App: &client.App{Stdout: out}}
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

// TestAgeText: a time below an hour is no "0h", and what is not known of it is
// not shown.
func TestAgeText(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		ago             time.Duration
		age, since, use string
	}{
		{-time.Minute, "<1h", "-", "<1h ago"},
		{59 * time.Minute, "<1h", "-", "<1h ago"},
		{time.Hour, "1h", "1h+", "1h ago"},
		{25 * time.Hour, "1d", "1d+", "1d ago"},
	} {
		at := now.Add(-c.ago)
		learnt := ipc.Key{AddedAt: at, KeyFacts: ipc.KeyFacts{CreateDate: &at, LearntAt: &at, LastUsed: &at}}
		if age, since, use := ageText(learnt, now), ageText(ipc.Key{AddedAt: at}, now), usedText(learnt, now); age != c.age || since != c.since || use != c.use {
			t.Errorf("%v ago: %q, %q, %q, want %q, %q, %q", c.ago, age, since, use, c.age, c.since, c.use)
		}
	}
}

// TestAfterUsage: nobody is told to rotate what is rotated, or revoked.
func TestAfterUsage(t *testing.T) {
	t.Parallel()
	for want, u := range map[string]ipc.Usage{
		"broker rotate dev":        {Profile: "dev"},
		"broker status":            {Profile: "dev", Rotating: true},
		"broker add dev --replace": {Profile: "dev", Rotating: true, Revoked: true},
	} {
		if got := afterUsage(u); got != want {
			t.Errorf("%+v: next %q, want %q", u, got, want)
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
