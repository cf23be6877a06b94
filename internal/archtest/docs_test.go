// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"fmt"
	"go/ast"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"credbroker/internal/awsconfig"
)

// manual is what a program's help says: its commands, "config list" for one
// inside another, each with its flags as they are typed.
type manual map[string]map[string]bool

// readManual asks a program for the help of every command it shows.
func readManual(t *testing.T, program string) manual {
	t.Helper()
	m := manual{}
	var read func(words []string)
	read = func(words []string) {
		out, err := exec.CommandContext(t.Context(), program, append(slices.Clone(words), "--help")...).Output()
		if err != nil {
			t.Fatalf("%s %s --help: %v", filepath.Base(program), strings.Join(words, " "), err)
		}
		help := string(out)
		m[strings.Join(words, " ")] = flagsOf(help)
		for _, name := range commandsOf(help) {
			if name != "help" && name != "h" {
				read(append(slices.Clone(words), name))
			}
		}
	}
	read(nil)
	return m
}

var (
	helpFlag    = regexp.MustCompile(`(?:^|[\s,\[(|])(--?[a-zA-Z][a-z0-9-]*)`)
	helpCommand = regexp.MustCompile(`(?m)^   ?([a-z][a-z-]*)(?:, [a-z-]+)*(?:\s{2,}|$)`)
)

func flagsOf(help string) map[string]bool {
	flags := map[string]bool{"--help": true, "-h": true}
	for _, m := range helpFlag.FindAllStringSubmatch(help, -1) {
		flags[m[1]] = true
	}
	return flags
}

// commandsOf reads the names under COMMANDS.
func commandsOf(help string) []string {
	_, section, ok := strings.Cut(help, "COMMANDS:\n")
	if !ok {
		return nil
	}
	section, _, _ = strings.Cut(section, "\n\n")
	var names []string
	for _, m := range helpCommand.FindAllStringSubmatch(section, -1) {
		names = append(names, m[1])
	}
	return names
}

// call is one use of a program in a document.
type call struct {
	where string
	words []string // what follows the program's name, up to -- or the end
}

var (
	fenced = regexp.MustCompile("(?ms)^```[a-z]*\n(.*?)^```$")
	span   = regexp.MustCompile("`([^`\n]+)`")
	prompt = regexp.MustCompile(`(?m)^\$ (.*)$`)
	// invoked finds programs where a shell would run one.
	invoked = regexp.MustCompile(`(?:^|[|;&]\s*|-- |credential_process = )(?:[A-Z_]+=\S+ )*(?:\S*/)?(broker-sandbox|broker)(?:\s([^|;&)\n]*)|$)`)
)

// calls finds the uses of one program in the code of a document: the lines of
// a fenced block, those after "$ " only if it has any, and spans.
func calls(name, text, program string) []call {
	var lines []string
	rest := fenced.ReplaceAllStringFunc(text, func(block string) string {
		body := fenced.FindStringSubmatch(block)[1]
		if typed := prompt.FindAllStringSubmatch(body, -1); typed != nil {
			for _, m := range typed {
				lines = append(lines, m[1])
			}
		} else {
			lines = append(lines, strings.Split(body, "\n")...)
		}
		return ""
	})
	for _, m := range span.FindAllStringSubmatch(rest, -1) {
		lines = append(lines, m[1])
	}
	var found []call
	for _, line := range lines {
		line, _, _ = strings.Cut(strings.TrimSpace(line), " #")
		for _, m := range invoked.FindAllStringSubmatch(strings.ReplaceAll(line, "$(", ";"), -1) {
			if m[1] != program {
				continue
			}
			words := strings.Fields(m[2])
			if i := slices.Index(words, "--"); i >= 0 {
				words = words[:i]
			}
			found = append(found, call{fmt.Sprintf("%s: %q", name, line), words})
		}
	}
	return found
}

// command returns the longest command of the manual that a call begins with.
func (m manual) command(words []string) (name string, ok bool) {
	for n := min(2, len(words)); n >= 0; n-- {
		name = strings.Join(words[:n], " ")
		if _, ok := m[name]; ok {
			return name, n > 0 || len(words) == 0 || strings.HasPrefix(words[0], "-")
		}
	}
	return "", false
}

