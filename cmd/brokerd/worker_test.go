// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"credbroker/internal/ipc"
)

// asWorker makes the test binary play broker-vault, see workerMain.
const asWorker = "BROKERD_TEST_WORKER"

func itoa(n int) string { return strconv.Itoa(n) }

// workerMain answers with what the variable says, and tells how it was started.
func workerMain() {
	var r ipc.Request
	if err := json.NewDecoder(os.Stdin).Decode(&r); err != nil {
		panic(err)
	}
	fmt.Fprintf(os.Stderr, "op %s args %d env %s\n", r.Op, len(os.Args), strings.Join(os.Environ(), " "))
	fmt.Println(os.Getenv(asWorker))
}

// fakeWorker returns a worker whose program answers with reply.
func fakeWorker(t *testing.T, reply string) (*worker, *bytes.Buffer) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "broker-vault")
	if err := copyFile("/proc/self/exe", path); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	w := newWorker(path, "/home/ann", "unix:path=/bus", newCalls(), slog.New(slog.NewTextHandler(&log, nil)))
	w.more = []string{asWorker + "=" + reply}
	t.Cleanup(func() { _ = w.held.Close() })
	// The program that is started is the one that was there at the start.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	return w, &log
}

func session(t *testing.T, reply string) error {
	t.Helper()
	w, _ := fakeWorker(t, reply)
	p := ipc.SessionTokenParams{SerialNumber: "arn:aws:iam::111122223333:mfa/ann", TokenCode: "123456", DurationSeconds: 900}
	p.Store.Backend = "file"
	credentials, err := w.SessionToken(t.Context(), p)
	if err == nil && (credentials.AccessKeyID != "ASIAX" || credentials.SessionToken.Reveal() != "tok") {
		t.Errorf("credentials are %+v", credentials)
	}
	return err
}

func TestF38WorkerIsTheOneOfTheStart(t *testing.T) {
	w, log := fakeWorker(t, `{"result":{"accountId":"111122223333","userName":"ann"}}`)
	p := ipc.ItemParams{Item: "broker.v1.x", Store: ipc.Store{Backend: "file"}}
	id, err := w.CallerIdentity(t.Context(), p)
	if err != nil || id.UserName != "ann" {
		t.Fatalf("identity %+v, %v", id, err)
	}
	for _, want := range []string{"op caller-identity", "args 1", "HOME=/home/ann", "DBUS_SESSION_BUS_ADDRESS=" + ipc.NoBus} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the worker was started without %q: %s", want, log)
		}
	}
	p.Store.Backend = "secret-service"
	if _, err := w.ListMFADevices(t.Context(), p); err != nil {
		t.Error(err)
	}
	if want := "DBUS_SESSION_BUS_ADDRESS=unix:path=/bus"; !strings.Contains(log.String(), want) {
		t.Errorf("the worker was started without %q: %s", want, log)
	}
	if err := w.Delete(t.Context(), p); err != nil {
		t.Error(err)
	}
}

func TestWorkerAnswers(t *testing.T) {
	document := `{"Version":1,"AccessKeyId":"ASIAX","SecretAccessKey":"sec","SessionToken":"tok","Expiration":"` +
		time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `"}`
	if err := session(t, `{"result":`+document+`}`); err != nil {
		t.Errorf("a good answer: %v", err)
	}
	for name, test := range map[string]struct {
		reply string
		code  ipc.Code
		spent bool
	}{
		"refused":    {`{"error":{"code":"mfa_wrong","message":"no","spent":true}}`, ipc.CodeMFAWrong, true},
		"unsent":     {`{"error":{"code":"keychain_locked","message":"no"}}`, ipc.CodeKeychainLocked, false},
		"incomplete": {`{"result":{"Version":1,"AccessKeyId":"ASIAX"}}`, ipc.CodeAWSGarbage, true},
		"garbage":    {`tok sec`, ipc.CodeInternal, true},
	} {
		err := session(t, test.reply)
		var e *ipc.Error
		if !errors.As(err, &e) || e.Code != test.code || e.Spent != test.spent {
			t.Errorf("%s: error is %+v, want code %s, spent %t", name, err, test.code, test.spent)
		}
		if err != nil && (strings.Contains(err.Error(), "sec") || strings.Contains(err.Error(), "123456")) {
			t.Errorf("%s: the error tells: %v", name, err)
		}
	}
}

func TestWorkerThatIsNotThere(t *testing.T) {
	w := newWorker(filepath.Join(t.TempDir(), "broker-vault"), "/h", "", newCalls(), slog.New(slog.DiscardHandler))
	_, err := w.CallerIdentity(t.Context(), ipc.ItemParams{})
	if !errors.Is(err, &ipc.Error{Code: ipc.CodeInternal}) {
		t.Errorf("error is %v, want code internal", err)
	}
}
