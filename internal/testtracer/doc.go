// SPDX-License-Identifier: Apache-2.0

// Package testtracer runs a program and sees each system call by which it
// changes files, in their one order over all of its threads. It can kill the
// program right before any of them or right after it, or have it fail: so a test
// of crash safety strikes at every step, and knows that it did.
//
// It is what strace does with inject, but that counts the calls of each thread
// by themselves, and a Go program changes threads as it likes.
//
// The order is that of the program: one whose goroutines change files side by
// side has no one order. Signals can cut a call short, so that another follows:
// those of Go's own runtime end with GODEBUG=asyncpreemptoff=1.
//
// Linux only, and there only where a program may trace its own children, as
// everywhere but in some containers.
package testtracer
