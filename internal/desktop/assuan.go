// SPDX-License-Identifier: Apache-2.0

package desktop

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
)

// maxLine is the longest line of Assuan, in bytes and with its newline.
// https://www.gnupg.org/documentation/manuals/assuan/Server-responses.html
const maxLine = 1002

// maxReplies bounds the lines of one answer: a status line or two are usual.
const maxReplies = 64

// The codes of libgpg-error, in the low 16 bits of what pinentry says.
const (
	gpgCanceled      = 99  // GPG_ERR_CANCELED
	gpgFullyCanceled = 198 // GPG_ERR_FULLY_CANCELED
)

// assuanError is an ERR line. Its text is the program's and is not kept: what a
// program prints need not be what it should be.
type assuanError struct{ code int }

func (e *assuanError) Error() string { return fmt.Sprintf("pinentry answered with error %d", e.code) }

var errNotAssuan = errors.New("pinentry did not answer as pinentry does")

// assuan is the client's end of one conversation.
type assuan struct {
	in  *bufio.Reader
	out io.Writer
}

func newAssuan(in io.Reader, out io.Writer) *assuan {
	return &assuan{bufio.NewReaderSize(in, maxLine), out}
}

// command sends one line and returns the data of the answer. An ERR is an
// *assuanError; anything else that is not an answer ends the conversation.
func (a *assuan) command(name, argument string) (data string, err error) {
	line := name
	if argument != "" {
		line += " " + escape(argument)
	}
	if len(line)+1 > maxLine {
		return "", fmt.Errorf("pinentry %s: the text is too long", name)
	}
	if _, err := io.WriteString(a.out, line+"\n"); err != nil {
		return "", fmt.Errorf("pinentry %s: %w", name, err)
	}
	return a.answer()
}

// answer reads up to the OK or ERR that ends an answer. It does for the
// greeting, too.
func (a *assuan) answer() (data string, err error) {
	for range maxReplies {
		line, err := a.in.ReadSlice('\n')
		if err != nil {
			return "", errNotAssuan
		}
		word, rest, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		switch word {
		case "OK":
			return data, nil
		case "ERR":
			number, _, _ := strings.Cut(rest, " ")
			code, err := strconv.ParseUint(number, 10, 32)
			if err != nil {
				return "", errNotAssuan
			}
			return "", &assuanError{int(code & 0xffff)}
		case "D":
			part, err := url.PathUnescape(rest) // percent signs mean the same there
			if err != nil || len(data)+len(part) > maxLine {
				return "", errNotAssuan
			}
			data += part
		case "S", "#":
		default:
			return "", errNotAssuan
		}
	}
	return "", errNotAssuan
}

// escape keeps an argument on its line.
func escape(text string) string {
	return strings.NewReplacer("%", "%25", "\n", "%0A", "\r", "%0D").Replace(text)
}
