// SPDX-License-Identifier: Apache-2.0

//go:build !linux && !darwin && !windows

package main

import "credbroker/internal/client"

const (
	nativeStore  = client.BackendFile // tried first by init
	missingStore = ""                 // why this build lacks the platform's own store
)

// backends are the stores of this platform, the best first.
func backends() []string { return []string{client.BackendFile, client.BackendPass} }
