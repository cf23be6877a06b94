// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// listProcesses returns the processes of uid.
func listProcesses(proc string, uid int) ([]process, error) {
	found, err := os.ReadDir(proc)
	if err != nil {
		return nil, err
	}
	var list []process
	for _, entry := range found {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		dir := filepath.Join(proc, entry.Name())
		if owner, ok := ownerOf(dir); !ok || owner != uid {
			continue
		}
		p, ok := readProcess(dir, pid)
		if ok {
			list = append(list, p)
		}
	}
	return list, nil
}

// readProcess reads one process. One that has ended meanwhile is none.
func readProcess(dir string, pid int) (process, bool) {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return process{}, false
	}
	// The name of the program, in parentheses, may hold blanks and parentheses.
	i := bytes.LastIndexByte(stat, ')')
	fields := strings.Fields(string(stat[i+1:]))
	if i < 0 || len(fields) < 20 {
		return process{}, false
	}
	session, err := strconv.Atoi(fields[3])
	start, err2 := strconv.ParseUint(fields[19], 10, 64)
	if err != nil || err2 != nil {
		return process{}, false
	}
	p := process{pid: pid, session: session, start: start}
	environ, err := os.ReadFile(filepath.Join(dir, "environ"))
	if err == nil {
		p.environ = append([]byte{}, environ...)
	}
	return p, true
}

// ownerOf returns the uid of a file.
func ownerOf(path string) (int, bool) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}
