// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"io/fs"
	"syscall"
	"time"
)

// changeTime returns when content, owner or mode of a file changed last
// (st_ctimespec, stat(2)).
func changeTime(info fs.FileInfo) time.Time {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return info.ModTime()
	}
	return time.Unix(st.Ctimespec.Unix())
}