// wrongCalls finds calls of commands and flags that do not exist.
func wrongCalls(m manual, all []call) []string {
	var found []string
	for _, c := range all {
		if len(c.words) > 0 && c.words[0] == "COMMAND" {
			continue // any of them
		}
		name, ok := m.command(c.words)
		if !ok {
			found = append(found, fmt.Sprintf("%s: there is no command %s", c.where, strings.Join(c.words, " ")))
			continue
		}
		for _, word := range c.words {
			flag, _, _ := strings.Cut(strings.Trim(word, "[](),"), "=")
			if strings.HasPrefix(flag, "-") && !m[name][flag] && !m[""][flag] {
				found = append(found, fmt.Sprintf("%s: %s has no flag %s", c.where, name, flag))
			}
		}
	}
	return found
}

// unmentioned finds commands that no call names.
func unmentioned(m manual, all []call) []string {
	seen := map[string]bool{}
	for _, c := range all {
		name, _ := m.command(c.words)
		seen[name] = true
	}
	var found []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		parent := slices.ContainsFunc(slices.Collect(maps.Keys(m)), func(other string) bool {
			return strings.HasPrefix(other, name+" ")
		})
		if name != "" && !parent && !seen[name] {
			found = append(found, name+" is in no document")
		}
	}
	return found
}

// documents are the texts for users and readers, by name.
func documents(t *testing.T) map[string]string {
	t.Helper()
	docs := map[string]string{}
	for _, name := range list(t, ".md") {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		docs[name] = string(text)
	}
	for _, name := range []string{"README.md", "SECURITY.md", "CHANGELOG.md", "docs/architecture.md"} {
		if docs[name] == "" {
			t.Errorf("there is no %s", name)
		}
	}
	return docs
}

func TestDocumentsNameOnlyCommandsThatExist(t *testing.T) {
	t.Parallel()
	docs := documents(t)
	for _, program := range []string{"broker", "broker-sandbox"} {
		m := readManual(t, filepath.Join(programs(t), program))
		var all []call
		for name, text := range docs {
			all = append(all, calls(name, text, program)...)
		}
		for _, wrong := range slices.Concat(wrongCalls(m, all), unmentioned(m, all)) {
			t.Errorf("%s: %s", program, wrong)
		}
	}
}

// The README begins with the two commands that work on a fresh machine.
func TestReadmeBeginsWithTwoCommands(t *testing.T) {
	t.Parallel()
	block := fenced.FindStringSubmatch(documents(t)["README.md"])
	if block == nil {
		t.Fatal("README.md has no code")
	}
	var typed []string
	for _, line := range strings.Split(strings.TrimSpace(block[1]), "\n") {
		command, _, _ := strings.Cut(line, "#")
		typed = append(typed, strings.TrimSpace(command))
	}
	if want := []string{"make demo", "make test"}; !slices.Equal(typed, want) {
		t.Errorf("README.md begins with %q, want %q", typed, want)
	}
}

func TestDocumentsNameOnlyTargetsThatExist(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(makefile), "\n"); n > 60 {
		t.Errorf("the Makefile has %d lines, more than 60", n)
	}
	for name, text := range documents(t) {
		for _, m := range regexp.MustCompile("(?m)(?:`|^|\\$ )make ([a-z-]+)").FindAllStringSubmatch(text, -1) {
			if !regexp.MustCompile(`(?m)^` + m[1] + `:`).Match(makefile) {
				t.Errorf("%s: there is no target %s", name, m[1])
			}
		}
	}
}

