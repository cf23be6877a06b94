// SPDX-License-Identifier: Apache-2.0

//go:build unix && !darwin

package paths

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"credbroker/internal/atomicfile"
)

func TestEnvironment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "environment")
	if _, err := ReadEnvironment(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	first := env(
		"PATH=/opt/bin:/bin", "GNUPGHOME=/keys with blanks ", "TZ=#1=2", "LANG=", "USER=a\nb", "LOGNAME=a\x00b", "LC_ALL=C",
		"DISPLAY="+strings.Repeat("x", maxValue+1), "HOME="+strings.Repeat("h", maxValue),
		"LC_TOKEN=canary", "AWS_PROFILE=canary", "AWS_SECRET_ACCESS_KEY=canary", "LD_PRELOAD=canary", "SSL_CERT_FILE=canary",
		"GODEBUG=canary", "SSH_AUTH_SOCK=canary", "BW_SESSION=canary", "BROKER_MFA_SERIAL=canary",
	)
	for _, want := range []bool{true, false} {
		if changed, err := WriteEnvironment(path, first); changed != want || err != nil {
			t.Fatalf("changed = %t, %v; want %t", changed, err, want)
		}
	}
	got, err := ReadEnvironment(path)
	want := []string{"PATH=/opt/bin:/bin", "HOME=" + strings.Repeat("h", maxValue), "TZ=#1=2", "LC_ALL=C", "GNUPGHOME=/keys with blanks "}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("read %q, %v\nwant %q", got, err, want)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if changed, err := WriteEnvironment(path, env("PATH=/bin")); !changed || err != nil {
		t.Errorf("another environment: changed = %t, %v", changed, err)
	}
	if got, err := ReadEnvironment(path); err != nil || !slices.Equal(got, []string{"PATH=/bin"}) {
		t.Errorf("read %q, %v", got, err)
	}
}

// What is written can be read, however long the values are.
func TestLongestEnvironmentFits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "environment")
	if _, err := WriteEnvironment(path, func(string) string { return strings.Repeat("x", maxValue) }); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadEnvironment(path); err != nil || len(got) != len(environmentNames()) {
		t.Errorf("%d of %d names, %v", len(got), len(environmentNames()), err)
	}
}

func TestEnvironmentIsReadWithSuspicion(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		mode       fs.FileMode
		want       []string
		says       string // in the error
	}{
		{name: "unknown names", text: "LD_PRELOAD=/x\nPATH=/bin\nAWS_PROFILE=x\nGODEBUG=x\npath=/x\n PATH=/x\nSSL_CERT_FILE=/x\n", want: []string{"PATH=/bin"}},
		{name: "comments and no newline", text: "# a\n\nTZ=UTC", want: []string{"TZ=UTC"}},
		{name: "empty"},
		{name: "no equals sign", text: "TZ=UTC\nPATH\n", says: "line 2"},
		{name: "no name", text: "=x\n", says: "line 1"},
		{name: "NUL", text: "TZ=UTC\x00LD_PRELOAD=/x\n", says: "line 1"},
		{name: "twice", text: "TZ=UTC\nTZ=CET\n", says: "line 2: TZ is there twice"},
		{name: "too large", text: strings.Repeat("#", maxEnvironment+1), says: atomicfile.ErrTooLarge.Error()},
		{name: "others may write it", text: "TZ=UTC\n", mode: 0o666, says: atomicfile.ErrUnsafe.Error()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "environment")
			if tt.mode == 0 {
				tt.mode = 0o600
			}
			if err := errors.Join(os.WriteFile(path, []byte(tt.text), 0o600), os.Chmod(path, tt.mode)); err != nil {
				t.Fatal(err)
			}
			got, err := ReadEnvironment(path)
			if !slices.Equal(got, tt.want) || (err != nil) != (tt.says != "") {
				t.Fatalf("read %q, %v; want %q", got, err, tt.want)
			}
			if err != nil && (!strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("%v; want %s and %q in it", err, path, tt.says)
			}
			if changed, err := WriteEnvironment(path, env("TZ=UTC")); !changed || err != nil {
				t.Errorf("it is not written anew: %t, %v", changed, err)
			}
		})
	}
}

func TestEnvironmentIsNotWrittenThroughALink(t *testing.T) {
	dir := t.TempDir()
	path, target := filepath.Join(dir, "environment"), filepath.Join(dir, "precious")
	if err := errors.Join(os.WriteFile(target, []byte("precious"), 0o600), os.Symlink(target, path)); err != nil {
		t.Fatal(err)
	}
	if _, err := WriteEnvironment(path, env("TZ=UTC")); !errors.Is(err, atomicfile.ErrUnsafe) {
		t.Errorf("%v, want %v", err, atomicfile.ErrUnsafe)
	}
	if data, err := os.ReadFile(target); err != nil || string(data) != "precious" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := WriteEnvironment(filepath.Join(target, "environment"), env()); err == nil {
		t.Error("written below a file")
	}
}
