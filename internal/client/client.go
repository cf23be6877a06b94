// SPDX-License-Identifier: Apache-2.0

// Package client is what broker and broker-cli are made of: the conversation with
// brokerd, which is started if need be, the terminal on which it asks, the helper
// of SDKs, exec, and how a failure is told. It links neither the library of the
// command line nor anything that only one command needs: what stands here every
// call of an SDK carries.
package client

import (
	"io"
	"os"
	"strings"
	"time"

	"credbroker/internal/awsconfig"
	"credbroker/internal/paths"
)

// App is one run of a program of broker's command line: its surroundings. All
// fields are given; nothing here reads an environment or a clock by itself.
type App struct {
	Version string // of the release
	Exe     string // the path of the program; its siblings stand beside it
	Called  string // the path by which the program was started, its args[0]
	Env     []string
	Getenv  func(string) string
	UID     int
	Stdin   *os.File
	Stdout  io.Writer
	Stderr  io.Writer
	Now     func() time.Time

	// Inherited are the standard streams as the program has them, for what takes
	// its place where the system has no exec: a console is a console there, too.
	Inherited [3]*os.File
}

// Places returns where everything lives. It fails only on an environment that
// contradicts itself.
func (a *App) Places() (paths.Places, error) { return paths.Find(a.Getenv, a.UID) }

// OrText returns text, or otherwise if text is empty.
func OrText(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// ChosenProfile returns the profile that a command is about: the flag, the
// argument, AWS_PROFILE, "default".
func (a *App) ChosenProfile(command, flag string, given bool, words []string) (string, error) {
	switch {
	case given && flag == "":
		return "", Usagef("the profile is empty")
	case len(words) > 1:
		return "", Usagef("%s takes one profile, not %s", command, strings.Join(words, " "))
	case len(words) == 1 && flag != "" && words[0] != flag:
		return "", Usagef("%s is given two profiles, %s and %s", command, flag, words[0])
	case len(words) == 1:
		return words[0], awsconfig.ValidProfileName(words[0])
	case given:
		return flag, awsconfig.ValidProfileName(flag)
	}
	if name := a.Getenv("AWS_PROFILE"); name != "" {
		return name, awsconfig.ValidProfileName(name)
	}
	return awsconfig.DefaultProfile, nil
}
