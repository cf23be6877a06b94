// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// needle is one secret in every form in which it may lie about.
type needle map[string][]byte

func newNeedle(secret string) needle {
	n := needle{
		"raw":          []byte(secret),
		"hex":          []byte(hex.EncodeToString([]byte(secret))),
		"HEX":          []byte(strings.ToUpper(hex.EncodeToString([]byte(secret)))),
		"SigV4 key":    []byte("AWS4" + secret),
		"UTF-16":       utf16Bytes(secret),
		"JSON slashes": []byte(strings.ReplaceAll(secret, "/", `\/`)),
		"JSON \\u":     []byte(strings.NewReplacer("/", `\u002f`, "+", `\u002b`).Replace(secret)),
	}
	// In base64 the secret may start at any of three places of a group: what
	// stays the same whatever surrounds it is the middle.
	for shift := range 3 {
		padded := append(bytes.Repeat([]byte{0}, shift), secret...)
		whole := len(padded) / 3 * 3
		head := 0
		if shift > 0 {
			head = 4
		}
		n[fmt.Sprintf("base64+%d", shift)] = []byte(base64.StdEncoding.EncodeToString(padded[:whole])[head:])
		n[fmt.Sprintf("base64url+%d", shift)] = []byte(base64.URLEncoding.EncodeToString(padded[:whole])[head:])
	}
	return n
}

// add has n find another secret, too.
func (n needle) add(whose string, other needle) {
	for form, bytesOf := range other {
		n[whose+", "+form] = bytesOf
	}
}

// utf16Bytes returns what the text has in common in both byte orders: from the
// first character to the last, without the zero before or behind. A needle that
// began with a zero would make each scan of an empty heap take half a minute.
func utf16Bytes(s string) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		out = append(out, byte(u), byte(u>>8))
	}
	return out[:len(out)-1]
}

// in returns the forms of the secret that data holds.
func (n needle) in(data []byte) []string {
	var found []string
	for form, bytesOf := range n {
		if bytes.Contains(data, bytesOf) {
			found = append(found, form)
		}
	}
	return found
}

// scanMemory looks through everything a process can write to or read from.
// The process goes on meanwhile. It returns fs.ErrNotExist when it has ended.
func (n needle) scanMemory(pid int) ([]string, error) {
	proc := "/proc/" + strconv.Itoa(pid)
	maps, err := os.Open(proc + "/maps")
	if err != nil {
		return nil, err
	}
	defer maps.Close()
	mem, err := os.Open(proc + "/mem")
	if err != nil {
		return nil, err
	}
	defer mem.Close()
	var found []string
	chunk := make([]byte, 1<<20)
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		from, to, ok := readableRange(lines.Text())
		if !ok {
			continue
		}
		in, err := n.inRange(mem, from, to, chunk)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, os.ErrProcessDone) {
			return found, fs.ErrNotExist
		}
		for _, form := range in {
			found = append(found, fmt.Sprintf("%s in %s", form, lines.Text()))
		}
	}
	return found, lines.Err()
}

func readableRange(line string) (from, to int64, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 2 || !strings.HasPrefix(fields[1], "r") || strings.HasSuffix(line, "[vvar]") || strings.HasSuffix(line, "[vsyscall]") {
		return 0, 0, false
	}
	a, b, _ := strings.Cut(fields[0], "-")
	from, err1 := strconv.ParseInt(a, 16, 64)
	to, err2 := strconv.ParseInt(b, 16, 64)
	return from, to, err1 == nil && err2 == nil
}

// inRange looks through what is mapped, up to the first hole, a chunk at a time:
// the arenas of a Go heap are far larger than what is used. Chunks overlap by more
// than the longest needle.
func (n needle) inRange(mem *os.File, from, to int64, chunk []byte) (found []string, err error) {
	const overlap = 1 << 10
	for from < to {
		part := chunk[:min(int64(len(chunk)), to-from)]
		got, err := mem.ReadAt(part, from)
		for _, form := range n.in(part[:got]) {
			if !slices.Contains(found, form) {
				found = append(found, form)
			}
		}
		if err != nil || got == int(to-from) {
			return found, err
		}
		from += int64(got) - overlap
	}
	return found, nil
}

// scanFiles looks through every file below the directories that was written
// since.
func (n needle) scanFiles(t *testing.T, since time.Time, dirs ...string) []string {
	t.Helper()
	var found []string
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil // a temporary file may vanish under our eyes
			}
			if info, err := d.Info(); err != nil || info.ModTime().Before(since) {
				return nil
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return nil
			}
			for _, form := range n.in(data) {
				found = append(found, form+" in "+path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// scanCommandLines looks through argv and environment of every process but us.
func (n needle) scanCommandLines() []string {
	var found []string
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, proc := range procs {
		if proc == "/proc/"+strconv.Itoa(os.Getpid()) {
			continue
		}
		for _, file := range []string{"cmdline", "environ"} {
			data, err := os.ReadFile(proc + "/" + file)
			if err != nil {
				continue // ended, or not ours to read
			}
			for _, form := range n.in(data) {
				found = append(found, form+" in "+file+" of "+proc)
			}
		}
	}
	return found
}

func TestScannerFindsEveryForm(t *testing.T) {
	t.Parallel()
	const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYzzzzzzzzzz"
	n := newNeedle(secret)
	for form, want := range map[string]string{
		"raw":          secret,
		"SigV4 key":    "AWS4" + secret,
		"hex":          hex.EncodeToString([]byte(secret)),
		"base64 at 0":  base64.StdEncoding.EncodeToString([]byte(secret)),
		"base64 at 1":  base64.StdEncoding.EncodeToString([]byte(`{` + secret + `"}`)),
		"base64 at 2":  base64.StdEncoding.EncodeToString([]byte(`{"` + secret + `"}`)),
		"base64url":    base64.URLEncoding.EncodeToString([]byte(`{"x` + secret)),
		"UTF-16LE":     string(utf16Bytes("x"+secret)) + "\x00",
		"UTF-16BE":     "\x00" + string(utf16Bytes("x"+secret)),
		"JSON slashes": `{"s":"` + strings.ReplaceAll(secret, "/", `\/`) + `"}`,
	} {
		if len(n.in([]byte("before "+want+" after"))) == 0 {
			t.Errorf("%s: not found", form)
		}
	}
	if found := n.in([]byte("nothing here")); len(found) != 0 {
		t.Errorf("found %v in a text without the secret", found)
	}
}
