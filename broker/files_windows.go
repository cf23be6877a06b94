// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"io/fs"
	"time"
)

// changeTime returns when the content of a file changed last. NTFS keeps a time
// of every change too, but tells it to nobody who has not opened the file.
func changeTime(info fs.FileInfo) time.Time { return info.ModTime() }
