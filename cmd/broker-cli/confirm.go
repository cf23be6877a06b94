// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"credbroker/internal/client"
)

// confirm asks a yes-or-no question; anything but y or yes is no. Without a
// terminal it is a usage error that names --yes.
func (a *app) confirm(ctx context.Context, question string) (bool, error) {
	t, ok := client.OpenTerminal()
	if !ok {
		err := client.Usagef("there is no terminal to ask on: %s", question)
		err.Hint = "add --yes to go ahead without being asked"
		return false, err
	}
	defer func() { _ = t.TTY.Close() }() // what was written is on the screen
	line, err := t.TTY.ReadLine(ctx, question+" [y/N] ")
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", nil
}
