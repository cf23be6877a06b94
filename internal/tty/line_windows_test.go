// SPDX-License-Identifier: Apache-2.0

package tty

import (
	"context"
	"errors"
	"io"
	"testing"
	"unicode/utf16"
	"unsafe"
)

// typed gives a line the keys of text, down and up.
func typed(l *line, text string) (shown string, err error) {
	for _, unit := range utf16.Encode([]rune(text)) {
		for _, down := range []int32{1, 0} {
			show, kerr := l.key(input{kind: keyEvent, down: down, repeat: 1, unit: unit})
			shown += show
			if err = kerr; err != nil {
				return shown, err
			}
		}
	}
	return shown, nil
}

func TestLine(t *testing.T) {
	for _, tt := range []struct {
		keys, text, shown string
		err               error
	}{
		{"123456\r", "123456", "123456", nil},
		{"12x\b3\r", "123", "12x\b \b3", nil},
		{"\b\x7fa\r", "a", "a", nil},
		{"é😀\r", "é😀", "é😀", nil},
		{"a😀\bb\r", "ab", "a😀\b \bb", nil},
		{"\r", "", "", nil},
		{"\x1a", "", "", io.EOF},
		{"a\x1ab\r", "ab", "ab", nil},
		{"a\x1b\t\r", "a", "a", nil},
		{"secret\x03", "secret", "secret", ErrInterrupted},
	} {
		var l line
		shown, err := typed(&l, tt.keys)
		if l.text() != tt.text || shown != tt.shown || !errors.Is(err, tt.err) || l.ended != (tt.err == nil) {
			t.Errorf("%q: %q, shown %q, %v, ended %v", tt.keys, l.text(), shown, err, l.ended)
		}
	}
}

func TestKeysThatAreNone(t *testing.T) {
	var l line
	for _, in := range []input{
		{kind: 16, down: 1, unit: 'f'},            // the window got the focus
		{kind: keyEvent, down: 0, unit: 'u'},      // a key goes up
		{kind: keyEvent, down: 1, virtual: 0x10},  // Shift
		{kind: 2, down: 1, virtual: 1, unit: 'm'}, // the mouse
	} {
		if show, err := l.key(in); show != "" || err != nil || len(l.units) > 0 {
			t.Errorf("%+v: %q, %v", in, show, err)
		}
	}
	if _, err := l.key(input{kind: keyEvent, virtual: menuKey, unit: 'ä'}); err != nil || l.text() != "ä" {
		t.Errorf("Alt and a number: %q, %v", l.text(), err)
	}
	if _, err := l.key(input{kind: keyEvent, down: 1, repeat: maxLine + 9, unit: 'x'}); err != nil || len(l.units) != maxLine {
		t.Errorf("a long line has %d units, %v", len(l.units), err)
	}
	l.clear()
	if l.units[0] != 0 {
		t.Error("the line is still in memory")
	}
	if size := unsafe.Sizeof(input{}); size != 20 {
		t.Errorf("INPUT_RECORD has %d bytes, want 20", size)
	}
}

func TestInterruptible(t *testing.T) {
	parent, cancel := context.WithCancelCause(t.Context())
	ctx, done := interruptible(parent)
	cancel(io.EOF)
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, io.EOF) {
		t.Errorf("cause %v", cause)
	}
	done()
}
