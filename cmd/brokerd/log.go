// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"credbroker/internal/atomicfile"
)

// The log is three files of 1 MiB: brokerd.log, and before it .1 and .2.
const (
	maxLog    = 1 << 20
	olderLogs = 2
)

// logFile is a file that is opened at the first line and turned over when it
// is full. A line that cannot be written is lost: the daemon serves on without
// a log, as on a full disk.
type logFile struct {
	path string

	mu   sync.Mutex
	file *os.File // nil before the first line and after reopen
	size int64
}

// Write implements io.Writer. slog calls it once for each line.
func (l *logFile) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil && l.size+int64(len(line)) > maxLog {
		l.turnOverLocked()
	}
	if l.file == nil {
		if err := l.openLocked(); err != nil {
			return 0, err
		}
	}
	n, err := l.file.Write(line)
	l.size += int64(n)
	return n, err
}

// reopen makes the next line go to what the path leads to by then, for those
// who move logs away.
func (l *logFile) reopen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closeLocked()
}

func (l *logFile) openLocked() error {
	if err := atomicfile.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
		return err
	}
	f, size, err := openOwn(l.path)
	if err != nil {
		return err
	}
	l.file, l.size = f, size
	return nil
}

// turnOverLocked moves each log to the next number. Where that fails the file
// grows on: a long log is better than none.
func (l *logFile) turnOverLocked() {
	l.closeLocked()
	for n := olderLogs; n > 0; n-- {
		_ = os.Rename(l.numbered(n-1), l.numbered(n)) // a first turn has no older ones
	}
}

func (l *logFile) numbered(n int) string {
	if n == 0 {
		return l.path
	}
	return fmt.Sprintf("%s.%d", l.path, n)
}

func (l *logFile) closeLocked() {
	if l.file != nil {
		_ = l.file.Close() // every line was written when it came
		l.file = nil
	}
}
