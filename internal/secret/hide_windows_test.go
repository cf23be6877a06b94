// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/windows"
)

// The test binary also is the program that hides.
func TestMain(m *testing.M) {
	if os.Getenv("SECRET_TEST_HIDE") != "" {
		fmt.Println(HideProcess())
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A program of the same user sees that it is there, and not what is in it.
func TestHideProcess(t *testing.T) {
	hidden := exec.Command(os.Args[0])
	hidden.Env = append(os.Environ(), "SECRET_TEST_HIDE=1")
	in, err := hidden.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := hidden.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := hidden.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = hidden.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if strings.TrimSpace(line) != "<nil>" {
		t.Fatalf("HideProcess: %s (%v)", line, err)
	}
	pid := uint32(hidden.Process.Pid)
	seen, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION|windows.SYNCHRONIZE, false, pid)
	if err != nil {
		t.Fatalf("see it: %v", err)
	}
	_ = windows.CloseHandle(seen)
	for _, right := range []uint32{windows.PROCESS_VM_READ, windows.PROCESS_VM_WRITE, windows.PROCESS_DUP_HANDLE} {
		handle, err := windows.OpenProcess(right, false, pid)
		if !errors.Is(err, windows.ERROR_ACCESS_DENIED) {
			t.Errorf("right %#x: %v, want %v", right, err, windows.ERROR_ACCESS_DENIED)
			_ = windows.CloseHandle(handle)
		}
	}
}
