// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// pyLine returns the first line of data, which is not empty, and the rest, as
// Python reads a text file: LF, CR and CR LF end a line.
func pyLine(data []byte) (text, rest []byte) {
	end := bytes.IndexByte(data, '\n')
	if end < 0 {
		end = len(data)
	}
	if i := bytes.IndexByte(data[:end], '\r'); i >= 0 {
		if i+1 == end && end < len(data) {
			return data[:i], data[end+1:]
		}
		return data[:i], data[i+1:]
	}
	return data[:end], data[min(end+1, len(data)):]
}

// pyLines cuts at what str.splitlines takes for the end of a line.
func pyLines(text []byte) [][]byte {
	return bytes.FieldsFunc(text, func(r rune) bool {
		return r >= '\n' && r <= '\r' || r >= 0x1c && r <= 0x1e || r == 0x85 || r == 0x2028 || r == 0x2029
	})
}

// pyTrim is str.strip.
func pyTrim(text []byte) []byte { return pyTrimRight(pyTrimLeft(text)) }

func pyTrimLeft(text []byte) []byte {
	for len(text) > 0 {
		r, n := rune(text[0]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRune(text)
		}
		if !isPySpace(r) {
			break
		}
		text = text[n:]
	}
	return text
}

func pyTrimRight(text []byte) []byte {
	for len(text) > 0 {
		r, n := rune(text[len(text)-1]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeLastRune(text)
		}
		if !isPySpace(r) {
			break
		}
		text = text[:len(text)-n]
	}
	return text
}

// isPySpace is str.isspace.
func isPySpace(r rune) bool {
	return r == ' ' || r >= 0x1c && r <= 0x1f || unicode.IsSpace(r)
}

// pyLower is str.lower. It differs from Go's in two letters.
func pyLower(s string) string {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return strings.ToLower(strings.ReplaceAll(s, "İ", "i̇"))
		}
	}
	return strings.ToLower(s)
}

// shellWords is shlex.split: ok is false where that raises an error.
func shellWords(text string) (words []string, ok bool) {
	if only(text, wordChars+" -/.%@:+") { // what nearly every header has
		return strings.Fields(text), true
	}
	var word strings.Builder
	inWord, quote := false, byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && quote != '\'':
			if i++; i == len(text) {
				return nil, false
			}
			if quote != 0 && text[i] != quote && text[i] != '\\' {
				word.WriteByte('\\')
			}
			inWord = true
			word.WriteByte(text[i])
		case quote != 0:
			word.WriteByte(c)
		case c == '"' || c == '\'':
			inWord, quote = true, c
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			if inWord {
				words = append(words, word.String())
				word.Reset()
			}
			inWord = false
		default:
			inWord = true
			word.WriteByte(c)
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, quote == 0
}
