// SPDX-License-Identifier: Apache-2.0

//go:build linux

package ipc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"
)

// TestLongResult: a result of any length up to the limit arrives as it was, in
// lines that no side refuses.
func TestLongResult(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, bareMost - 2, bareMost, MaxLine, 3*partSize - 2, 3 * partSize, 1 << 20} {
		want := json.RawMessage(`"` + strings.Repeat("x", size%5) + strings.Repeat(`ä<\"`, size/5) + `"`)
		client := &Client{Name: "test", Dial: func(context.Context) (net.Conn, error) {
			near, far := net.Pipe()
			go ServeConn(context.WithoutCancel(t.Context()), far, Peer{}, func(context.Context, *Conversation) (json.RawMessage, error) {
				return want, nil
			})
			return near, nil
		}}
		got, err := client.Converse(t.Context(), Request{Op: "x"}, nil)
		var a, b string
		if err := errors.Join(err, json.Unmarshal(got, &a), json.Unmarshal(want, &b)); err != nil || a != b {
			t.Errorf("%d bytes: %d bytes arrive, %v", len(want), len(got), err)
		}
	}
}

// TestResultTooLong: what is over the limit is refused in one line.
func TestResultTooLong(t *testing.T) {
	t.Parallel()
	client, r := converse(t, func(context.Context, *Conversation) (json.RawMessage, error) {
		return json.Marshal(strings.Repeat("x", maxResult))
	})
	write(t, client, `{"v":1,"op":"x"}`+"\n")
	wantLine(t, r, `{"error":{"code":"internal","message":"the answer to \"x\" does not fit the protocol"}}`)
}

// TestPartsMissing: parts that do not add up are no result.
func TestPartsMissing(t *testing.T) {
	t.Parallel()
	const whole = `{"event":{"part":"eyJhIjog"}}` + "\n" + `{"event":{"part":"MX0="}}` + "\n" // {"a": 1}
	for text, ok := range map[string]bool{
		whole + `{"result":{"parts":2}}`:                                  true,
		whole + `{"result":{"parts":3}}`:                                  false,
		whole + `{"result":{}}`:                                           false,
		`{"event":{"part":"eyJhIjog"}}` + "\n" + `{"result":{"parts":1}}`: false,
	} {
		client := &Client{Name: "test", Dial: func(context.Context) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				_, _ = bufio.NewReader(far).ReadString('\n')
				_, _ = far.Write([]byte(text + "\n"))
				_ = far.Close()
			}()
			return near, nil
		}}
		got, err := client.Converse(t.Context(), Request{Op: "x"}, nil)
		if ok != (err == nil) || ok && string(got) != `{"a": 1}` || !ok && !errors.Is(err, &Error{Code: CodeProtocol}) {
			t.Errorf("%s: got %s, %v", text, got, err)
		}
	}
}
