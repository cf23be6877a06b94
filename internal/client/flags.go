// SPDX-License-Identifier: Apache-2.0

package client

import (
	"slices"
	"strings"
)

// Verb is what a command line is read against: a command's name and flags.
type Verb struct {
	Name        string
	Aliases     []string
	Flags       []FlagNames
	Subcommands []Verb
}

// FlagNames are the names of one flag, without dashes; the first is the one that
// it is known by.
type FlagNames struct {
	Names    []string
	IsSwitch bool // it stands without a value
}

// has reports whether it is the flag of that name.
func (f FlagNames) has(name string) bool { return slices.Contains(f.Names, name) }

// Line is a command line taken apart by the flag rule: flags may stand
// anywhere before "--", a word never turns into a flag nor a flag into a word,
// and what exec runs is handed over untouched.
//
// The library of the command line stops reading flags at the first word and drops
// "--" without a trace, so it is given the flags alone and the words stay here.
type Line struct {
	Path  []string // the command, and its subcommand if it has them
	Flags []string // in a form that the library parses: --name or --name=value
	Words []string // the arguments of every command but exec's child
	Child []string // exec only: what to run, and its arguments
	Bare  bool     // exec only: Child stood without "--" before it
}

// LineParser reads one command line against a table of commands.
type LineParser struct {
	Commands []Verb
	// IsProfile tells exec, when there is no "--", whether its first word
	// names a profile or begins the child's command line.
	IsProfile func(name string) bool
}

// Parse takes args apart. Its errors are of code usage and name the nearest
// command or flag; the line then has at least the path as far as it was read.
func (p LineParser) Parse(args []string) (Line, error) {
	head, rest, dashed := args, []string(nil), false
	if i := slices.Index(args, "--"); i >= 0 {
		head, rest, dashed = args[:i], args[i+1:], true
	}
	var l Line
	for len(head) > 0 && head[0] == "help" { // broker help exec = broker exec --help
		head, l.Flags = head[1:], []string{"--help"}
	}
	leaf, err := p.read(&l, head, dashed)
	if err != nil {
		return l, err
	}
	if err := checkFlags(l, leaf); err != nil {
		return l, err
	}
	switch {
	case len(rest) > 0 && (leaf == nil || len(leaf.Subcommands) > 0):
		return l, Usagef("there is no command before --")
	case leaf == nil || leaf.Name != ExecName:
		l.Words = append(l.Words, rest...)
	case dashed:
		l.Child = rest
	}
	return l, nil
}

// read takes apart what stands before "--" and returns the command.
func (p LineParser) read(l *Line, head []string, dashed bool) (leaf *Verb, err error) {
	for i := 0; i < len(head); i++ {
		switch {
		case isFlag(head[i]):
			used, err := p.flag(l, leaf, head[i:])
			if err != nil {
				return nil, err
			}
			i += used - 1
		case leaf == nil || len(leaf.Subcommands) > 0:
			if leaf, err = p.descend(leaf, head[i]); err != nil {
				return nil, err
			}
			l.Path = append(l.Path, leaf.Name)
		case leaf.Name == ExecName && !dashed && p.childBegins(*l, head[i:]):
			l.Child, l.Bare = head[i:], true
			return leaf, nil
		default:
			l.Words = append(l.Words, head[i])
		}
	}
	return leaf, nil
}

// childBegins reports whether the first of tail begins the child's command
// line, where everything belongs to the child, its flags included.
func (p LineParser) childBegins(l Line, tail []string) bool {
	switch {
	case len(l.Words) > 0 || l.Has("profile"):
		return true
	case len(tail) == 1:
		return false
	default:
		return !p.IsProfile(tail[0])
	}
}

// value returns the value of a flag, the last one if it was given again, and
// whether it was given. The names of l's flags are their first ones.
func (l Line) value(name string) (value string, given bool) {
	for _, f := range l.Flags {
		if v, ok := strings.CutPrefix(f, "--"+name+"="); ok {
			value, given = v, true
		}
	}
	return value, given
}

// Has reports whether a flag was given.
func (l Line) Has(name string) bool {
	return slices.ContainsFunc(l.Flags, func(f string) bool {
		return f == "--"+name || strings.HasPrefix(f, "--"+name+"=")
	})
}

