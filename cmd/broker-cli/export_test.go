// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"credbroker/credproc"
	"credbroker/internal/client"
	"credbroker/internal/secret"
)

// hostileValues are what a shell could take for its own, and a thousand random
// texts of such characters. None has a NUL, which no environment holds.
func hostileValues() []string {
	values := []string{
		"", "'", "''", `'\''`, `\`, `\\`, `\'`, `'\`, "$HOME", "$(touch ran)", "`touch ran`", "a b", "a\nb", "\n", "\r\n", "\t", "!!", "#x",
		`"`, "%PATH%", "*", "~", "-n", "\u2018", "\u2019x\u201a\u201b", "é\u2028", "\x80\xff", "; touch ran", "$Env:PATH", "@{x}", "{a,b}", "a=b",
	}
	random := rand.New(rand.NewPCG(1, 2))
	letters := []rune("'\\\"$`()!#\n\t ;&|<>*?~=aZ9\u2018\u2019\u201a\u201bé")
	for range 1000 {
		var b strings.Builder
		for range random.IntN(12) {
			b.WriteRune(letters[random.IntN(len(letters))])
		}
		values = append(values, b.String())
	}
	return values
}

func variables(values []string) []string {
	env := make([]string, len(values))
	for i, v := range values {
		env[i] = fmt.Sprintf("V%d=%s", i, v)
	}
	return env
}

// TestP49ExportIsOneValueToAShell: whatever the value, a real shell ends up with
// it, and runs nothing of it.
func TestP49ExportIsOneValueToAShell(t *testing.T) {
	t.Parallel()
	values := hostileValues()
	const eval = `eval "$(cat script)" && env -0`
	for _, shell := range []struct {
		name, format string
		args         []string
	}{
		{"sh", formatEnv, []string{"-c", eval}},
		{"bash", formatEnv, []string{"-c", eval}},
		{"zsh", formatEnv, []string{"-c", eval}},
		{"busybox", formatEnv, []string{"sh", "-c", eval}},
		{"fish", formatFish, []string{"-c", "source script; env -0"}},
		{"pwsh", formatPowerShell, []string{"-NoProfile", "-Command", "Get-Content -Raw script | Invoke-Expression; env -0"}},
	} {
		program, err := exec.LookPath(shell.name)
		if err != nil {
			if shell.name == "sh" {
				t.Fatal(err)
			}
			t.Logf("there is no %s here", shell.name)
			continue
		}
		text, err := exportText(shell.format, "dev", variables(values))
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "script"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), program, shell.args...)
		cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "AWS_PROFILE=other", "AWS_SECURITY_TOKEN=old", "KEPT=1"}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", shell.name, err)
		}
		got := map[string]string{}
		for entry := range strings.SplitSeq(string(out), "\x00") {
			name, value, _ := strings.Cut(entry, "=")
			got[name] = value
		}
		for i, want := range values {
			if v, ok := got[fmt.Sprintf("V%d", i)]; !ok || v != want {
				t.Errorf("%s: %q became %q", shell.name, want, v)
			}
		}
		if _, there := got["AWS_PROFILE"]; there || got["AWS_SECURITY_TOKEN"] != "" || got["KEPT"] != "1" {
			t.Errorf("%s: the environment is %v", shell.name, slices.Sorted(maps.Keys(got)))
		}
		if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
			t.Errorf("%s ran a value", shell.name)
		}
	}
}

// fish and PowerShell are not on every machine: what their manuals say of
// quotes is held here as well.
func TestP49QuotesByTheManual(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		quote   func(string) string
		unquote func(string) (string, bool)
	}{
		{"fish", quoteFish, unquoteFish},
		{"PowerShell", quotePowerShell, unquotePowerShell},
	} {
		for _, want := range hostileValues() {
			if got, ok := tt.unquote(tt.quote(want)); !ok || got != want {
				t.Errorf("%s: %q is written %s, which is %q, %t", tt.name, want, tt.quote(want), got, ok)
			}
		}
	}
	if _, ok := unquotePowerShell("'a\u2019b'"); ok {
		t.Error("a typographic quote ends no text")
	}
}

// unquoteFish reads one text in single quotes as fish does.
func unquoteFish(text string) (string, bool) {
	var b strings.Builder
	if len(text) < 2 || text[0] != '\'' {
		return "", false
	}
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '\'':
			return b.String(), i == len(text)-1
		case text[i] == '\\' && i+1 < len(text) && (text[i+1] == '\'' || text[i+1] == '\\'):
			i++
		}
		b.WriteByte(text[i])
	}
	return "", false
}

