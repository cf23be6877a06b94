// SPDX-License-Identifier: Apache-2.0

package testtracer

import "golang.org/x/sys/unix"

// registers are those of a thread that stands still.
type registers struct{ unix.PtraceRegs }

func (r *registers) get(id int) error { return unix.PtraceGetRegs(id, &r.PtraceRegs) }
func (r *registers) set(id int) error { return unix.PtraceSetRegs(id, &r.PtraceRegs) }

func (r *registers) pc() uintptr { return uintptr(r.Rip) }

// stack is the address below which nothing lies yet.
func (r *registers) stack() uint64 { return r.Rsp - 128 } // the red zone of the System V ABI

// systemCall is the instruction for one.
var systemCall = [...]byte{0x0f, 0x05}

// prepare has systemCall, as the next instruction, call this.
func (r *registers) prepare(number uint64, args ...uint64) {
	r.Rax, r.Orig_rax = number, ^uint64(0)
	for i, register := range []*uint64{&r.Rdi, &r.Rsi, &r.Rdx, &r.R10, &r.R8, &r.R9}[:len(args)] {
		*register = args[i]
	}
}

func (r *registers) result() uint64          { return r.Rax }
func (r *registers) setResult(result uint64) { r.Rax = result }

// skipCall makes the call that a thread is about to make one that does not exist.
func skipCall(id int) error {
	var r registers
	if err := r.get(id); err != nil {
		return err
	}
	r.Orig_rax = ^uint64(0)
	return r.set(id)
}

// oldCalls are those that only this architecture still has.
var oldCalls = map[uint64]shape{
	unix.SYS_OPEN:      {name: "open", files: []file{path(0)}, flags: at(1)},
	unix.SYS_CREAT:     {name: "creat", changes: true, files: []file{path(0)}},
	unix.SYS_RENAME:    {name: "rename", changes: true, files: []file{path(0), path(1)}},
	unix.SYS_LINK:      {name: "link", changes: true, files: []file{path(0), path(1)}},
	unix.SYS_SYMLINK:   {name: "symlink", changes: true, files: []file{path(1)}},
	unix.SYS_UNLINK:    {name: "unlink", changes: true, files: []file{path(0)}},
	unix.SYS_RMDIR:     {name: "rmdir", changes: true, files: []file{path(0)}},
	unix.SYS_MKDIR:     {name: "mkdir", changes: true, files: []file{path(0)}},
	unix.SYS_MKNOD:     {name: "mknod", changes: true, files: []file{path(0)}},
	unix.SYS_CHMOD:     {name: "chmod", changes: true, files: []file{path(0)}},
	unix.SYS_CHOWN:     {name: "chown", changes: true, files: []file{path(0)}},
	unix.SYS_LCHOWN:    {name: "lchown", changes: true, files: []file{path(0)}},
	unix.SYS_UTIME:     {name: "utime", changes: true, files: []file{path(0)}},
	unix.SYS_UTIMES:    {name: "utimes", changes: true, files: []file{path(0)}},
	unix.SYS_FUTIMESAT: {name: "futimesat", changes: true, files: []file{pathAt(0)}},

	unix.SYS_STAT:     {name: "stat", files: []file{path(0)}},
	unix.SYS_LSTAT:    {name: "lstat", files: []file{path(0)}},
	unix.SYS_READLINK: {name: "readlink", files: []file{path(0)}},
	unix.SYS_ACCESS:   {name: "access", files: []file{path(0)}},
	unix.SYS_GETDENTS: {name: "getdents", files: []file{descriptor(0)}},
}
