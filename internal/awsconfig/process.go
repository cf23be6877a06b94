// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"strings"
	"time"
)

// durationFlag is the helper's flag for the length of the credentials.
const durationFlag = "--duration="

// HelperLine returns the value of credential_process that makes SDKs ask the
// broker at an absolute path for a profile, whose credentials are to live for
// life; 0 leaves that to the profile. The last word is never quoted: the SDK
// for Go v2 strips the quotes of a value that starts and ends with one. The
// error is of CodeUsage: a name or path that SDKs do not agree about.
func HelperLine(broker, profile string, life time.Duration) (string, error) {
	if err := ValidProfileName(profile); err != nil {
		return "", err
	}
	if !isProgram(broker) {
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

// HelperCommand takes a credential_process apart that HelperLine, or a user
// after the same pattern, wrote: PROGRAM credential-process [--duration=DUR]
// [--profile] NAME, where the last part of PROGRAM is broker. It runs nothing.
func HelperCommand(process string) (program, profile string, ok bool) {
	words, err := splitWords(process)
	if err != nil || len(words) < 3 || words[1] != "credential-process" {
		return "", "", false
	}
	if base := words[0][strings.LastIndexByte(words[0], '/')+1:]; base != "broker" {
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
