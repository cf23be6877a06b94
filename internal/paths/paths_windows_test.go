// SPDX-License-Identifier: Apache-2.0

package paths

import (
	"strings"
	"testing"
)

func TestPlaces(t *testing.T) {
	variables := map[string]string{
		"USERPROFILE": `C:\Users\ann`, "APPDATA": `D:\roaming`, "LOCALAPPDATA": `C:\Users\ann\AppData\Local`,
	}
	getenv := func(name string) string { return variables[name] }
	p, err := Find(getenv, -1)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ got, want string }{
		{p.ConfigFile, `D:\roaming\broker\config`},
		{p.StateFile, `C:\Users\ann\AppData\Local\broker\state.json`},
		{p.LockFile, `C:\Users\ann\AppData\Local\broker\brokerd.lock`},
		{p.AWSConfigFile, `C:\Users\ann\.aws\config`},
	} {
		if tt.got != tt.want {
			t.Errorf("place %s, want %s", tt.got, tt.want)
		}
	}
	if !strings.HasPrefix(p.Socket, `\\.\pipe\broker-S-1-`) {
		t.Errorf("socket %s does not name the user", p.Socket)
	}
	for name, ok := range map[string]bool{
		`\\.\pipe\test`: true, `\\.\PIPE\test`: true,
		`\\.\pipe\`: false, `\\other\pipe\x`: false, `\\.\pipe\a\b`: false, `C:\socket`: false, `pipe`: false,
		`\\.\pipe\` + strings.Repeat("x", 256): false,
	} {
		variables[EnvSocket] = name
		if _, err := Find(getenv, -1); (err == nil) != ok {
			t.Errorf("BROKER_SOCKET=%s: %v", name, err)
		}
	}
}

// A bare environment is no other place than a full one.
func TestPlacesWithoutVariables(t *testing.T) {
	p, err := Find(func(string) string { return "" }, -1)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(p.ConfigFile, `\broker\config`) || !strings.HasSuffix(p.StateDir, `\broker`) || p.Home == "" {
		t.Errorf("places %+v", p)
	}
}
