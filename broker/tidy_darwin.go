// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"time"

	"golang.org/x/sys/unix"
)

// listProcesses returns the processes of uid. macOS has no /proc: sysctl(3)
// tells. The environment of some, those of the system itself among them, is
// shown to nobody; none of those reads AWS files.
func listProcesses(_ string, uid int) ([]process, error) {
	found, err := unix.SysctlKinfoProcSlice("kern.proc.uid", uid)
	if err != nil {
		return nil, err
	}
	list := make([]process, 0, len(found))
	for i := range found {
		p := &found[i].Proc
		session, err := unix.Getsid(int(p.P_pid))
		if err != nil {
			continue // it has ended meanwhile
		}
		began := time.Unix(p.P_starttime.Sec, int64(p.P_starttime.Usec)*int64(time.Microsecond))
		environ, err := unix.SysctlRaw("kern.procargs2", int(p.P_pid))
		if err != nil {
			environ = nil
		}
		list = append(list, process{
			pid: int(p.P_pid), session: session, start: uint64(began.UnixMicro()), // after 1970
			environ: append([]byte{}, environ...),
		})
	}
	return list, nil
}
