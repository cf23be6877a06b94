// SPDX-License-Identifier: Apache-2.0

package keychain

func foreignOpeners() map[string]foreignOpener {
	return map[string]foreignOpener{File: openForeignFile, Keychain: openForeignKeychain, Pass: openForeignPass}
}
