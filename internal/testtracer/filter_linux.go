// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package testtracer

import (
	"encoding/binary"
	"fmt"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// setFilter has the kernel stop the program, and all that it starts, at the calls
// that may count, and at no other: a Go program makes ten others for each. Only a
// program can ask for that itself (seccomp(2)), so it is made to, before its first
// instruction.
func (t *tracer) setFilter() error {
	filter := t.filter()
	var before registers
	if err := before.get(t.root); err != nil {
		return err
	}
	size := uint64(len(filter)) * uint64(unsafe.Sizeof(filter[0]))
	at := (before.stack() - size) &^ 15
	program := binary.NativeEndian.AppendUint64(nil, uint64(len(filter))) // struct sock_fprog: how many…
	program = binary.NativeEndian.AppendUint64(program, at)               // …and where
	head := at - uint64(len(program))
	for _, f := range filter {
		program = binary.NativeEndian.AppendUint16(program, f.Code)
		program = append(program, f.Jt, f.Jf)
		program = binary.NativeEndian.AppendUint32(program, f.K)
	}
	if _, err := unix.PtracePokeData(t.root, uintptr(head), program); err != nil {
		return fmt.Errorf("write to the program: %w", err)
	}
	if unix.Geteuid() != 0 {
		if err := t.have(before, unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("prepare the program for a filter: %w", err)
		}
	}
	if err := t.have(before, unix.SYS_PRCTL, unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, head); err != nil {
		return fmt.Errorf("set a filter: %w", err)
	}
	return nil
}

// filter stops at the calls that look may have something to say of.
func (t *tracer) filter() []unix.SockFilter {
	var numbers []uint64
	for _, table := range []map[uint64]shape{calls, oldCalls} {
		for number, s := range table {
			if s.changes || s.flags != nil || s.how != nil || t.Reads {
				numbers = append(numbers, number)
			}
		}
	}
	if unix.Geteuid() != 0 {
		numbers = append(numbers, unix.SYS_PRCTL)
	}
	slices.Sort(numbers)
	const number = 0 // where struct seccomp_data has it
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number}}
	for i, n := range numbers {
		filter = append(filter, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(n), Jt: uint8(len(numbers) - i)})
	}
	return append(filter,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_TRACE})
}

// have has the program, which stands still at registers, make a system call, and
// leaves it as it was.
func (t *tracer) have(before registers, number uint64, args ...uint64) error {
	pc := before.pc()
	was := make([]byte, len(systemCall))
	if _, err := unix.PtracePeekText(t.root, pc, was); err != nil {
		return err
	}
	if _, err := unix.PtracePokeText(t.root, pc, systemCall[:]); err != nil {
		return err
	}
	now := before
	now.prepare(number, args...)
	if err := now.set(t.root); err != nil {
		return err
	}
	if err := unix.PtraceSingleStep(t.root); err != nil {
		return err
	}
	var status unix.WaitStatus
	if _, err := wait(t.root, &status); err != nil {
		return err
	}
	if !status.Stopped() || status.StopSignal() != unix.SIGTRAP {
		return fmt.Errorf("it ended: status %#x", status)
	}
	if err := now.get(t.root); err != nil {
		return err
	}
	if _, err := unix.PtracePokeText(t.root, pc, was); err != nil {
		return err
	}
	if err := before.set(t.root); err != nil {
		return err
	}
	if result := int64(now.result()); result < 0 {
		return syscall.Errno(-result)
	}
	return nil
}

// setResult sets what the call returns that a thread has just made.
func setResult(id int, result uint64) error {
	var r registers
	if err := r.get(id); err != nil {
		return err
	}
	r.setResult(result)
	return r.set(id)
}
