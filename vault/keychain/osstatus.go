// SPDX-License-Identifier: Apache-2.0

package keychain

import (
	"errors"
	"reflect"

	"credbroker/vault"
)

// osStatusKinds are the results of macOS's Security framework (SecBase.h) that
// say more than that something failed.
var osStatusKinds = map[int64]error{
	-128:   vault.ErrDenied,  // errSecUserCanceled
	-25291: vault.ErrGone,    // errSecNotAvailable: no keychain at all
	-25293: vault.ErrDenied,  // errSecAuthFailed
	-25294: vault.ErrGone,    // errSecNoSuchKeychain
	-25295: vault.ErrCorrupt, // errSecInvalidKeychain
	-25299: vault.ErrExists,  // errSecDuplicateItem
	-25307: vault.ErrGone,    // errSecNoDefaultKeychain
	-25308: vault.ErrLocked,  // errSecInteractionNotAllowed: locked, and nobody to ask
	-25315: vault.ErrLocked,  // errSecInteractionRequired
}

// osStatusKind reads the number out of an error of the library. Its type is an
// integer of a package that only a build with cgo has.
func osStatusKind(err error) error {
	for ; err != nil; err = errors.Unwrap(err) {
		if v := reflect.ValueOf(err); v.CanInt() {
			return osStatusKinds[v.Int()]
		}
	}
	return nil
}
