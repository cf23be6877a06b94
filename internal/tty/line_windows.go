// SPDX-License-Identifier: Apache-2.0

package tty

import (
	"io"
	"strings"
	"unicode/utf16"
)

const (
	keyEvent = 1    // KEY_EVENT (wincontypes.h)
	menuKey  = 0x12 // VK_MENU: Alt, which brings a character typed as a number when it goes up
)

// The characters that mean something.
const (
	ctrlC     = 0x03 // arrives only where the console does not make a signal of it
	ctrlD     = 0x04
	backspace = 0x08
	enter     = '\r'
	ctrlZ     = 0x1a
	rubout    = 0x7f // Ctrl-Backspace
)

// line is what was typed so far. The zero value is an empty one.
type line struct {
	units []uint16
	ended bool
}

// key adds one event to the line and returns what is to be shown of it. It
// returns io.EOF for Ctrl-Z or Ctrl-D on an empty line.
func (l *line) key(in input) (show string, err error) {
	if in.kind != keyEvent || in.unit == 0 || in.down == 0 && in.virtual != menuKey {
		return "", nil
	}
	var b strings.Builder
	for range max(in.repeat, 1) {
		switch {
		case in.unit == enter || in.unit == '\n':
			l.ended = true
			return b.String(), nil
		case in.unit == ctrlC:
			return b.String(), ErrInterrupted
		case in.unit == ctrlZ || in.unit == ctrlD:
			if len(l.units) == 0 {
				return b.String(), io.EOF
			}
		case in.unit == backspace || in.unit == rubout:
			if l.rub() {
				b.WriteString("\b \b")
			}
		case in.unit < ' ' || len(l.units) >= maxLine:
		default:
			b.WriteString(l.add(in.unit))
		}
	}
	return b.String(), nil
}

// add appends a unit and returns the character that it completes.
func (l *line) add(unit uint16) string {
	// Room for all from the start: a longer copy would leave the shorter one
	// behind in memory.
	if l.units == nil {
		l.units = make([]uint16, 0, maxLine)
	}
	l.units = append(l.units, unit)
	last := rune(unit)
	if !utf16.IsSurrogate(last) {
		return string(last)
	}
	if n := len(l.units); n > 1 {
		if r := utf16.DecodeRune(rune(l.units[n-2]), last); r != '\uFFFD' {
			return string(r)
		}
	}
	return ""
}

// rub removes the last character.
func (l *line) rub() bool {
	n := len(l.units)
	if n == 0 {
		return false
	}
	cut := n - 1
	if cut > 0 && utf16.DecodeRune(rune(l.units[cut-1]), rune(l.units[cut])) != '\uFFFD' {
		cut--
	}
	clear(l.units[cut:])
	l.units = l.units[:cut]
	return true
}

func (l *line) text() string { return string(utf16.Decode(l.units)) }

func (l *line) clear() { clear(l.units) }
