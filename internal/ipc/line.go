// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// shortLine is the length in bytes up to which a line costs the reader nothing
// but its own bytes. Requests and answers of broker stay far below it.
const shortLine = 4 << 10

var (
	errLineTooLong = fmt.Errorf("line is over %d bytes", MaxLine)
	errLinesTooBig = errors.New("too many long lines at once")
)

// lineReader splits what it reads into lines of at most MaxLine bytes. It
// holds 1 KiB while it waits: a daemon has hundreds of idle conversations.
type lineReader struct {
	r *bufio.Reader
	// budget, if not nil, has one place for each conversation that may hold
	// a line over shortLine; taken says that this one has a place.
	budget chan struct{}
	taken  bool
}

func newLineReader(r io.Reader, budget chan struct{}) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 1<<10), budget: budget}
}

// next returns the next line without its newline. The end of the stream is
// io.EOF between lines, and io.ErrUnexpectedEOF inside one.
func (l *lineReader) next() ([]byte, error) {
	var line []byte
	for {
		chunk, err := l.r.ReadSlice('\n')
		if len(line)+len(chunk) > MaxLine {
			return nil, errLineTooLong
		}
		line = append(line, chunk...)
		switch {
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, io.EOF) && len(line) > 0:
			return nil, io.ErrUnexpectedEOF
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
		if len(line) == MaxLine {
			return nil, errLineTooLong // no room for the newline
		}
		if len(line) >= shortLine && !l.take() {
			return nil, errLinesTooBig
		}
	}
}

func (l *lineReader) take() bool {
	if l.budget == nil || l.taken {
		return true
	}
	select {
	case l.budget <- struct{}{}:
		l.taken = true
	default:
	}
	return l.taken
}

// release gives the place in the budget back. The lines that were read must
// not be in use any more.
func (l *lineReader) release() {
	if l.taken {
		<-l.budget
		l.taken = false
	}
}

// encodeLine returns v as one JSON line. A json.RawMessage in v is compacted
// and otherwise left byte for byte: without the escapes that make JSON safe in
// HTML, so that a credentials document arrives as it was encoded.
func encodeLine(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	if buf.Len() > MaxLine {
		return nil, errLineTooLong
	}
	return buf.Bytes(), nil
}

// encodeRequest is encodeLine for the one line that every helper sends. It is
// written out, because a process that lives for two milliseconds would spend
// a tenth of that on what encoding/json learns of a type before its first use.
func encodeRequest(r Request) ([]byte, error) {
	line := strconv.AppendInt([]byte(`{"v":`), int64(r.V), 10)
	line = appendString(append(line, `,"op":`...), r.Op)
	if len(r.Params) > 0 {
		if !json.Valid(r.Params) {
			return nil, errors.New("the parameters are not JSON")
		}
		line = append(append(line, `,"params":`...), r.Params...)
	}
	if r.Ask != AskNowhere {
		line = appendString(append(line, `,"ask":`...), string(r.Ask))
	}
	if r.Deadline != 0 {
		line = strconv.AppendInt(append(line, `,"deadline":`...), int64(r.Deadline), 10)
	}
	if r.Client != "" {
		line = appendString(append(line, `,"client":`...), r.Client)
	}
	if line = append(line, "}\n"...); len(line) > MaxLine {
		return nil, errLineTooLong
	}
	return line, nil
}

// appendString appends s as JSON. Of printable ASCII, Go and JSON quote the
// same two characters in the same way.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			quoted, err := json.Marshal(s)
			if err != nil { // never for a string
				return append(b, `""`...)
			}
			return append(b, quoted...)
		}
	}
	return strconv.AppendQuote(b, s)
}
