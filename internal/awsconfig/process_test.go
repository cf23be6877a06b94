// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"strings"
	"testing"
)

func TestIsProgramOfWindows(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{
		`C:\bin\broker.exe`:           true,
		`C:\Program Files\broker.exe`: true,
		`c:\b`:                        true,
		`C:\`:                         false,
		``:                            false,
		`C:/bin/broker.exe`:           false,
		`\\server\share\broker.exe`:   false,
		`C:broker.exe`:                false,
		`C:\x:y\broker.exe`:           false,
		`C:\%TEMP%\broker.exe`:        false,
		`C:\a&b\broker.exe`:           false,
		`C:\x" y\broker.exe`:          false,
		`/usr/bin/broker`:             false,
	} {
		if got := isProgram(path, true); got != want {
			t.Errorf("isProgram(%s) = %v", path, got)
		}
	}
}

// TestHelperOfWindows: what is written on Windows is known again there, and so
// is what users write.
func TestHelperOfWindows(t *testing.T) {
	t.Parallel()
	for program, want := range map[string]string{
		`C:\bin\broker.exe`:                  `C:\bin\broker.exe credential-process --duration=1h a/b`,
		`C:\Users\Ann Lee\bin\broker.exe`:    `"C:\Users\Ann Lee\bin\broker.exe" credential-process --duration=1h a/b`,
		`D:\new\table\x\broker`:              `D:\new\table\x\broker credential-process --duration=1h a/b`,
		`C:\scoop\apps\b\current\Broker.EXE`: `C:\scoop\apps\b\current\Broker.EXE credential-process --duration=1h a/b`,
	} {
		line, err := helperLine(program, "a/b", 3600e9, true)
		if err != nil || line != want {
			t.Errorf("%s: %q, %v", program, line, err)
		}
		if got, profile, ok := helperCommand(line, true); !ok || got != program || profile != "a/b" {
			t.Errorf("%q reads %q, %q, %v", line, got, profile, ok)
		}
	}
	for process, want := range map[string]string{
		`broker.exe credential-process dev`:              "broker.exe dev",
		`C:/bin/broker.exe credential-process dev`:       "C:/bin/broker.exe dev",
		`"C:\b\broker.exe" credential-process --p dev`:   "",
		`"C:\b\broker.exe" credential-process -p dev`:    `C:\b\broker.exe dev`,
		`'C:\b\broker.exe' credential-process dev`:       "", // no quotes to Windows
		`C:\b\broker.exe\" credential-process dev`:       "",
		`C:\b\notbroker.exe credential-process dev`:      "",
		`C:\b\broker.exe.bak credential-process dev`:     "",
		`"C:\b\broker.exe credential-process dev`:        "",
		`C:\b\broker.exe credential-process dev & other`: "",
	} {
		program, profile, _ := helperCommand(process, true)
		if got := strings.TrimSpace(program + " " + profile); got != want {
			t.Errorf("%s: got %q, want %q", process, got, want)
		}
	}
	if _, _, ok := helperCommand(`C:\bin\broker.exe credential-process dev`, false); ok {
		t.Error("elsewhere that is a program called C:binbroker.exe")
	}
}
