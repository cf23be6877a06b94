// SPDX-License-Identifier: Apache-2.0

//go:build linux

package awsconfig

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestWithoutShell(t *testing.T) {
	t.Parallel()
	tests := []struct {
		process string
		want    []string // nil: it is refused
	}{
		{"/usr/bin/ykman oath accounts code --single aws", []string{"/usr/bin/ykman", "oath", "accounts", "code", "--single", "aws"}},
		{`otp "my account" 'x $y | z'`, []string{"otp", "my account", "x $y | z"}},
		{`pass otp a#b`, []string{"pass", "otp", "a#b"}},
		{`otp "a;b" 'c*'`, []string{"otp", "a;b", "c*"}},
		{"otp a | tail -1", nil},
		{"otp $HOME", nil},
		{`otp "$HOME"`, nil},
		{"otp `id`", nil},
		{"SEED=x otp", nil},
		{"otp ~/seed", nil},
		{"otp # comment", nil},
		{"otp a; otp b", nil},
		{"otp *.txt", nil},
		{`otp a\ b`, nil},
		{"otp {a,b}", nil},
		{"otp 'a", nil},
		{"", nil},
	}
	for _, tt := range tests {
		got, err := WithoutShell(tt.process)
		if !slices.Equal(got, tt.want) || (err == nil) != (tt.want != nil) {
			t.Errorf("WithoutShell(%q) = %q, %v; want %q", tt.process, got, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "otp") {
			t.Errorf("WithoutShell(%q): the error quotes it: %v", tt.process, err)
		}
		if err != nil {
			continue
		}
		// A shell has the same words, and so has mfa_command.
		out, err := exec.CommandContext(t.Context(), "sh", "-c", `printf '%s\n' `+tt.process).Output()
		if err != nil || !slices.Equal(strings.Split(strings.TrimSuffix(string(out), "\n"), "\n"), tt.want) {
			t.Errorf("a shell makes of %q: %q, %v", tt.process, out, err)
		}
		if strings.HasPrefix(got[0], "/") {
			s, err := ParseSettings("config", []byte("[profile dev]\nmfa_command = "+CommandLine(got)+"\n"))
			if err != nil || !slices.Equal(s.Profile("dev").MFACommand, got) {
				t.Errorf("mfa_command of %q is %q, %v", tt.process, s.Profile("dev").MFACommand, err)
			}
		}
	}
}
