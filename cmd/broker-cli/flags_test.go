// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

func testParser() client.LineParser {
	return client.LineParser{
		Commands:  tableOf((&app{}).commands()),
		IsProfile: func(name string) bool { return name == "dev" || name == "ops" },
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
			l, err := testParser().Parse(strings.Fields(test.line))
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range []struct {
				name      string
				got, want string
			}{
				{"path", strings.Join(l.Path, " "), test.path},
				{"flags", strings.Join(l.Flags, " "), test.flags},
				{"words", strings.Join(l.Words, " "), test.words},
				{"child", strings.Join(l.Child, " "), test.child},
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
			_, err := testParser().Parse(strings.Fields(test.line))
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
	for _, f := range client.AllFlags(tableOf((&app{}).commands())) {
		for _, name := range f.Names {
			if was, known := switches[name]; known && was != f.IsSwitch {
				t.Errorf("flag %s takes a value in one command and none in another", name)
			}
			switches[name] = f.IsSwitch
		}
	}
}

// TestExecHasOneTable: exec is read by two programs, against the same flags.
func TestExecHasOneTable(t *testing.T) {
	for _, v := range tableOf((&app{}).commands()) {
		if v.Name == client.ExecName && !reflect.DeepEqual(v, client.ExecVerb()) {
			t.Errorf("the help has %v, the fast path %v", v, client.ExecVerb())
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