// deadReferences finds links to files, names of Go files, functions (written
// with their parentheses) and tests that do not exist.
func deadReferences(name, text string, functions, files map[string]bool) []string {
	var found []string
	for _, m := range regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`).FindAllStringSubmatch(text, -1) {
		if target := path.Join(path.Dir(name), m[1]); !files[target] {
			found = append(found, fmt.Sprintf("%s: there is no file %s", name, target))
		}
	}
	function := regexp.MustCompile(`^(?:[a-z0-9]+\.)?(?:\(?\*?[A-Za-z]+\)?\.)?([A-Za-z0-9_]+)\(\)$`)
	for _, m := range span.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		code := m[1]
		switch {
		case strings.HasSuffix(code, ".go") && !strings.ContainsAny(code, " *"):
			if !files[code] {
				found = append(found, fmt.Sprintf("%s: there is no file %s", name, code))
			}
		case function.MatchString(code):
			if fn := function.FindStringSubmatch(code)[1]; !functions[fn] {
				found = append(found, fmt.Sprintf("%s: there is no function %s", name, fn))
			}
		}
	}
	for _, test := range regexp.MustCompile(`\bTest[A-Z][0-9]*[A-Za-z]\w+`).FindAllString(text, -1) {
		if !functions[test] {
			found = append(found, fmt.Sprintf("%s: there is no test %s", name, test))
		}
	}
	return found
}

// functionsOf names the functions, methods, and methods of interfaces of a tree.
func functionsOf(tr tree) map[string]bool {
	names := map[string]bool{}
	for _, s := range tr.sources {
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				names[n.Name.Name] = true
			case *ast.InterfaceType:
				for _, method := range n.Methods.List {
					for _, name := range method.Names {
						names[name.Name] = true
					}
				}
			}
			return true
		})
	}
	return names
}

func TestDocumentsNameOnlyCodeThatExists(t *testing.T) {
	t.Parallel()
	files := map[string]bool{}
	for _, name := range list(t, "") {
		files[name] = true
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			files[dir] = true
		}
	}
	functions := functionsOf(load(t))
	for name, text := range documents(t) {
		for _, dead := range deadReferences(name, text, functions, files) {
			t.Error(dead)
		}
	}
}

// The checks of this file, on documents that are wrong.
func TestDocumentChecksSee(t *testing.T) {
	t.Parallel()
	m := manual{
		"":            flagsOf("--version"),
		"add":         flagsOf("   --stdin  read it\n   --csv FILE, -c FILE"),
		"config":      flagsOf(""),
		"config list": flagsOf("--json"),
		"status":      flagsOf("--json"),
		"mfa":         flagsOf(""),
	}
	text := "```\n$ ./bin/broker add dev --stdin\nbroker says hello\n$ broker add --csx=f dev\n```\n" +
		"Use `broker explode`, or `broker exec` and `broker mfa $(broker config list --json)`, never `broker add -c x -- --csy`.\n" +
		"See [the code](broker/gone.go), `broker/flight.go`, `flight.join()`, `Leave()` and TestP99Nothing.\n"
	all := calls("x.md", text, "broker")
	want := []string{
		`x.md: "broker add --csx=f dev": add has no flag --csx`,
		`x.md: "broker explode": there is no command explode`,
		`x.md: "broker exec": there is no command exec`,
	}
	if got := wrongCalls(m, all); !slices.Equal(got, want) {
		t.Errorf("wrong calls %q, want %q", got, want)
	}
	if got, want := unmentioned(m, all), []string{"status is in no document"}; !slices.Equal(got, want) {
		t.Errorf("unmentioned %q, want %q", got, want)
	}
	dead := deadReferences("x.md", text, map[string]bool{"join": true}, map[string]bool{"broker/flight.go": true})
	wantDead := []string{
		"x.md: there is no file broker/gone.go",
		"x.md: there is no function Leave",
		"x.md: there is no test TestP99Nothing",
	}
	if !slices.Equal(dead, wantDead) {
		t.Errorf("dead references %q, want %q", dead, wantDead)
	}
}

func TestCommandsOf(t *testing.T) {
	t.Parallel()
	help := "NAME:\n   broker - keys\n\nCOMMANDS:\n   init      choose\n   list, ls  show\n   credential-process  print\n\nGLOBAL OPTIONS:\n   --help, -h  show help\n"
	if got, want := commandsOf(help), []string{"init", "list", "credential-process"}; !slices.Equal(got, want) {
		t.Errorf("commands %q, want %q", got, want)
	}
}

// docs/config.md shows every setting, and only what broker accepts.
func TestConfigPageIsComplete(t *testing.T) {
	t.Parallel()
	page := documents(t)["docs/config.md"]
	_, page, _ = strings.Cut(page, "\n## All of it\n")
	example := fenced.FindStringSubmatch(page)
	if example == nil {
		t.Fatal("docs/config.md has no example under All of it")
	}
	settings, err := awsconfig.ParseSettings("docs/config.md", []byte(example[1]))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range unset("", reflect.ValueOf(settings)) {
		t.Errorf("docs/config.md does not show %s", name)
	}
	var zero awsconfig.Settings
	if len(unset("", reflect.ValueOf(zero))) < 10 {
		t.Error("this test does not see fields that are not set")
	}
}

// unset names the fields of a struct, in depth, that have the zero value.
func unset(name string, v reflect.Value) []string {
	var names []string
	switch {
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			names = append(names, unset(name+"."+v.Type().Field(i).Name, v.Field(i))...)
		}
	case v.Kind() == reflect.Map && v.Len() > 0:
		for _, key := range v.MapKeys() {
			names = append(names, unset(name+"."+key.String(), v.MapIndex(key))...)
		}
	case v.IsZero():
		names = append(names, name)
	}
	return names
}
