// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"credbroker/internal/ipc"
	"credbroker/internal/secret"
)

func sample() Record {
	return Record{
		Item: Prefix + strings.Repeat("0", 32), Profile: "dev", AccessKeyID: "AKIAIOSFODNN7EXAMPLE",
		SecretAccessKey: secret.New(strings.Repeat("s", 40)), AccountID: "111122223333", ARN: "arn:aws:iam::111122223333:user/ann",
		StoredAt: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC),
	}
}

func TestRecordGolden(t *testing.T) {
	t.Parallel()
	r := sample()
	data, err := r.encode()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"item":"broker.v1.00000000000000000000000000000000","profile":"dev","accessKeyId":"AKIAIOSFODNN7EXAMPLE",` +
		`"secretAccessKey":"ssssssssssssssssssssssssssssssssssssssss","accountId":"111122223333",` +
		`"arn":"arn:aws:iam::111122223333:user/ann","storedAt":"2026-11-21T12:00:00Z"}`
	if string(data) != want {
		t.Errorf("got  %s\nwant %s: stored keys must stay readable", data, want)
	}
}

// The largest names that AWS allows fit.
func TestRecordSize(t *testing.T) {
	t.Parallel()
	r := sample()
	r.Profile = strings.Repeat("p", 128)
	r.AccessKeyID = "AKIA" + strings.Repeat("A", 124)
	r.ARN = "arn:aws-us-gov:iam::111122223333:user/" + strings.Repeat("u", 64)
	if _, err := r.encode(); err != nil {
		t.Error(err)
	}
	r.ARN += strings.Repeat("/path", 200)
	if _, err := r.encode(); err == nil || strings.Contains(err.Error(), "ssss") {
		t.Errorf("%v, want an error without the secret for a record that is too large", err)
	}
}

func FuzzRecord(f *testing.F) {
	r := sample()
	data, err := r.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{}`))
	f.Add([]byte("probe 00"))
	f.Add(append(bytes.Clone(data), data...))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := decodeRecord(r.Item, data)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrMismatch) {
				t.Errorf("%v has no kind", err)
			}
			return
		}
		again, err := got.encode()
		if err != nil {
			return // a time that JSON cannot write, or too long once escaped
		}
		back, err := decodeRecord(r.Item, again)
		if err != nil || back.Profile != got.Profile || back.AccessKeyID != got.AccessKeyID || !back.SecretAccessKey.Equal(got.SecretAccessKey) {
			t.Errorf("%q became %+v, %v", data, back, err)
		}
	})
}

func TestNewName(t *testing.T) {
	t.Parallel()
	name, err := NewName(bytes.NewReader(make([]byte, 16)))
	if err != nil || name != Prefix+strings.Repeat("0", 32) || !ValidName(name) || !Ours(name) {
		t.Errorf("%q, %v", name, err)
	}
	if _, err := NewName(bytes.NewReader(make([]byte, 15))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("short of random: %v", err)
	}
}

// Each kind of failure has one code, and the backend's hint if it gives one.
func TestWire(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		got := wire(fmt.Errorf("read key: %w", &Error{Kind: k.err, Text: "text", Err: io.EOF}))
		if got.Code != k.code || got.Message != "read key: text: EOF" || got.Hint != k.hint {
			t.Errorf("%v: %+v", k.err, got)
		}
	}
	if got := wire(&Error{Kind: ErrLocked, Text: "x", Hint: "do this"}); got.Hint != "do this" {
		t.Errorf("hint = %q, want the backend's", got.Hint)
	}
	if got := wire(errors.New("x")); got.Code != ipc.CodeKeychainFailed {
		t.Errorf("an error of no kind: %+v", got)
	}
	if got := wire(fmt.Errorf("x: %w", context.Canceled)); got.Code != ipc.CodeDeadline {
		t.Errorf("a context's end: %+v", got)
	}
	e := &ipc.Error{Code: ipc.CodeKeyInvalid}
	if got := wire(fmt.Errorf("x: %w", e)); got != e {
		t.Errorf("an error that is done: %+v", got)
	}
}
