// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
)

// verb is what a command line is read against: a command's name and flags.
type verb struct {
	name        string
	aliases     []string
	flags       []flagNames
	subcommands []verb
}

// flagNames are the names of one flag, without dashes; the first is the one that
// it is known by.
type flagNames struct {
	names    []string
	isSwitch bool // it stands without a value
}

func (f flagNames) has(name string) bool { return slices.Contains(f.names, name) }

// line is a command line taken apart by the flag rule: flags may stand
// anywhere before "--", a word never turns into a flag nor a flag into a word,
// and what exec runs is handed over untouched.
//
// The library of the command line stops reading flags at the first word and drops
// "--" without a trace, so it is given the flags alone and the words stay here.
type line struct {
	path  []string // the command, and its subcommand if it has them
	flags []string // in a form that the library parses: --name or --name=value
	words []string // the arguments of every command but exec's child
	child []string // exec only: what to run, and its arguments
}

// lineParser reads one command line against a table of commands.
type lineParser struct {
	commands []verb
	// isProfile tells exec, when there is no "--", whether its first word
	// names a profile or begins the child's command line.
	isProfile func(name string) bool
}

// parse takes args apart. Its errors are of code usage and name the nearest
// command or flag; the line then has at least the path as far as it was read.
func (p lineParser) parse(args []string) (line, error) {
	head, rest, dashed := args, []string(nil), false
	if i := slices.Index(args, "--"); i >= 0 {
		head, rest, dashed = args[:i], args[i+1:], true
	}
	var l line
	if len(head) > 0 && head[0] == "help" { // broker help exec = broker exec --help
		head, l.flags = head[1:], []string{"--help"}
	}
	leaf, err := p.read(&l, head, dashed)
	if err != nil {
		return l, err
	}
	if err := checkFlags(l, leaf); err != nil {
		return l, err
	}
	switch {
	case len(rest) > 0 && (leaf == nil || len(leaf.subcommands) > 0):
		return l, usagef("there is no command before --")
	case leaf == nil || leaf.name != execName:
		l.words = append(l.words, rest...)
	case dashed:
		l.child = rest
	}
	return l, nil
}

// read takes apart what stands before "--" and returns the command.
func (p lineParser) read(l *line, head []string, dashed bool) (leaf *verb, err error) {
	for i := 0; i < len(head); i++ {
		switch {
		case isFlag(head[i]):
			used, err := p.flag(l, leaf, head[i:])
			if err != nil {
				return nil, err
			}
			i += used - 1
		case leaf == nil || len(leaf.subcommands) > 0:
			if leaf, err = p.descend(leaf, head[i]); err != nil {
				return nil, err
			}
			l.path = append(l.path, leaf.name)
		case leaf.name == execName && !dashed && p.childBegins(*l, head[i:]):
			l.child = head[i:]
			return leaf, nil
		default:
			l.words = append(l.words, head[i])
		}
	}
	return leaf, nil
}

// childBegins reports whether the first of tail begins the child's command
// line, where everything belongs to the child, its flags included.
func (p lineParser) childBegins(l line, tail []string) bool {
	switch {
	case len(l.words) > 0 || l.has("profile"):
		return true
	case len(tail) == 1:
		return false
	default:
		return !p.isProfile(tail[0])
	}
}

// value returns the value of a flag, the last one if it was given again, and
// whether it was given. The names of l's flags are their first ones.
func (l line) value(name string) (value string, given bool) {
	for _, f := range l.flags {
		if v, ok := strings.CutPrefix(f, "--"+name+"="); ok {
			value, given = v, true
		}
	}
	return value, given
}

// has reports whether a flag was given.
func (l line) has(name string) bool {
	return slices.ContainsFunc(l.flags, func(f string) bool {
		return f == "--"+name || strings.HasPrefix(f, "--"+name+"=")
	})
}

// isFlag reports whether a word of the command line is a flag. "-" is a word.
func isFlag(word string) bool { return len(word) > 1 && word[0] == '-' }

// flag reads the flag at the head of tail, with its value, into l and returns
// how many words it took. Before the command is known every command's flags
// are; checkFlags looks again when it is.
func (p lineParser) flag(l *line, leaf *verb, tail []string) (int, error) {
	given, value, hasValue := strings.Cut(tail[0], "=")
	known := flagsOf(leaf)
	if leaf == nil || len(leaf.subcommands) > 0 {
		known = allFlags(p.commands)
	}
	flag := findFlag(known, strings.TrimLeft(given, "-"))
	if flag == nil {
		return 0, unknownFlag(given, known)
	}
	name := "--" + flag.names[0]
	switch {
	case flag.isSwitch && hasValue:
		return 0, usagef("flag %s takes no value", given)
	case flag.isSwitch:
		l.flags = append(l.flags, name)
		return 1, nil
	case hasValue:
		l.flags = append(l.flags, name+"="+value)
		return 1, nil
	case len(tail) < 2:
		return 0, usagef("flag %s needs a value", given)
	}
	l.flags = append(l.flags, name+"="+tail[1])
	return 2, nil
}

// checkFlags refuses a flag that stood before the command and is not one of
// the command's own.
func checkFlags(l line, leaf *verb) error {
	for _, given := range l.flags {
		name, _, _ := strings.Cut(given, "=")
		if findFlag(flagsOf(leaf), strings.TrimLeft(name, "-")) == nil {
			return unknownFlag(name, flagsOf(leaf))
		}
	}
	return nil
}

// descend returns the command that word names under parent.
func (p lineParser) descend(parent *verb, word string) (*verb, error) {
	commands := p.commands
	if parent != nil {
		commands = parent.subcommands
	}
	err := usagef("unknown command %q", word)
	var names []string
	for i := range commands {
		its := append([]string{commands[i].name}, commands[i].aliases...)
		if slices.Contains(its, word) {
			return &commands[i], nil
		}
		names = append(names, its...)
	}
	err.Hint = didYouMean(word, names)
	return nil, err
}

// globalFlags are the flags of broker itself; help is every command's too.
func globalFlags() []flagNames {
	return []flagNames{{names: []string{"help", "h"}, isSwitch: true}, {names: []string{"version"}, isSwitch: true}}
}

// flagsOf returns the flags that a command takes; nil is broker itself.
func flagsOf(c *verb) []flagNames {
	if c == nil {
		return globalFlags()
	}
	return append(slices.Clone(c.flags), globalFlags()[0])
}

// allFlags returns the flags of every command. Commands agree on whether a
// flag takes a value; a test holds them to it.
func allFlags(commands []verb) []flagNames {
	flags := globalFlags()
	for _, c := range commands {
		flags = append(flags, c.flags...)
		flags = append(flags, allFlags(c.subcommands)...)
	}
	return flags
}

// findFlag returns the flag of that name, or nil.
func findFlag(flags []flagNames, name string) *flagNames {
	if i := slices.IndexFunc(flags, func(f flagNames) bool { return f.has(name) }); i >= 0 {
		return &flags[i]
	}
	return nil
}

// unknownFlag is the refusal of a flag that is in no table.
func unknownFlag(given string, known []flagNames) error {
	err := usagef("unknown flag %s", given)
	var names []string
	for _, f := range known {
		names = append(names, "--"+f.names[0])
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