// isFlag reports whether a word of the command line is a flag. "-" is a word.
func isFlag(word string) bool { return len(word) > 1 && word[0] == '-' }

// flag reads the flag at the head of tail, with its value, into l and returns
// how many words it took. Before the command is known every command's flags
// are; checkFlags looks again when it is.
func (p LineParser) flag(l *Line, leaf *Verb, tail []string) (int, error) {
	given, value, hasValue := strings.Cut(tail[0], "=")
	known := flagsOf(leaf)
	if leaf == nil || len(leaf.Subcommands) > 0 {
		known = AllFlags(p.Commands)
	}
	flag := findFlag(known, strings.TrimLeft(given, "-"))
	if flag == nil {
		return 0, unknownFlag(given, known)
	}
	name := "--" + flag.Names[0]
	switch {
	case flag.IsSwitch && hasValue:
		return 0, Usagef("flag %s takes no value", given)
	case flag.IsSwitch:
		l.Flags = append(l.Flags, name)
		return 1, nil
	case hasValue:
		l.Flags = append(l.Flags, name+"="+value)
		return 1, nil
	case len(tail) < 2:
		return 0, Usagef("flag %s needs a value", given)
	}
	l.Flags = append(l.Flags, name+"="+tail[1])
	return 2, nil
}

// checkFlags refuses a flag that stood before the command and is not one of
// the command's own.
func checkFlags(l Line, leaf *Verb) error {
	for _, given := range l.Flags {
		name, _, _ := strings.Cut(given, "=")
		if findFlag(flagsOf(leaf), strings.TrimLeft(name, "-")) == nil {
			return unknownFlag(name, flagsOf(leaf))
		}
	}
	return nil
}

// descend returns the command that word names under parent.
func (p LineParser) descend(parent *Verb, word string) (*Verb, error) {
	commands := p.Commands
	if parent != nil {
		commands = parent.Subcommands
	}
	err := Usagef("unknown command %q", word)
	var names []string
	for i := range commands {
		its := append([]string{commands[i].Name}, commands[i].Aliases...)
		if slices.Contains(its, word) {
			return &commands[i], nil
		}
		names = append(names, its...)
	}
	err.Hint = didYouMean(word, names)
	return nil, err
}

// globalFlags are the flags of broker itself; help is every command's too.
func globalFlags() []FlagNames {
	return []FlagNames{{Names: []string{"help", "h"}, IsSwitch: true}, {Names: []string{"version"}, IsSwitch: true}}
}

// flagsOf returns the flags that a command takes; nil is broker itself.
func flagsOf(c *Verb) []FlagNames {
	if c == nil {
		return globalFlags()
	}
	return append(slices.Clone(c.Flags), globalFlags()[0])
}

// AllFlags returns the flags of every command. Commands agree on whether a
// flag takes a value; a test holds them to it.
func AllFlags(commands []Verb) []FlagNames {
	flags := globalFlags()
	for _, c := range commands {
		flags = append(flags, c.Flags...)
		flags = append(flags, AllFlags(c.Subcommands)...)
	}
	return flags
}

// findFlag returns the flag of that name, or nil.
func findFlag(flags []FlagNames, name string) *FlagNames {
	if i := slices.IndexFunc(flags, func(f FlagNames) bool { return f.has(name) }); i >= 0 {
		return &flags[i]
	}
	return nil
}

// unknownFlag is the refusal of a flag that is in no table.
func unknownFlag(given string, known []FlagNames) error {
	err := Usagef("unknown flag %s", given)
	var names []string
	for _, f := range known {
		names = append(names, "--"+f.Names[0])
	}
	err.Hint = didYouMean("--"+strings.TrimLeft(given, "-"), names)
	return err
}

// didYouMean is the hint for a name that is in no table: the one that it
// begins, or of which it is one slip away. Without one it is "".
func didYouMean(given string, names []string) string {
	for _, name := range names {
		if given != "" && strings.HasPrefix(name, given) || oneSlip(given, name) {
			return "did you mean " + name + "?"
		}
	}
	return ""
}

// oneSlip reports whether a and b differ by one letter that is missing, added,
// another, or swapped with its neighbour.
func oneSlip(a, b string) bool {
	for a != "" && b != "" && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	swapped := len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0]
	return len(a) <= 1 && len(b) <= 1 || swapped
}
