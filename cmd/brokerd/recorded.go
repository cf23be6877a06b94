// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io/fs"
	"slices"
	"strings"

	"credbroker/internal/ipc"
	"credbroker/internal/paths"
)

// recordedEnviron returns what an mfa_command is given: the environment that
// broker init recorded in the file at path, or, where there is none or it
// cannot be believed, own, which commandEnviron made of ours. The error says
// why it cannot be believed.
func recordedEnviron(path string, own []string, uid int) ([]string, error) {
	recorded, err := paths.ReadEnvironment(path)
	if errors.Is(err, fs.ErrNotExist) {
		return own, nil
	}
	if err != nil {
		return own, err
	}
	return mergeEnviron(recorded, own, uid), nil
}

// mergeEnviron returns recorded, but for what dies with a login session: the
// display, which is ours if we have one, and the bus, which is ours if the
// recorded one is gone. HOME and PATH are there in any case.
func mergeEnviron(recorded, own []string, uid int) []string {
	display := []string{"DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY"}
	newer := slices.ContainsFunc(own, func(entry string) bool { return slices.Contains(display[:2], nameOf(entry)) })
	out := slices.DeleteFunc(slices.Clone(recorded), func(entry string) bool {
		name, value, _ := strings.Cut(entry, "=")
		return newer && slices.Contains(display, name) ||
			name == sessionBus && ipc.SessionBus("", value, uid) == ""
	})
	for _, entry := range own {
		name := nameOf(entry)
		wanted := slices.Contains([]string{"HOME", "PATH", sessionBus}, name) || newer && slices.Contains(display, name)
		if wanted && !slices.ContainsFunc(out, func(have string) bool { return nameOf(have) == name }) {
			out = append(out, entry)
		}
	}
	return out
}

func nameOf(entry string) string {
	name, _, _ := strings.Cut(entry, "=")
	return name
}
