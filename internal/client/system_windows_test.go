// SPDX-License-Identifier: Apache-2.0

package client

import (
	"slices"
	"testing"
)

func TestEnviron(t *testing.T) {
	got := Environ([]string{"Path=C:\\x", "aws_Profile=dev", `=C:=C:\dir`, "BAD"})
	want := []string{"PATH=C:\\x", "AWS_PROFILE=dev", `=C:=C:\dir`, "BAD"}
	if !slices.Equal(got, want) {
		t.Errorf("Environ() = %q, want %q", got, want)
	}
}

func TestSystemEnv(t *testing.T) {
	env := systemEnv()
	if len(env) != 2 || !slices.Contains(env, `SYSTEMROOT=C:\windows`) && !slices.Contains(env, `SYSTEMROOT=C:\WINDOWS`) {
		t.Errorf("systemEnv() = %q", env)
	}
}
