// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"credbroker/internal/desktop"
	"credbroker/internal/ipc"
	"credbroker/internal/testprograms"
)

// TestP19DialogShowsOurFacts: what the window says is what the daemon knows of
// the question.
func TestP19DialogShowsOurFacts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pinentry")
	text := "#!/bin/sh\necho OK\nwhile read -r l; do echo \"$l\" >>$0.log; case $l in GETPIN) printf 'D 123456\\nOK\\n';; *) echo OK;; esac; done\n"
	if err := testprograms.Write(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	d := newDialog(func() []string { return []string{"DISPLAY=:1"} })
	if got := d.window.Programs; len(got) == 0 || !filepath.IsAbs(got[0]) {
		t.Errorf("programs: %q", got)
	}
	d.window = &desktop.Dialog{Programs: []string{path}, Environ: d.window.Environ, Start: d.window.Start, Trust: func(string) error { return nil }}
	if !d.Ready() {
		t.Fatal("not ready")
	}
	p := ipc.Prompt{Profile: "dev", SerialNumber: "arn:aws:iam::111122223333:mfa/ann", AccessKeyID: "AKIAIOSFODNN7EXAMPLE"}
	facts := "SETTITLE broker\nSETDESC MFA code for profile dev%0ADevice: arn:aws:iam::111122223333:mfa/ann%0AAccess key: AKIAIOSFODNN7EXAMPLE\nSETPROMPT Code:\n"
	for reason, problem := range map[string]string{
		"":                  "",
		ipc.ReasonWrongCode: "SETERROR AWS did not accept that code.\n",
		ipc.ReasonUsedCode:  "SETERROR That code was used before: wait for the next one.\n",
		"another":           "",
	} {
		p.Reason = reason
		if got, err := d.Ask(t.Context(), p); err != nil || got != "123456" {
			t.Fatalf("%q, %v", got, err)
		}
		told, err := os.ReadFile(path + ".log")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(string(told), facts+problem+"GETPIN\n") {
			t.Errorf("%s: told %q", reason, told)
		}
	}
}
