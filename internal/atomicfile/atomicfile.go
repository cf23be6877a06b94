// SPDX-License-Identifier: Apache-2.0

// Package atomicfile replaces small files whole and reads them with suspicion.
//
// After a crash, a power cut or a full disk the old content is still there, or
// the new one is: never a part of either. Neither function follows a symbolic
// link in the last element of a path, and Read believes no file that another
// user could have written.
package atomicfile

import "errors"

// ErrUnsafe is wrapped when a path is not what a private file must be: a
// regular file of this user, with one name, that nobody else may write.
var ErrUnsafe = errors.New("not a private file")

// ErrTooLarge is wrapped when a file is longer than the reader allows.
var ErrTooLarge = errors.New("file is too large")
