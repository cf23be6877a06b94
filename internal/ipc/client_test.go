// SPDX-License-Identifier: Apache-2.0

//go:build linux

package ipc

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// scripted is a Surface with answers.
type scripted struct {
	answers []string
	err     error // instead of an answer, when they are used up
	prompts []Prompt
	events  []string
	ended   int // prompts whose context ended first
}

func (s *scripted) Prompt(ctx context.Context, p Prompt) (string, error) {
	s.prompts = append(s.prompts, p)
	if len(s.answers) > 0 {
		answer := s.answers[0]
		s.answers = s.answers[1:]
		return answer, nil
	}
	if s.err != nil {
		return "", s.err
	}
	<-ctx.Done()
	s.ended++
	return "", ctx.Err()
}

func (s *scripted) Event(event json.RawMessage) { s.events = append(s.events, string(event)) }

// memory returns a client of testHandler, or of h.
func memory(t *testing.T, h Handler) *Client {
	t.Helper()
	return &Client{Name: "broker 1.2.0", Dial: func(context.Context) (net.Conn, error) {
		client, conn := connPair(t)
		go ServeConn(t.Context(), conn, Peer{}, h)
		return client, nil
	}}
}

// speaks returns a client of a server that says text to anything and closes.
func speaks(t testing.TB, text []byte) *Client {
	t.Helper()
	return &Client{Dial: func(context.Context) (net.Conn, error) {
		client, conn := connPair(t)
		go func() {
			_, _ = bufio.NewReader(conn).ReadString('\n')
			_, _ = conn.Write(text)
			_ = conn.Close()
		}()
		return client, nil
	}}
}

func TestConverse(t *testing.T) {
	request := Request{Op: OpCredentials, Params: json.RawMessage(`{"profile":"dev"}`), Ask: AskTerminal}
	for _, tt := range []struct {
		name    string
		surface *scripted
		want    Code // "" is the document
		prompts int
	}{
		{"right code", &scripted{answers: []string{"123456"}}, "", 1},
		{"wrong code first", &scripted{answers: []string{"000000", "123456"}}, "", 2},
		{"cancelled", &scripted{answers: []string{""}}, CodeMFACancelled, 1},
		{"cannot ask after all", &scripted{err: io.EOF}, CodeMFARequired, 1},
		{"answer too long", &scripted{answers: []string{strings.Repeat("1", MaxLine)}}, CodeMFARequired, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			result, err := memory(t, testHandler).Converse(t.Context(), request, tt.surface)
			switch {
			case tt.want == "" && (err != nil || !bytes.HasPrefix(result, []byte(`{"Version":1,`))):
				t.Errorf("Converse: %s, %v", result, err)
			case tt.want != "" && !errors.Is(err, &Error{Code: tt.want}):
				t.Errorf("Converse: %s, %v, want %s", result, err, tt.want)
			}
			if len(tt.surface.prompts) != tt.prompts {
				t.Errorf("asked %d times, want %d", len(tt.surface.prompts), tt.prompts)
			}
		})
	}
	if _, err := memory(t, testHandler).Converse(t.Context(), request, nil); !errors.Is(err, &Error{Code: CodeMFARequired}) {
		t.Errorf("without a surface: %v, want %s", err, CodeMFARequired)
	}
}

func TestNextLineEndsThePrompt(t *testing.T) {
	s := &scripted{}
	var serving *Conversation
	client := memory(t, func(ctx context.Context, c *Conversation) (json.RawMessage, error) {
		serving = c
		for range 2 {
			pctx, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
			_, err := c.Prompt(pctx, testPrompt(1, ""))
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Prompt: %v", err)
			}
		}
		return nil, c.Event(map[string]int{"row": 1})
	})
	if _, err := client.Converse(t.Context(), Request{Op: "x", Ask: AskTTY}, s); err != nil {
		t.Fatal(err)
	}
	if s.ended != 2 || len(s.prompts) != 2 {
		t.Errorf("%d prompts, %d of them ended, want 2 and 2", len(s.prompts), s.ended)
	}
	if want := []string{`{"row":1}`}; !slices.Equal(s.events, want) {
		t.Errorf("events %q, want %q: a withdrawal is no event of its own", s.events, want)
	}
	if serving.Request.Client != "broker 1.2.0" || serving.Request.V != Protocol {
		t.Errorf("request %+v", serving.Request)
	}
}

