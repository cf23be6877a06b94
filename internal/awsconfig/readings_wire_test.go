// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"os"
	"testing"
)

// TestWiredIsReadAlike: whatever an edit accepts of the shapes that SDKs differ
// about, every SDK asks broker afterwards. What a line alone cannot mend, doctor
// tells of.
func TestWiredIsReadAlike(t *testing.T) {
	t.Parallel()
	const line = "/opt/bin/broker credential-process dev"
	wired, told := 0, map[string]bool{
		"comment glued to a header":     true, // JavaScript takes it for no header
		"a dot for the blank":           true, // JavaScript takes that for [profile dev]
		"an indented key below another": true, // a property to Go and JavaScript
		"a setting that Go refuses":     true, // with the profile
		"a value of one quote":          true, // at which Go crashes
		"a nested value of one quote":   true,

		"a value of one quote, and a comment": true,
	}
	for _, tc := range append(readingCases(), settingCases()...) {
		files := tc.written(t, t.TempDir(), "/opt/bin")
		if !wireBoth(t, files, line) {
			continue
		}
		wired++
		r, err := ReadAsSDKs(files)
		if err != nil {
			t.Fatal(err)
		}
		if told[tc.name] {
			if found, err := Disagreements(files); err != nil || len(found) == 0 {
				t.Errorf("%s: doctor says %v, %v", tc.name, found, err)
			}
			continue
		}
		for _, got := range r.Of("dev") {
			if got.who() != "broker-dev" {
				t.Errorf("%s: %s comes to %s (%s)", tc.name, got.SDK, got.who(), got.Reason)
			}
		}
		for _, d := range r.Differences("dev") {
			if !isSetting(d.Key) {
				t.Errorf("%s: %s", tc.name, d.Text)
			}
		}
	}
	if wired < 40 {
		t.Errorf("only %d cases could be wired: nothing is shown", wired)
	}
}

// wireBoth does to both files what broker wire does, and reports whether it
// may. What is refused there, beside what Document refuses, is a key pair.
func wireBoth(t *testing.T, files Files, line string) bool {
	t.Helper()
	for _, path := range []string{files.Config, files.Credentials} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		kind := ConfigFile
		if path == files.Credentials {
			kind = CredentialsFile
		}
		d, err := ParseDocument(path, kind, data)
		if err != nil {
			return false
		}
		if kind == ConfigFile {
			err = d.Wire("dev", line)
		} else {
			err = d.Park("dev")
		}
		if err != nil {
			return false
		}
		write(t, path, string(d.Bytes()))
	}
	return true
}
