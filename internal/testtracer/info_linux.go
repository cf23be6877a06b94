// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package testtracer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// syscallInfo is struct ptrace_syscall_info of ptrace(2).
type syscallInfo struct {
	op      uint8
	_       [3]uint8
	arch    uint32
	_       uint64 // instruction pointer
	_       uint64 // stack pointer
	details [8]uint64
}

// callInfo returns what the kernel says of the call that a thread stands at.
func callInfo(id int) (*syscallInfo, error) {
	var info syscallInfo
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(id),
		unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 {
		return nil, fmt.Errorf("ask for a system call: %w", errno)
	}
	return &info, nil
}

// enter returns number and arguments of a call that begins.
func (i *syscallInfo) enter() (number uint64, args [6]uint64) {
	return i.details[0], [6]uint64(i.details[1:7])
}

// leave returns the result of a call that ends.
func (i *syscallInfo) leave() int64 { return int64(i.details[0]) }

// maxPath is Linux's PATH_MAX.
const maxPath = 4096

// text returns the text that ends with a zero byte at an address of the program.
func text(id int, address uint64) (string, error) {
	const piece = 64
	var read []byte
	for len(read) < maxPath {
		read = append(read, make([]byte, piece)...)
		at := len(read) - piece
		n, err := unix.PtracePeekData(id, uintptr(address)+uintptr(at), read[at:])
		if end := bytes.IndexByte(read[at:at+n], 0); end >= 0 {
			return string(read[:at+end]), nil
		}
		if err != nil {
			return "", fmt.Errorf("read a path of the program: %w", err)
		}
	}
	return "", errors.New("read a path of the program: it does not end")
}

// memory returns what the program has in some of its memory.
func memory(id int, address, length uint64) ([]byte, error) {
	data := make([]byte, min(length, 1<<24))
	n, err := unix.PtracePeekData(id, uintptr(address), data)
	if err != nil {
		return nil, fmt.Errorf("read what the program writes: %w", err)
	}
	return data[:n], nil
}

// link returns where a link below /proc leads, empty if nowhere.
func link(id int, name string) string {
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/%s", id, name))
	if err != nil {
		return ""
	}
	return path
}

// procFile returns what a file below /proc has of a thread, empty if that is gone.
func procFile(id int, name string) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", id, name))
	if err != nil {
		return ""
	}
	return string(data)
}
