// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// LoginSession names the login session of this process for good: by its
// number, and by when its first process began. Numbers are given out anew after
// a restart; times are not.
func LoginSession() (number int, start uint64, err error) {
	var id uint32
	if err := windows.ProcessIdToSessionId(uint32(os.Getpid()), &id); err != nil { // a pid of Windows has 32 bits
		return 0, 0, fmt.Errorf("find the login session: %w", err)
	}
	sessions, err := LoginSessions()
	if err != nil {
		return 0, 0, err
	}
	return int(id), sessions[int(id)], nil
}

// LoginSessions returns the sessions of this machine by their numbers, each
// with the time at which its first process began, as a FILETIME. That process
// lives as long as the session (Winlogon, or the system itself).
func LoginSessions() (map[int]uint64, error) {
	list, err := processes()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	sessions := map[int]uint64{}
	for offset := uint32(0); ; {
		p := (*windows.SYSTEM_PROCESS_INFORMATION)(unsafe.Pointer(&list[offset]))
		id, began := int(p.SessionID), uint64(p.CreateTime) // after 1601
		first, known := sessions[id]
		if !known || began < first {
			sessions[id] = began
		}
		if p.NextEntryOffset == 0 {
			return sessions, nil
		}
		offset += p.NextEntryOffset
	}
}

// processes returns what the system knows of every process.
func processes() ([]byte, error) {
	// Processes come and go between two calls: the next one needs more.
	for size := uint32(512 << 10); size <= 64<<20; size *= 2 {
		list := make([]byte, size)
		err := windows.NtQuerySystemInformation(windows.SystemProcessInformation, unsafe.Pointer(&list[0]), size, nil)
		if !errors.Is(err, windows.STATUS_INFO_LENGTH_MISMATCH) {
			return list, err
		}
	}
	return nil, errors.New("there are too many")
}
