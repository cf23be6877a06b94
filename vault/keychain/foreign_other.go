// SPDX-License-Identifier: Apache-2.0

//go:build !linux && !darwin && !windows

package keychain

func foreignOpeners() map[string]foreignOpener {
	return map[string]foreignOpener{File: openForeignFile, Pass: openForeignPass}
}
