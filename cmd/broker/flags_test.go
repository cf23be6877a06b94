// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"credbroker/internal/ipc"
)

func testParser() lineParser {
	return lineParser{
		commands:  (&app{}).commands(),
		isProfile: func(name string) bool { return name == "dev" || name == "ops" },
	}
}

func TestParseLine(t *testing.T) {
	for _, test := range []struct {
		line                      string
		path, flags, words, child string
	}{
		{"", "", "", "", ""},
		{"status --json", "status", "--json", "", ""},
		{"--json status", "status", "--json", "", ""},
		{"ls", "list", "", "", ""},
		{"config show dev --json", "config show", "--json", "dev", ""},
		{"config --json show dev", "config show", "--json", "dev", ""},
		{"-p dev config show", "config show", "--profile=dev", "", ""},
		{"add dev --stdin", "add", "--stdin", "dev", ""},
		{"add --csv - dev", "add", "--csv=-", "dev", ""},
		{"add -csv=f -- dev", "add", "--csv=f", "dev", ""},
		{"remove dev -- -x", "remove", "", "dev -x", ""},
		{"mfa 123456 -p dev", "mfa", "--profile=dev", "123456", ""},
		{"help", "", "--help", "", ""},
		{"help exec", "exec", "--help", "", ""},
		{"exec -h", "exec", "--help", "", ""},
		{"--version", "", "--version", "", ""},

		// exec with "--": at most a profile before it, everything after it untouched.
		{"exec -- env", "exec", "", "", "env"},
		{"exec dev -- env", "exec", "", "dev", "env"},
		{"exec -p dev -- env -i", "exec", "--profile=dev", "", "env -i"},
		{"exec dev -- sh -c x -- -p y", "exec", "", "dev", "sh -c x -- -p y"},
		{"exec env -- -i", "exec", "", "env", "-i"},
		{"exec dev --", "exec", "", "dev", ""},

		// exec without it: the first word is a profile only if nothing follows
		// or it names one.
		{"exec dev", "exec", "", "dev", ""},
		{"exec env", "exec", "", "env", ""},
		{"exec dev env -i", "exec", "", "dev", "env -i"},
		{"exec -p dev env -i", "exec", "--profile=dev", "", "env -i"},
		{"exec -p dev dev env", "exec", "--profile=dev", "", "dev env"},
		{"exec env -i", "exec", "", "", "env -i"},
		{"exec env -p dev", "exec", "", "", "env -p dev"},
		{"exec dev ops", "exec", "", "dev", "ops"},
		{"exec dev -p ops env --help", "exec", "--profile=ops", "dev", "env --help"},
		{"exec make --nosuch", "exec", "", "", "make --nosuch"},
	} {
		t.Run(test.line, func(t *testing.T) {
			l, err := testParser().parse(strings.Fields(test.line))
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range []struct {
				name      string
				got, want string
			}{
				{"path", strings.Join(l.path, " "), test.path},
				{"flags", strings.Join(l.flags, " "), test.flags},
				{"words", strings.Join(l.words, " "), test.words},
				{"child", strings.Join(l.child, " "), test.child},
			} {
				if part.got != part.want {
					t.Errorf("%s = %q, want %q", part.name, part.got, part.want)
				}
			}
		})
	}
}

func TestParseLineRefuses(t *testing.T) {
	for _, test := range []struct {
		line, message, hint string
	}{
		{"status --jsn", "unknown flag --jsn", "did you mean --json?"},
		{"status --profile dev", "unknown flag --profile", ""},
		{"--nosuch status", "unknown flag --nosuch", ""},
		{"--csv f status", "unknown flag --csv", ""},
		{"exec --nosuch dev -- env", "unknown flag --nosuch", ""},
		{"exec dev -x -- env", "unknown flag -x", ""},
		{"exec dev --nosuch env", "unknown flag --nosuch", ""},
		{"exec -p", "flag -p needs a value", ""},
		{"list --json=no", "flag --json takes no value", ""},
		{"config show dev --json=maybe", "flag --json takes no value", ""},
		{"--help=x", "flag --help takes no value", ""},
		{"-- list", "there is no command before --", ""},
		{"config -- list", "there is no command before --", ""},
		{"exec -p -- env", "flag -p needs a value", ""},
		{"stauts", `unknown command "stauts"`, "did you mean status?"},
		{"config shwo", `unknown command "shwo"`, "did you mean show?"},
		{"frob", `unknown command "frob"`, ""},
		{"exec --frob dev -- env", "unknown flag --frob", ""},
	} {
		t.Run(test.line, func(t *testing.T) {
			_, err := testParser().parse(strings.Fields(test.line))
			var coded *ipc.Error
			if !errors.As(err, &coded) || coded.Code != ipc.CodeUsage {
				t.Fatalf("error = %v, want one of code usage", err)
			}
			if coded.Message != test.message || coded.Hint != test.hint {
				t.Errorf("got %q, hint %q; want %q, hint %q", coded.Message, coded.Hint, test.message, test.hint)
			}
		})
	}
}

// TestFlagsAgree: a flag that stands before its command is read by any
// command's table, so they must agree on whether it takes a value.
func TestFlagsAgree(t *testing.T) {
	switches := map[string]bool{}
	for _, f := range allFlags((&app{}).commands()) {
		for _, name := range f.Names() {
			if was, known := switches[name]; known && was != isSwitch(f) {
				t.Errorf("flag %s takes a value in one command and none in another", name)
			}
			switches[name] = isSwitch(f)
		}
	}
}

