// SPDX-License-Identifier: Apache-2.0

//go:build !linux && !darwin && !windows

package keychain

func openers() map[string]opener {
	return map[string]opener{File: openFile, Pass: openPass}
}
