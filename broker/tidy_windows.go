// SPDX-License-Identifier: Apache-2.0

package broker

import "credbroker/internal/ipc"

// listProcesses returns the login sessions, each as a process that leads
// itself: Windows shows nobody the environment of another process, so an
// overlay stays as long as the session in which it was made.
func listProcesses(string, int) ([]process, error) {
	sessions, err := ipc.LoginSessions()
	if err != nil {
		return nil, err
	}
	list := make([]process, 0, len(sessions))
	for number, start := range sessions {
		list = append(list, process{pid: number, session: number, start: start, environ: []byte{}})
	}
	return list, nil
}
