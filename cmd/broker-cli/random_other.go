// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import "crypto/rand"

// random fills bits.
func random(bits []byte) error {
	_, err := rand.Read(bits)
	return err
}
