// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"bytes"
	"encoding/json"
	"fmt"
)

const (
	// maxResult is the longest result, in bytes, that comes in parts. Ten
	// thousand sessions in the answer to status are a third of it.
	maxResult = 8 << 20
	// partSize is how many bytes of it one line carries: JSON writes bytes in
	// base64, a third longer.
	partSize = 45 << 10
	// bareMost is the longest result that fits into a line.
	bareMost = MaxLine - len("{\"result\":}\n")
)

// part is the event that carries a piece of a result that is longer than a
// line, and parts the result that says how many there were.
type part struct {
	Part []byte `json:"part"`
}

type parts struct {
	Parts int `json:"parts"`
}

// inParts sends all of a long result but the end, and returns the end: what a
// client that waits for a result gets. A shorter one is its own end.
func (c *Conversation) inParts(r Reply) (Reply, error) {
	if len(r.Result) <= bareMost || !c.answers {
		return r, nil
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, r.Result); err != nil {
		return r, nil //nolint:nilerr // send says what is wrong with it
	}
	if compact.Len() > maxResult {
		return r, fmt.Errorf("it has %d bytes", compact.Len())
	}
	if compact.Len() <= bareMost {
		return r, nil
	}
	count := 0
	for piece := compact.Next(partSize); len(piece) > 0; piece = compact.Next(partSize) {
		if err := c.Event(part{piece}); err != nil {
			return r, err
		}
		count++
	}
	end, err := json.Marshal(parts{count})
	return Reply{Result: end}, err
}

// assembly is a result in parts, as far as it has come.
type assembly struct {
	whole []byte
	count int
}

// add takes an event and reports whether it was a part.
func (a *assembly) add(event json.RawMessage) bool {
	var p part
	if !bytes.HasPrefix(event, []byte(`{"part":`)) || json.Unmarshal(event, &p) != nil || len(a.whole)+len(p.Part) > maxResult {
		return false
	}
	a.whole = append(a.whole, p.Part...)
	a.count++
	return true
}

// end returns the whole result when its last line has come.
func (a *assembly) end(last json.RawMessage) (json.RawMessage, error) {
	if a.count == 0 {
		return last, nil
	}
	var p parts
	if json.Unmarshal(last, &p) != nil || p.Parts != a.count || !json.Valid(a.whole) {
		return nil, badDaemon()
	}
	return a.whole, nil
}
