// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"slices"
	"syscall"

	"github.com/urfave/cli/v2"

	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

const execName = "exec"

// modeProfile is the way in which the child is given its credentials: it asks
// for them itself.
const modeProfile = "profile"

func newExecCommand(a *app) *cli.Command {
	return &cli.Command{
		Name:      execName,
		Usage:     "run a command with a profile's credentials",
		UsageText: "broker exec [PROFILE | -p PROFILE] [--mode profile] [--] [COMMAND [ARGUMENTS]]",
		Description: aboutExit(`The command finds its credentials through AWS_PROFILE and asks broker again
when they run out; no credential is put into its environment. What follows --
is handed over untouched. Without a command it is your shell.`,
			"broker exec dev -- terraform plan", execStatusSummary),
		Flags: []cli.Flag{
			profileFlag(),
			&cli.StringFlag{Name: "mode", Value: modeProfile, Usage: "the `MODE` of handing credentials over; this release has one"},
		},
		Action: func(c *cli.Context) error {
			profile, err := a.profile(c, a.line.words)
			if err != nil {
				return err
			}
			if mode := c.String("mode"); mode != modeProfile {
				return withHint(usagef("exec has no mode %q", mode), "the modes: "+modeProfile)
			}
			return a.exec(c.Context, profile, a.childOrShell())
		},
	}
}

// childOrShell is what exec runs: the command line's child, else the user's
// shell.
func (a *app) childOrShell() []string {
	if len(a.line.child) > 0 {
		return a.line.child
	}
	return []string{orText(a.getenv("SHELL"), "/bin/sh")}
}

// execStatus gives an error its exit status where the command is exec, whose
// own statuses must not be taken for the child's.
func (a *app) execStatus(err error) error {
	var own *statusError
	if len(a.line.path) == 0 || a.line.path[0] != execName || errors.As(err, &own) {
		return err
	}
	if _, status := failure(err); status == exitUsage || status == exitInterrupted {
		return err
	}
	return &statusError{exitExecFailed, err}
}

// exec becomes the child. It returns only if that fails.
func (a *app) exec(ctx context.Context, profile string, argv []string) error {
	var serves ipc.Serves
	if err := a.call(ctx, ipc.OpServes, nil, &serves); err != nil {
		return err
	}
	config, err := a.sharedConfig(serves)
	if err != nil {
		return err
	}
	if !slices.Contains(serves.Profiles, profile) {
		return a.unserved(config, profile)
	}
	if err := checkOutranked(config, profile); err != nil {
		return err
	}
	path, err := lookPath(argv[0])
	if err != nil {
		return err
	}
	if err := a.prime(ctx, profile); err != nil {
		return err
	}
	file, err := a.overlay(config, serves, profile)
	if err != nil {
		return err
	}
	if file == "" && a.getenv("AWS_CONFIG_FILE") != "" {
		file = config.Files().Config // the overlay of an exec around this one ends here
	}
	err = syscall.Exec(path, argv, childEnv(a.env, profile, file))
	return notRun(argv[0], err)
}

// prime makes the session in the foreground, where a code can be asked for:
// the child's helper may have no terminal. The credentials are not kept.
func (a *app) prime(ctx context.Context, profile string) error {
	req := ipc.Request{Op: ipc.OpCredentials, Ask: ipc.AskTTY}
	var surface ipc.Surface = bystander{a.stderr}
	if t, ok := openTerminal(); ok {
		req.Ask, surface = ipc.AskTerminal, t
	}
	_, err := a.converse(ctx, req, ipc.CredentialsParams{Profile: profile}, surface)
	return err
}

// unserved says why broker has no credentials for a profile.
func (a *app) unserved(config *awsconfig.Config, profile string) error {
	keys, err := a.storedKeys()
	if err != nil {
		return err
	}
	if _, err := config.Route(profile, lookup(keys)); err != nil {
		return err
	}
	return errorf(ipc.CodeNoKey, "no key is stored for profile %s", profile)
}

// lookPath finds the child's program as execvp(3) does.
func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil || errors.Is(err, exec.ErrDot) {
		return path, nil
	}
	return "", notRun(name, err)
}

// notRun is the failure to start the child, with the status that shells give it.
func notRun(name string, err error) error {
	var inner *exec.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return &statusError{exitExecNotFound, fmt.Errorf("run %s: command not found", name)}
	}
	return &statusError{exitExecNotRun, fmt.Errorf("run %s: %w", name, err)}
}