// unquotePowerShell reads one text in single quotes as PowerShell does: any of
// five characters ends it, unless another of them follows.
func unquotePowerShell(text string) (string, bool) {
	const quotes = "'\u2018\u2019\u201a\u201b"
	var b strings.Builder
	rest, ok := strings.CutPrefix(text, "'")
	if !ok {
		return "", false
	}
	for {
		i := strings.IndexAny(rest, quotes)
		if i < 0 {
			return "", false
		}
		b.WriteString(rest[:i])
		size := len([]byte(string([]rune(rest[i:])[0])))
		rest = rest[i+size:]
		if rest == "" {
			return b.String(), true
		}
		if next := []rune(rest)[0]; strings.ContainsRune(quotes, next) {
			b.WriteRune(next)
			rest = rest[len(string(next)):]
			continue
		}
		return "", false
	}
}

// TestExportText holds each format against what its readers expect.
func TestExportText(t *testing.T) {
	t.Parallel()
	h := client.Handed{Profile: "dev", Credentials: credproc.Credentials{
		AccessKeyID: "ASIAIOSFODNN7EXAMPLE", SecretAccessKey: secret.New("se/cr+et"), SessionToken: secret.New("tok=en=="),
		Expiration: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}, Region: "eu-west-1"}
	for format, want := range map[string][]string{
		formatEnv: {
			"export AWS_ACCESS_KEY_ID='ASIAIOSFODNN7EXAMPLE'", "export AWS_SECRET_ACCESS_KEY='se/cr+et'", "export AWS_SESSION_TOKEN='tok=en=='",
			"export AWS_CREDENTIAL_EXPIRATION='2026-01-02T03:04:05Z'", "export AWS_REGION='eu-west-1'", "export AWS_DEFAULT_REGION='eu-west-1'", "export AWS_VAULT='dev'",
		},
		formatFish: {
			"set -gx AWS_ACCESS_KEY_ID 'ASIAIOSFODNN7EXAMPLE'", "set -gx AWS_SECRET_ACCESS_KEY 'se/cr+et'", "set -gx AWS_SESSION_TOKEN 'tok=en=='",
			"set -gx AWS_CREDENTIAL_EXPIRATION '2026-01-02T03:04:05Z'", "set -gx AWS_REGION 'eu-west-1'", "set -gx AWS_DEFAULT_REGION 'eu-west-1'", "set -gx AWS_VAULT 'dev'",
		},
		formatPowerShell: {
			"$Env:AWS_ACCESS_KEY_ID = 'ASIAIOSFODNN7EXAMPLE'", "$Env:AWS_SECRET_ACCESS_KEY = 'se/cr+et'", "$Env:AWS_SESSION_TOKEN = 'tok=en=='",
			"$Env:AWS_CREDENTIAL_EXPIRATION = '2026-01-02T03:04:05Z'", "$Env:AWS_REGION = 'eu-west-1'", "$Env:AWS_DEFAULT_REGION = 'eu-west-1'", "$Env:AWS_VAULT = 'dev'",
		},
		formatINI: {
			"# until 2026-01-02T03:04:05Z", "aws_access_key_id = ASIAIOSFODNN7EXAMPLE", "aws_secret_access_key = se/cr+et", "aws_session_token = tok=en==", "region = eu-west-1",
		},
	} {
		text, err := exportText(format, "dev", h.Environ())
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if !slices.Equal(lines[1:], want) {
			t.Errorf("%s: got\n%s\nwant\n%s", format, text, strings.Join(want, "\n"))
		}
		if format == formatINI {
			if lines[0] != "[dev]" {
				t.Errorf("ini begins with %s", lines[0])
			}
			continue
		}
		for _, name := range credproc.Competing() {
			set := slices.ContainsFunc(h.Environ(), func(e string) bool { return strings.HasPrefix(e, name+"=") })
			words := strings.FieldsFunc(lines[0], func(r rune) bool { return strings.ContainsRune(" ,:", r) })
			if slices.Contains(words, name) == set {
				t.Errorf("%s: %s is set: %t, and the first line is %s", format, name, set, lines[0])
			}
		}
	}
}

// A section of a credentials file has no quotes: what needs some is refused.
func TestExportINIRefuses(t *testing.T) {
	t.Parallel()
	env := func(value string) []string {
		return []string{"AWS_ACCESS_KEY_ID=ASIA", "AWS_SECRET_ACCESS_KEY=" + value, "AWS_SESSION_TOKEN=t", "AWS_REGION=r", "AWS_CREDENTIAL_EXPIRATION=e"}
	}
	if _, err := exportText(formatINI, "dev", env("a+/=")); err != nil {
		t.Error(err)
	}
	for _, value := range []string{"", "a b", "a\nb", "#a", ";a", `"a"`, "'a", "é", "a\x7f"} {
		if text, err := exportText(formatINI, "dev", env(value)); err == nil || strings.Contains(err.Error(), value) && value != "" {
			t.Errorf("%q: %q, %v", value, text, err)
		}
	}
}
