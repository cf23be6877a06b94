// SPDX-License-Identifier: Apache-2.0

package testtracer

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// skipCall makes the call that a thread is about to make one that does not exist.
func skipCall(id int) error {
	number := int32(-1)
	vector := unix.Iovec{Base: (*byte)(unsafe.Pointer(&number)), Len: uint64(unsafe.Sizeof(number))}
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SETREGSET, uintptr(id),
		unix.NT_ARM_SYSTEM_CALL, uintptr(unsafe.Pointer(&vector)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// setResult sets what the call returns that a thread has just made.
func setResult(id int, result uint64) error {
	var regs unix.PtraceRegsArm64
	if err := unix.PtraceGetRegSetArm64(id, unix.NT_PRSTATUS, &regs); err != nil {
		return err
	}
	regs.Regs[0] = result
	return unix.PtraceSetRegSetArm64(id, unix.NT_PRSTATUS, &regs)
}

// oldCalls are those that only other architectures still have.
var oldCalls = map[uint64]shape{}
