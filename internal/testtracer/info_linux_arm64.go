// SPDX-License-Identifier: Apache-2.0

package testtracer

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// registers are those of a thread that stands still.
type registers struct{ unix.PtraceRegsArm64 }

func (r *registers) get(id int) error {
	return unix.PtraceGetRegSetArm64(id, unix.NT_PRSTATUS, &r.PtraceRegsArm64)
}

func (r *registers) set(id int) error {
	return unix.PtraceSetRegSetArm64(id, unix.NT_PRSTATUS, &r.PtraceRegsArm64)
}

func (r *registers) pc() uintptr { return uintptr(r.Pc) }

// stack is the address below which nothing lies yet.
func (r *registers) stack() uint64 { return r.Sp }

// systemCall is the instruction for one: svc #0.
var systemCall = [...]byte{0x01, 0x00, 0x00, 0xd4}

// prepare has systemCall, as the next instruction, call this.
func (r *registers) prepare(number uint64, args ...uint64) {
	r.Regs[8] = number
	copy(r.Regs[:6], args)
}

func (r *registers) result() uint64          { return r.Regs[0] }
func (r *registers) setResult(result uint64) { r.Regs[0] = result }

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

// oldCalls are those that only other architectures still have.
var oldCalls = map[uint64]shape{}
