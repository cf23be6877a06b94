// SPDX-License-Identifier: Apache-2.0

package main

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
	called string // the path by which the program was started, its args[0]
	env    []string
	getenv func(string) string
	uid    int
	stdin  *os.File
	stdout io.Writer
	stderr io.Writer
	now    func() time.Time
}

// version is the release, set by the linker.
var version = "0.0.0-dev"

// places returns where everything lives. It fails only on an environment that
// contradicts itself.
func (a *App) places() (paths.Places, error) { return paths.Find(a.getenv, a.uid) }

func orText(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// chosenProfile returns the profile that a command is about: the flag, the
// argument, AWS_PROFILE, "default".
func (a *App) chosenProfile(command, flag string, given bool, words []string) (string, error) {
	switch {
	case given && flag == "":
		return "", usagef("the profile is empty")
	case len(words) > 1:
		return "", usagef("%s takes one profile, not %s", command, strings.Join(words, " "))
	case len(words) == 1 && flag != "" && words[0] != flag:
		return "", usagef("%s is given two profiles, %s and %s", command, flag, words[0])
	case len(words) == 1:
		return words[0], awsconfig.ValidProfileName(words[0])
	case given:
		return flag, awsconfig.ValidProfileName(flag)
	}
	if name := a.getenv("AWS_PROFILE"); name != "" {
		return name, awsconfig.ValidProfileName(name)
	}
	return awsconfig.DefaultProfile, nil
}
