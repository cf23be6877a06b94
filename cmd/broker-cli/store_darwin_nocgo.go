// SPDX-License-Identifier: Apache-2.0

//go:build darwin && !cgo

package main

import "credbroker/internal/client"

const (
	nativeStore  = client.BackendFile                                      // tried first by init
	missingStore = "this broker was built without cgo and has no Keychain" // why this build lacks the platform's own store
)

// backends are the stores of this platform, the best first.
func backends() []string { return []string{client.BackendFile, client.BackendPass} }
