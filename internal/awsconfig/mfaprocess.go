// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"errors"
	"strings"
)

// WithoutShell splits an mfa_process, which aws-vault has a shell run, into the
// words of an mfa_command, which none does. The error says why that would not
// be the same command; it quotes nothing of it, since a seed may be in it.
func WithoutShell(process string) ([]string, error) {
	if needsShell(process) {
		return nil, errors.New("needs a shell")
	}
	words, err := splitWords(process)
	switch {
	case err != nil:
		return nil, err
	case len(words) == 0:
		return nil, errors.New("is empty")
	case strings.Contains(words[0], "="): // a variable of the command
		return nil, errors.New("needs a shell")
	}
	return words, nil
}

// needsShell reports whether a shell would do more with a command than split it
// as splitWords does.
func needsShell(text string) bool {
	quote, before := byte(0), byte(' ')
	for i := range len(text) {
		b := text[i]
		switch {
		case quote == '\'':
			if b == '\'' {
				quote = 0
			}
		case strings.IndexByte("$`\\\n", b) >= 0: // a backslash does not mean the same to both everywhere
			return true
		case quote == '"':
			if b == '"' {
				quote = 0
			}
		case b == '\'' || b == '"':
			quote = b
		case strings.IndexByte("|&;<>()*?[]{}!", b) >= 0, strings.IndexByte("~#", b) >= 0 && isBlank(before):
			return true
		}
		before = b
	}
	return false
}

// CommandLine writes words as the value of mfa_command.
func CommandLine(words []string) string { return joinWords(words) }
