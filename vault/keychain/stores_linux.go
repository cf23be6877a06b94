// SPDX-License-Identifier: Apache-2.0

package keychain

func openers() map[string]opener {
	return map[string]opener{File: openFile, SecretService: openSecretService, Pass: openPass}
}
