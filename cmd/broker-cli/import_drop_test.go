// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"credbroker/internal/awsconfig"
)

const (
	fileKeyID  = "AKIAIOSFODNN7EXAMPLE"
	fileSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

// pairText is the two lines of a key.
func pairText(id, key string) string {
	return "aws_access_key_id = " + id + "\naws_secret_access_key = " + key + "\n"
}

// takenFiles is a home with these AWS files, and the key of dev taken from them.
func takenFiles(t *testing.T, config, credentials string) (s *fileSource, home string) {
	t.Helper()
	a, _, home := importHome(t, config)
	writeHome(t, home, "credentials", credentials)
	c, err := a.AWSConfig()
	if err != nil {
		t.Fatal(err)
	}
	source, err := openFileSource(a, importOptions{}, c)
	if err != nil {
		t.Fatal(err)
	}
	s = source.(*fileSource)
	candidates, err := s.list(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range candidates {
		if c.profile == "dev" {
			if _, err := s.take(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s, home
}

func writeHome(t *testing.T, home, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(home, ".aws", name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readHome(t *testing.T, home, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(home, ".aws", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestDropLeavesOtherKeys: only the very key that was taken, secret and all, goes
// from a file, whatever became of the file since.
func TestDropLeavesOtherKeys(t *testing.T) {
	t.Parallel()
	const other = "AKIAI44QH8DHBEXAMPLE"
	dev := "[dev]\n" + pairText(fileKeyID, fileSecret)
	tests := []struct {
		name                string
		config, credentials string // as they were read
		now, want           string // the credentials file when keys are removed, and after it
		wantConfig          string
		kept                string // of what is said of keys that stay
	}{
		{name: "as it was", credentials: dev, now: dev, want: "[dev]\n"},
		{name: "something was added", credentials: dev, now: "# new\n" + dev + "region = x\n", want: "# new\n[dev]\nregion = x\n"},
		{name: "another key", credentials: dev, now: "[dev]\n" + pairText(other, fileSecret), want: "[dev]\n" + pairText(other, fileSecret), kept: "no longer there"},
		{name: "another secret", credentials: dev, now: "[dev]\n" + pairText(fileKeyID, "another"), want: "[dev]\n" + pairText(fileKeyID, "another"), kept: "its secret is not the one"},
		{name: "gone", credentials: dev, now: "[ops]\n", want: "[ops]\n", kept: "no longer there"},
		{
			name: "both files", config: "[profile dev]\n" + pairText(fileKeyID, fileSecret), credentials: dev, now: dev, want: "[dev]\n",
			wantConfig: "[profile dev]\n",
		},
		{
			name: "another key in the config", config: "[profile dev]\n" + pairText(other, fileSecret), credentials: dev, now: dev, want: "[dev]\n",
			wantConfig: "[profile dev]\n" + pairText(other, fileSecret), kept: "it is another key than the one that was stored",
		},
		{
			name: "another secret in the config", config: "[profile dev]\n" + pairText(fileKeyID, "another"), credentials: dev, now: dev, want: "[dev]\n",
			wantConfig: "[profile dev]\n" + pairText(fileKeyID, "another"), kept: "its secret is not the one",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, home := takenFiles(t, tt.config, tt.credentials)
			writeHome(t, home, "credentials", tt.now)
			dropped, err := s.drop(t.Context(), []string{"dev"})
			if err != nil {
				t.Fatal(err)
			}
			if got := readHome(t, home, "credentials"); got != tt.want {
				t.Errorf("the credentials file is\n%s\nwant\n%s", got, tt.want)
			}
			if got := readHome(t, home, "config"); got != tt.wantConfig {
				t.Errorf("the config is\n%s\nwant\n%s", got, tt.wantConfig)
			}
			why := ""
			for _, d := range dropped {
				why += d.Why
			}
			if len(dropped) == 0 || (why != "") != (tt.kept != "") || !strings.Contains(why, tt.kept) {
				t.Errorf("dropped: %+v, want %q", dropped, tt.kept)
			}
			if text := fmt.Sprintf("%+v", dropped); strings.Contains(text, fileSecret) {
				t.Errorf("the secret is in %s", text)
			}
		})
	}
}

// TestDropScrubsBackups: no backup of an earlier edit keeps what was removed, and
// the removal makes none.
func TestDropScrubsBackups(t *testing.T) {
	t.Parallel()
	before := "[profile dev]\n" + pairText(fileKeyID, fileSecret) + "[profile ops]\nregion = x\n"
	s, home := takenFiles(t, before, "")
	options, err := s.a.editOptions()
	if err != nil {
		t.Fatal(err)
	}
	options.Backup = true
	edit := func(old []byte) ([]byte, error) { return append(slices.Clone(old), "[profile new]\n"...), nil }
	if _, err := awsconfig.Rewrite(t.Context(), filepath.Join(home, ".aws", "config"), options, edit); err != nil {
		t.Fatal(err)
	}
	if _, err := s.drop(t.Context(), []string{"dev"}); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(home, ".aws"))
	if err != nil {
		t.Fatal(err)
	}
	backups := 0
	for _, e := range entries {
		text := readHome(t, home, e.Name())
		if strings.Contains(text, fileSecret) || strings.Contains(text, fileKeyID) {
			t.Errorf("%s has the key:\n%s", e.Name(), text)
		}
		if strings.HasPrefix(e.Name(), "config.broker-") {
			backups++
			if want := "[profile dev]\n[profile ops]\nregion = x\n"; text != want {
				t.Errorf("the backup is\n%s\nwant\n%s", text, want)
			}
		}
	}
	if backups != 1 {
		t.Errorf("%d backups, want the one of before", backups)
	}
}

// TestDropOfABrokenFile: what botocore would refuse is not edited.
func TestDropOfABrokenFile(t *testing.T) {
	t.Parallel()
	s, home := takenFiles(t, "", "[dev]\n"+pairText(fileKeyID, fileSecret))
	broken := "[dev]\n" + pairText(fileKeyID, fileSecret) + "[dev]\n"
	writeHome(t, home, "credentials", broken)
	dropped, err := s.drop(t.Context(), []string{"dev"})
	if err == nil || !strings.Contains(err.Error(), "botocore refuses the whole file") || len(dropped) > 0 {
		t.Errorf("drop: %+v, %v", dropped, err)
	}
	if got := readHome(t, home, "credentials"); got != broken {
		t.Errorf("the file is\n%s", got)
	}
}

// TestDropNamesCopies: a secret that stands in the file once more is not said to
// be gone.
func TestDropNamesCopies(t *testing.T) {
	t.Parallel()
	s, home := takenFiles(t, "", "[dev]\n"+pairText(fileKeyID, fileSecret)+"# was: "+fileSecret+"\n[old]\n;aws_secret_access_key="+fileSecret+"\n# "+fileSecret+"x\n")
	dropped, err := s.drop(t.Context(), []string{"dev"})
	if err != nil || len(dropped) != 1 || !slices.Equal(dropped[0].Copies, []int{2, 4}) {
		t.Errorf("dropped %+v, %v", dropped, err)
	}
	if got := readHome(t, home, "credentials"); strings.Count(got, fileSecret) != 3 {
		t.Errorf("comments went, too:\n%s", got)
	}
}
