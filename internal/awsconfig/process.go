// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"strings"
	"time"

	"credbroker/internal/secret"
)

// durationFlag is the helper's flag for the length of the credentials.
const durationFlag = "--duration="

// HelperLine returns the value of credential_process that makes SDKs ask the
// broker at an absolute path for a profile, whose credentials are to live for
// life; 0 leaves that to the profile. The last word is never quoted: the SDK
// for Go v2 strips the quotes of a value that starts and ends with one. The
// error is of CodeUsage: a name or path that SDKs do not agree about.
func HelperLine(broker, profile string, life time.Duration) (string, error) {
	return helperLine(broker, profile, life, onWindows)
}

func helperLine(broker, profile string, life time.Duration, windows bool) (string, error) {
	if err := ValidProfileName(profile); err != nil {
		return "", err
	}
	if !isProgram(broker, windows) {
		return "", (&Error{Code: CodeUsage, Message: "the path of broker cannot be written into an AWS config: " + show(broker)}).
			hint("install broker under an absolute path of letters, digits and - _ . /")
	}
	if strings.Contains(broker, " ") {
		broker = `"` + broker + `"`
	}
	if life > 0 {
		profile = durationFlag + formatDuration(life) + " " + profile
	}
	return broker + " credential-process " + profile, nil
}

// isProcess reports whether the value of a key, in lower case, is a command line
// that makes credentials or codes, in force or put aside.
func isProcess(key string) bool {
	key = strings.TrimPrefix(strings.TrimPrefix(key, parkedPrefix), "was_")
	return key == processKey || key == "mfa_process"
}

// shownProcess returns a command line as it may be shown: whole if it asks
// broker, else the program alone. What follows may be a password, or the seed of
// an MFA device.
func shownProcess(value string) string {
	value = strings.TrimSpace(value)
	if _, _, ours := HelperCommand(value); ours {
		return value
	}
	end := strings.IndexAny(value, " \t\r\n")
	if strings.HasPrefix(value, `"`) {
		end = strings.IndexByte(value[1:], '"') + 2
	}
	switch {
	case end < 0:
		end = len(value)
	case end < 2: // a quote without an end
		return secret.Redacted
	}
	program := value[:end]
	if strings.Contains(program, "=") { // a variable before it
		return secret.Redacted
	}
	if end < len(value) {
		program += " " + secret.Redacted
	}
	return program
}

// HelperCommand takes a credential_process apart that HelperLine, or a user
// after the same pattern, wrote: PROGRAM credential-process [--duration=DUR]
// [--profile] NAME, where the last part of PROGRAM is broker. It runs nothing.
func HelperCommand(process string) (program, profile string, ok bool) {
	return helperCommand(process, onWindows)
}

func helperCommand(process string, windows bool) (program, profile string, ok bool) {
	words, ok := helperWords(process, windows)
	if !ok || len(words) < 3 || words[1] != "credential-process" || !isBroker(words[0], windows) {
		return "", "", false
	}
	args := words[2:]
	if strings.HasPrefix(args[0], durationFlag) {
		args = args[1:]
	}
	switch {
	case len(args) == 2 && (args[0] == "--profile" || args[0] == "-p" || args[0] == "--"):
		profile = args[1]
	case len(args) == 1:
		profile = strings.TrimPrefix(args[0], "--profile=")
	default:
		return "", "", false
	}
	if ValidProfileName(profile) != nil {
		return "", "", false
	}
	return words[0], profile, true
}

// helperWords splits a credential_process as SDKs do on this system. On Windows
// a backslash is one, and only double quotes are quotes.
func helperWords(process string, windows bool) ([]string, bool) {
	if !windows {
		words, err := splitWords(process)
		return words, err == nil
	}
	if strings.Contains(process, `\"`) { // which escapes the quote: no path of broker's has one
		return nil, false
	}
	words, err := splitWords(strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(process))
	return words, err == nil
}

// isBroker reports whether a path is one of a program called broker.
func isBroker(path string, windows bool) bool {
	if !windows {
		return path[strings.LastIndexByte(path, '/')+1:] == "broker"
	}
	base := strings.ToLower(path[strings.LastIndexAny(path, `/\:`)+1:])
	return base == "broker" || base == "broker.exe"
}

// isProgram accepts the paths that the SDKs of this system take for one word
// when they stand in double quotes, and without quotes when they have no blank:
// sh, shlex and the SDKs' own splitters; on Windows cmd, which needs a drive and
// backslashes.
func isProgram(path string, windows bool) bool {
	root, more := "/", "/"
	if windows {
		if len(path) < 4 || !only(path[:1], wordChars) {
			return false
		}
		root, more, path = `:\`, `\`, path[1:]
	}
	rest, ok := strings.CutPrefix(path, root)
	if !windows {
		more += ":"
	}
	return ok && only(rest, wordChars+".,+@= -"+more) && !strings.HasPrefix(rest, " ") && !strings.HasSuffix(rest, " ")
}
