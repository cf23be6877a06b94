// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"

	"credbroker/credproc"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// The formats of export.
const (
	formatEnv        = "env"
	formatJSON       = "json"
	formatINI        = "ini"
	formatFish       = "fish"
	formatPowerShell = "powershell"
)

func exportFormats() []string {
	return []string{formatEnv, formatJSON, formatINI, formatFish, formatPowerShell}
}

// exportText writes the variables of one environment, "NAME=value" each, as a
// program in the language of a shell, or as a section of ~/.aws/credentials.
func exportText(format, profile string, env []string) (string, error) {
	switch format {
	case formatINI:
		return iniText(profile, env)
	case formatFish:
		return shellText(env, "set -e ", " ", "set -gx %s %s\n", quoteFish), nil
	case formatPowerShell:
		return shellText(env, "Remove-Item -ErrorAction Ignore -Path Env:", ",Env:", "$Env:%s = %s\n", quotePowerShell), nil
	}
	return shellText(env, "unset ", " ", "export %s=%s\n", quoteSh), nil
}

// shellText first removes what the shell may have of other credentials: beside
// them some SDKs would pass over ours. See credproc.Competing.
func shellText(env []string, remove, between, set string, quote func(string) string) string {
	others := slices.DeleteFunc(credproc.Competing(), func(name string) bool {
		return slices.ContainsFunc(env, func(entry string) bool { return strings.HasPrefix(entry, name+"=") })
	})
	var b strings.Builder
	b.WriteString(remove + strings.Join(others, between) + "\n")
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		fmt.Fprintf(&b, set, name, quote(value))
	}
	return b.String()
}

// quoteSh quotes for POSIX shells, where nothing between single quotes means
// anything but the single quote.
func quoteSh(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// quoteFish quotes for fish, where \\ and \' are two characters of what stands
// between single quotes.
// https://fishshell.com/docs/current/language.html#quotes
func quoteFish(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}

// quotePowerShell quotes for PowerShell, which takes typographic quotes for
// single quotes as well. Doubled they stand for themselves.
// https://learn.microsoft.com/powershell/module/microsoft.powershell.core/about/about_quoting_rules
func quotePowerShell(text string) string {
	var pairs []string
	for _, quote := range []string{"'", "\u2018", "\u2019", "\u201a", "\u201b"} {
		pairs = append(pairs, quote, quote+quote)
	}
	return "'" + strings.NewReplacer(pairs...).Replace(text) + "'"
}

// iniText writes a section of ~/.aws/credentials. The file knows no quotes: a
// value that it cannot hold as it is is refused.
func iniText(profile string, env []string) (string, error) {
	value := map[string]string{}
	for _, entry := range env {
		name, v, _ := strings.Cut(entry, "=")
		value[name] = v
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[%s]\n# until %s\n", profile, value["AWS_CREDENTIAL_EXPIRATION"])
	for _, pair := range [][2]string{
		{"aws_access_key_id", "AWS_ACCESS_KEY_ID"},
		{"aws_secret_access_key", "AWS_SECRET_ACCESS_KEY"},
		{"aws_session_token", "AWS_SESSION_TOKEN"},
		{"region", "AWS_REGION"},
	} {
		v := value[pair[1]]
		if v == "" || strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' }) || strings.ContainsAny(v[:1], `#;"'`) {
			return "", client.Errorf(ipc.CodeInternal, "export %s: %s cannot stand in an ini file", profile, pair[0])
		}
		fmt.Fprintf(&b, "%s = %s\n", pair[0], v)
	}
	return b.String(), nil
}
