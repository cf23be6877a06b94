// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"slices"
	"strings"

	"credbroker/internal/client"

	"github.com/urfave/cli/v2"
)

// exportOptions is the command line of broker export.
type exportOptions struct {
	profile string
	format  string
	life    client.Lifespan
}

func newExportCommand(a *app) *cli.Command {
	return &cli.Command{
		Name:      "export",
		Usage:     "print temporary credentials for a shell or a file",
		UsageText: "broker export [PROFILE | -p PROFILE] [--format FORMAT | --json] [-d DUR]",
		Description: about(`For what can neither run a credential_process nor be started by broker exec.
The credentials end when AWS says, and nothing renews them. The formats for
shells also unset what would outrank them, AWS_PROFILE first.`,
			`eval "$(broker export dev)"`),
		Flags: []cli.Flag{
			profileFlag(),
			&cli.StringFlag{Name: "format", Value: formatEnv, Usage: "the `FORMAT`: " + strings.Join(exportFormats(), ", ")},
			switchFlag("json", "the same as --format json"),
			durationFlag(),
		},
		Action: func(c *cli.Context) error {
			opts := exportOptions{format: c.String("format")}
			var err error
			if opts.profile, err = a.profile(c, a.line.Words); err != nil {
				return err
			}
			if c.Bool("json") {
				if c.IsSet("format") && opts.format != formatJSON {
					return client.Usagef("export takes --format or --json, not both")
				}
				opts.format = formatJSON
			}
			if !slices.Contains(exportFormats(), opts.format) {
				return client.WithHint(client.Usagef("export has no format %q", opts.format), "the formats: "+strings.Join(exportFormats(), ", "))
			}
			if opts.life, err = client.ParseLife(c.String("duration"), c.IsSet("duration")); err != nil {
				return err
			}
			return a.export(c.Context, opts)
		},
	}
}

// export writes standard output once and whole, or not at all.
func (a *app) export(ctx context.Context, opts exportOptions) error {
	handed, err := a.HandOver(ctx, opts.profile, opts.life)
	if err != nil {
		return err
	}
	if opts.format == formatJSON {
		document, err := handed.Credentials.Encode()
		if err != nil {
			return err
		}
		_, err = a.Stdout.Write(document)
		return err
	}
	text, err := exportText(opts.format, opts.profile, handed.Environ())
	if err != nil {
		return err
	}
	_, err = io.WriteString(a.Stdout, text)
	return err
}