// TestHelpForm: every command has one short imperative line, its usage, an
// example and the exit statuses.
func TestHelpForm(t *testing.T) {
	var walk func(commands []*cli.Command)
	walk = func(commands []*cli.Command) {
		for _, c := range commands {
			if n := len(c.Usage); n == 0 || n > 60 || strings.HasSuffix(c.Usage, ".") || c.Usage != strings.ToLower(c.Usage[:1])+c.Usage[1:] {
				t.Errorf("%s: usage %q", c.Name, c.Usage)
			}
			if !strings.HasPrefix(c.UsageText, "broker ") || !strings.Contains(c.Description, "EXAMPLE\n") || !strings.Contains(c.Description, "EXIT STATUS\n") {
				t.Errorf("%s: the help is incomplete", c.Name)
			}
			walk(c.Subcommands)
		}
	}
	walk((&app{}).commands())
}

func TestHelperCommandLine(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string // empty: refused
		life time.Duration
	}{
		{[]string{"dev"}, "dev", 0},
		{[]string{"--profile", "dev"}, "dev", 0},
		{[]string{"--profile=dev"}, "dev", 0},
		{[]string{"-p", "a/b.c"}, "a/b.c", 0},
		{[]string{"dev", "--"}, "dev", 0},
		{[]string{"--", "dev"}, "dev", 0},
		{[]string{"--duration=1h30m", "dev"}, "dev", 90 * time.Minute},
		{[]string{"dev", "-d", "12h", "--"}, "dev", 12 * time.Hour},
		{[]string{"-d=15m", "-p", "dev"}, "dev", 15 * time.Minute},
		{nil, "", 0},
		{[]string{""}, "", 0},
		{[]string{"dev", "dev"}, "", 0},
		{[]string{"--profile"}, "", 0},
		{[]string{"--json", "dev"}, "", 0},
		{[]string{"--profile", "dev", "ops"}, "", 0},
		{[]string{"--duration=1h"}, "", 0},
		{[]string{"dev", "-d"}, "", 0},
		{[]string{"dev", "-d", ""}, "", 0},
		{[]string{"dev", "-d", "14m"}, "", 0},
		{[]string{"dev", "-d", "37h"}, "", 0},
		{[]string{"--d=1h", "dev"}, "", 0},
	} {
		got, life, err := parseHelper(test.args)
		if (err != nil) != (test.want == "") || err == nil && (got != test.want || time.Duration(life) != test.life) {
			t.Errorf("parseHelper(%q) = %q, %v, %v; want %q, %v", test.args, got, life, err, test.want, test.life)
		}
	}
}

// TestP49HostileProfileNames: a name that could traverse a path, forge a line
// of a file or move a cursor is refused where it is read.
func TestP49HostileProfileNames(t *testing.T) {
	for _, name := range []string{
		"", "a b", "a\nb", "a\x00b", "\x1b[31m", "a\tb", "a\\b", "[a]", "a=b", "a#b", "é", "e\u0301", "\u202edev", "-x", "$(id)", "`id`", "a;b", strings.Repeat("x", 300),
	} {
		if got, _, err := parseHelper([]string{"--profile", name}); err == nil {
			t.Errorf("the helper takes %q as %q", name, got)
		}
		_, status := failure(func() error { _, _, err := parseHelper([]string{"--profile", name}); return err }())
		if status != exitUsage {
			t.Errorf("%q: exit status %d, want %d", name, status, exitUsage)
		}
	}
}

// TestP48DaemonEnvironment: a daemon that a client starts inherits names of a
// list and nothing else.
func TestP48DaemonEnvironment(t *testing.T) {
	env := []string{
		"HOME=/h", "LANG=C", "LC_ALL=C", "BROKER_SOCKET=/s", "XDG_RUNTIME_DIR=/r", "DISPLAY=:0", "PATH=/evil",
		"AWS_PROFILE=x", "AWS_ACCESS_KEY_ID=x", "HTTPS_PROXY=x", "https_proxy=x", "SSL_CERT_FILE=x", "GODEBUG=x", "GOTRACEBACK=x",
		"LD_PRELOAD=x", "NOTIFY_SOCKET=x", "LISTEN_FDS=1", "XDG_CONFIG_HOME=x", "HOMEX=x", "broken",
	}
	want := []string{daemonPath, "HOME=/h", "LANG=C", "LC_ALL=C", "BROKER_SOCKET=/s", "XDG_RUNTIME_DIR=/r", "DISPLAY=:0"}
	if got := daemonEnv(env); !slices.Equal(got, want) {
		t.Errorf("daemonEnv() = %q, want %q", got, want)
	}
}

func TestChildEnv(t *testing.T) {
	env := []string{"A=1", "AWS_PROFILE=old", "AWS_SECRET_ACCESS_KEY=x", "AWS_REGION=eu-west-1", "AWS_VAULT=old", "AWS_CONFIG_FILE=/c", "AWS_ENDPOINT_URL=http://x"}
	want := []string{"A=1", "AWS_REGION=eu-west-1", "AWS_CONFIG_FILE=/c", "AWS_ENDPOINT_URL=http://x", "AWS_PROFILE=dev", "AWS_SDK_LOAD_CONFIG=1", "AWS_VAULT=dev"}
	if got := childEnv(env, profileEnv("dev", "")); !slices.Equal(got, want) {
		t.Errorf("childEnv() = %q, want %q", got, want)
	}
	got := childEnv(env, profileEnv("dev", "/overlay"))
	if !slices.Contains(got, "AWS_CONFIG_FILE=/overlay") || slices.Contains(got, "AWS_CONFIG_FILE=/c") {
		t.Errorf("childEnv() with an overlay = %q", got)
	}
}