func TestCall(t *testing.T) {
	client := memory(t, testHandler)
	var got map[string]string
	if err := client.Call(t.Context(), "echo", map[string]string{"a": "<&>"}, &got); err != nil || got["a"] != "<&>" {
		t.Errorf("echo: %v, %v", got, err)
	}
	if err := client.Call(t.Context(), OpHello, nil, nil); err != nil {
		t.Errorf("hello: %v", err)
	}
	var number int
	if err := client.Call(t.Context(), "echo", "text", &number); !errors.Is(err, &Error{Code: CodeProtocol}) {
		t.Errorf("result of another type: %v", err)
	}
	if err := client.Call(t.Context(), "echo", func() {}, nil); err == nil {
		t.Error("a function was sent")
	}
	if err := client.Call(t.Context(), "echo", strings.Repeat("x", MaxLine), nil); !errors.Is(err, &Error{Code: CodeUsage}) {
		t.Errorf("request too long: %v", err)
	}
	var e *Error
	if err := client.Call(t.Context(), "fail", nil, nil); !errors.As(err, &e) || e.Code != CodeNoKey || e.Hint != "run broker add dev" {
		t.Errorf("fail: %#v", err)
	}
}

func TestServerThatMisbehaves(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       Code
	}{
		{"closes", "", CodeNoDaemon},
		{"half a line", `{"result":{}}`, CodeNoDaemon},
		{"no JSON", "SSH-2.0-OpenSSH_9.9\n", CodeProtocol},
		{"endless line", strings.Repeat("x", 2*MaxLine), CodeProtocol},
		{"error without a code", `{"error":{"message":"oh"}}` + "\n", CodeProtocol},
		{"later line kinds, then a result", `{"hologram":1}` + "\n" + `{"result":{"hologram":1}}` + "\n", ""},
		{"null result", `{"result":null}` + "\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := speaks(t, []byte(tt.text)).Converse(t.Context(), Request{Op: "x"}, nil)
			if tt.want == "" && err != nil || tt.want != "" && !errors.Is(err, &Error{Code: tt.want}) {
				t.Errorf("Converse: %v, want code %q", err, tt.want)
			}
			if tt.want == CodeNoDaemon && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("Converse: %#v does not tell that the daemon was there", err)
			}
		})
	}
}

func TestClientContext(t *testing.T) {
	client := memory(t, testHandler)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := client.Call(ctx, "wait", nil, nil); !errors.Is(err, &Error{Code: CodeDeadline}) {
		t.Errorf("deadline: %v", err)
	}
	interrupted := errors.New("interrupted")
	ctx, stop := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { stop(interrupted) })
	if err := client.Call(ctx, "wait", nil, nil); !errors.Is(err, interrupted) {
		t.Errorf("cancelled: %v", err)
	}
	s := &scripted{}                                            // waits for its context
	ctx, cancel = context.WithTimeout(t.Context(), time.Second) // the prompt must have come by then
	defer cancel()
	if _, err := client.Converse(ctx, Request{Op: OpCredentials, Ask: AskTTY}, s); !errors.Is(err, &Error{Code: CodeDeadline}) {
		t.Errorf("deadline during a prompt: %v", err)
	}
	if s.ended != 1 {
		t.Error("the prompt outlives the conversation")
	}
}

func TestNoDaemon(t *testing.T) {
	dir := testDir(t)
	stale := filepath.Join(dir, "stale.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "none.sock"), filepath.Join(dir, "no", "dir"), stale, strings.Repeat("/x", 100)} {
		err := (&Client{Socket: path}).Call(t.Context(), OpHello, nil, nil)
		if !errors.Is(err, &Error{Code: CodeNoDaemon}) || errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v, want %s", path, err, CodeNoDaemon)
		}
	}
}

