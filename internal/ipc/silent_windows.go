// SPDX-License-Identifier: Apache-2.0

package ipc

import "net"

// isSilent reports whether nothing that conn was sent waits to be read. A pipe
// cannot be asked: whoever's request was not read yet may be told to come back.
func isSilent(net.Conn) bool { return true }
