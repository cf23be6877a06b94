// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/urfave/cli/v2"

	"credbroker/internal/client"
)

// newHelperCommand is the helper's entry in the help; broker runs it without
// broker-cli.
func newHelperCommand(a *app) *cli.Command {
	return &cli.Command{
		Name:      client.HelperName,
		Usage:     "print credentials for an AWS SDK",
		UsageText: "broker credential-process {PROFILE | --profile PROFILE} [--duration DUR]",
		Description: about(`Prints one credential_process document, or nothing and one line of error.
Needs its profile and looks at no AWS_* variable. Put it into ~/.aws/config.`,
			"credential_process = /usr/bin/broker credential-process dev"),
		Flags: []cli.Flag{namedProfileFlag(), durationFlag()},
	}
}

// helperArgs is the helper's command line again when flags stood before the
// command's name.
func (a *app) helperArgs() []string { return append(a.line.Flags, a.line.Words...) }