// FuzzReply has a client read any bytes. It never gives both an answer and an
// error, and its error has a code.
func FuzzReply(f *testing.F) {
	f.Add([]byte(`{"result":{"Version":1}}` + "\n"))
	f.Add([]byte(`{"error":{"code":"no_key","message":"m"}}` + "\n"))
	f.Add([]byte(`{"prompt":{"kind":"mfa","attempt":1}}` + "\n" + `{"event":1}` + "\n" + `{"result":1}` + "\n"))
	f.Add([]byte("\x00\n{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		s := &scripted{answers: []string{"1", ""}, err: io.EOF}
		result, err := speaks(t, data).Converse(ctx, Request{Op: "x", Ask: AskTTY}, s)
		var e *Error
		switch {
		case err == nil && !json.Valid(result):
			t.Errorf("result %q", result)
		case err != nil && (result != nil || !errors.As(err, &e) || e.Code == "" || e.Code == CodeDeadline):
			t.Errorf("Converse: %q, %#v", result, err)
		}
	})
}

// TestEncodeRequest holds the line that is written out by hand to what
// encoding/json makes of the same request.
func TestEncodeRequest(t *testing.T) {
	t.Parallel()
	params := json.RawMessage(`{"profile":"dev"}`)
	for _, r := range []Request{
		{},
		{V: 1, Op: OpCredentials, Params: params, Ask: AskTTY, Deadline: 50, Client: "broker 1.2.0"},
		{V: 1, Op: OpHello, Client: "broker \"x\" \\ <&> \t \x00 ä \u2028"},
		{V: -7, Op: "\xff", Deadline: -1, Params: json.RawMessage("null")},
	} {
		got, err := encodeRequest(r)
		want, werr := encodeLine(r)
		if err := errors.Join(err, werr); err != nil {
			t.Fatal(err)
		}
		var a, b any
		if err := errors.Join(json.Unmarshal(got, &a), json.Unmarshal(want, &b)); err != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("got %q, want %q (%v)", got, want, err)
		}
		if r.Op != "\xff" && r.Client != "" && len(r.Params) > 0 && !bytes.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for _, r := range []Request{
		{Op: OpHello, Params: json.RawMessage("{")},
		{Op: OpHello, Client: strings.Repeat("x", MaxLine)},
	} {
		if line, err := encodeRequest(r); err == nil {
			t.Errorf("a line of %d bytes is sent", len(line))
		}
	}
}

// TestBareResult: only a line that is an object of one valid result is read
// without encoding/json.
func TestBareResult(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`{"result":{"a":[1,"}"]}}`:          `{"a":[1,"}"]}`,
		`{"result":"x"}`:                    `"x"`,
		`{"result":{},"error":{"code":""}}`: "",
		`{"result":{}}}`:                    "",
		`{"result":}`:                       "",
		`{"result":{}`:                      "",
		`{"event":{}}`:                      "",
		` {"result":{}}`:                    "",
	} {
		got, ok := bareResult([]byte(line))
		if ok != (want != "") || ok && string(got) != want {
			t.Errorf("%s: got %s, %v", line, got, ok)
		}
	}
}

// TestCredentialsParams holds the parameters that are written out by hand to
// what encoding/json makes of them.
func TestCredentialsParams(t *testing.T) {
	t.Parallel()
	for _, p := range []CredentialsParams{
		{},
		{Profile: "dev"},
		{Profile: "a/b \"x\" \\ <&> \t \x00 ä \u2028", DurationSeconds: 3600},
		{Profile: "dev", DurationSeconds: 900, RemainingSeconds: -1},
	} {
		got, err := p.Encode()
		want, werr := json.Marshal(p)
		if err := errors.Join(err, werr); err != nil {
			t.Fatal(err)
		}
		var a, b any
		if err := errors.Join(json.Unmarshal(got, &a), json.Unmarshal(want, &b)); err != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("got %q, want %q (%v)", got, want, err)
		}
	}
}
