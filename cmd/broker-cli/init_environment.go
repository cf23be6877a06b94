// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"credbroker/internal/paths"
)

// initEnvironment is the part of broker init's JSON that tells of the
// environment for mfa_command.
type initEnvironment struct {
	EnvironmentFile    string `json:"environmentFile"`
	EnvironmentChanged bool   `json:"environmentChanged"` // false: it was recorded already
}

// recordEnvironment notes what mfa_command is to be started with. It is init
// that does so, and every time: the daemon is started by whichever program asks
// first, from a cron job's environment or an editor's, and a code must be found
// there as it is in the user's shell.
func (a *app) recordEnvironment(p paths.Places) (initEnvironment, error) {
	changed, err := paths.WriteEnvironment(p.EnvironmentFile, a.Getenv)
	if err != nil {
		return initEnvironment{}, fmt.Errorf("record the environment for mfa_command: %w", err)
	}
	return initEnvironment{p.EnvironmentFile, changed}, nil
}

// printEnvironment says so if there is something new.
func (a *app) printEnvironment(e initEnvironment) {
	if e.EnvironmentChanged {
		a.printf("environment for mfa_command recorded: %s\n", e.EnvironmentFile)
	}
}
