// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"

	"github.com/urfave/cli/v2"

	"credbroker/internal/ipc"
)

// versionInfo is the JSON of broker version.
type versionInfo struct {
	Version  string `json:"version"`
	Protocol int    `json:"protocol"`
	Go       string `json:"go"`
	Note     string `json:"note,omitempty"` // what this build lacks
}

func newVersionCommand(a *app) *cli.Command {
	return &cli.Command{
		Name:        "version",
		Usage:       "print the version",
		UsageText:   "broker version [--json]",
		Description: about("The version of this program. Starts no daemon.", "broker version"),
		Flags:       []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := a.noWords(c); err != nil {
				return err
			}
			info := versionInfo{Version: version, Protocol: ipc.Protocol, Go: runtime.Version(), Note: missingStore}
			if c.Bool("json") {
				return a.printJSON(info)
			}
			a.printf("broker %s\n", info.Version)
			if info.Note != "" {
				a.printf("%s\n", info.Note)
			}
			return nil
		},
	}
}
