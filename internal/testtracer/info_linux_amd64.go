// SPDX-License-Identifier: Apache-2.0

package testtracer

import "golang.org/x/sys/unix"

// skipCall makes the call that a thread is about to make one that does not exist.
func skipCall(id int) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(id, &regs); err != nil {
		return err
	}
	regs.Orig_rax = ^uint64(0)
	return unix.PtraceSetRegs(id, &regs)
}

// setResult sets what the call returns that a thread has just made.
func setResult(id int, result uint64) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(id, &regs); err != nil {
		return err
	}
	regs.Rax = result
	return unix.PtraceSetRegs(id, &regs)
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
