// SPDX-License-Identifier: Apache-2.0

//go:build linux

package ipc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

const askRequest = `{"v":1,"op":"x","ask":"terminal"}` + "\n"

// converse serves one conversation in memory with h and returns the client's end.
func converse(t *testing.T, h Handler) (net.Conn, *bufio.Reader) {
	t.Helper()
	client, conn := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		ServeConn(t.Context(), conn, Peer{}, h)
	}()
	t.Cleanup(func() {
		_ = client.Close()
		<-done
	})
	return client, bufio.NewReader(client)
}

func write(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatalf("write %q: %v", text, err)
	}
}

func wantLine(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	got, err := r.ReadString('\n')
	if err != nil || strings.TrimSpace(got) != want {
		t.Errorf("server says %q, %v, want %q", got, err, want)
	}
}

func TestPromptIsWithdrawnAndTheConversationGoesOn(t *testing.T) {
	answeredElsewhere := errors.New("answered elsewhere")
	client, r := converse(t, func(ctx context.Context, c *Conversation) (json.RawMessage, error) {
		pctx, cancel := context.WithCancelCause(ctx)
		time.AfterFunc(time.Millisecond, func() { cancel(answeredElsewhere) })
		if _, err := c.Prompt(pctx, testPrompt(1, "")); !errors.Is(err, answeredElsewhere) {
			t.Errorf("Prompt: %v, want the cause of its context", err)
		}
		if _, err := c.Prompt(pctx, testPrompt(1, "")); !errors.Is(err, answeredElsewhere) {
			t.Errorf("Prompt on an ended context: %v", err)
		}
		answer, err := c.Prompt(ctx, testPrompt(2, ""))
		if answer != "654321" || err != nil {
			t.Errorf("second prompt: %q, %v", answer, err)
		}
		return nil, nil
	})
	write(t, client, askRequest)
	if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, `"attempt":1`) {
		t.Fatalf("server says %q, %v", line, err)
	}
	wantLine(t, r, `{"event":{"withdrawn":true}}`)
	if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, `"attempt":2`) {
		t.Fatalf("server says %q, %v", line, err)
	}
	write(t, client, `{"answer":"654321","attempt":2}`+"\n")
	wantLine(t, r, `{"result":{}}`)
}

func TestAnyLineEndsAPrompt(t *testing.T) {
	client, r := converse(t, func(ctx context.Context, c *Conversation) (json.RawMessage, error) {
		got := make(chan error)
		go func() {
			_, err := c.Prompt(ctx, testPrompt(1, ""))
			got <- err
		}()
		waitFor(t, "the prompt to be open", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.open != nil
		})
		if err := c.Event("row"); err != nil {
			return nil, err
		}
		return nil, <-got
	})
	write(t, client, askRequest)
	if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, `"prompt"`) {
		t.Fatalf("server says %q, %v", line, err)
	}
	wantLine(t, r, `{"event":"row"}`)
	wantLine(t, r, `{"error":{"code":"internal","message":"the prompt was withdrawn"}}`)
}

func TestHandlerContextEndsWithTheClient(t *testing.T) {
	for _, tt := range []struct{ name, op string }{{"waiting", "wait"}, {"asking", "credentials"}} {
		t.Run(tt.name, func(t *testing.T) {
			ended := make(chan error, 1)
			client, r := converse(t, func(ctx context.Context, c *Conversation) (json.RawMessage, error) {
				result, err := testHandler(ctx, c)
				ended <- context.Cause(ctx)
				return result, err
			})
			write(t, client, `{"v":1,"op":"`+tt.op+`","ask":"tty"}`+"\n")
			if tt.op == "credentials" {
				if _, err := r.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
			if err := client.Close(); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; !errors.Is(err, errGone) {
				t.Errorf("context ended with %v, want %v", err, errGone)
			}
		})
	}
}

func TestP45FirstLineHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, r := converse(t, testHandler)
		write(t, client, `{"v":1,`)
		begin := time.Now()
		rest, err := io.ReadAll(r)
		if len(rest) != 0 || err != nil {
			t.Errorf("server says %q, %v, want the end", rest, err)
		}
		if took := time.Since(begin); took != firstLineTime {
			t.Errorf("the server waits %v for a request, want %v", took, firstLineTime)
		}
	})
}

func TestF43ClientThatDoesNotReadIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		client, _ := converse(t, func(ctx context.Context, c *Conversation) (json.RawMessage, error) {
			begin := time.Now()
			err := c.Event("row") // a pipe in memory has no buffer
			if took := time.Since(begin); took != writeTime || !errors.Is(err, errGone) {
				t.Errorf("Event returns after %v with %v, want %v and %v", took, err, writeTime, errGone)
			}
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return nil, ctx.Err()
		})
		write(t, client, askRequest)
		if err := <-ended; !errors.Is(err, errGone) {
			t.Errorf("context ended with %v, want %v", err, errGone)
		}
	})
}

func TestDeadlineIsClamped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, r := converse(t, testHandler)
		write(t, client, `{"v":1,"op":"wait","deadline":99999999999}`+"\n")
		begin := time.Now()
		wantLine(t, r, `{"error":{"code":"deadline","message":"the client's deadline is over"}}`)
		if took := time.Since(begin); took != maxDeadline {
			t.Errorf("the deadline is %v, want %v", took, maxDeadline)
		}
	})
}

func TestTooManyAnswersEndTheConversation(t *testing.T) {
	client, conn := connPair(t)
	go ServeConn(t.Context(), conn, Peer{}, testHandler)
	write(t, client, `{"v":1,"op":"wait"}`+"\n"+strings.Repeat("{\"answer\":\"1\"}\n", maxAnswers))
	wantLine(t, bufio.NewReader(client), `{"error":{"code":"protocol","message":"too many answers"}}`)
}

func TestServerThatEndsSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	client, conn := net.Pipe()
	go ServeConn(ctx, conn, Peer{}, func(ctx context.Context, c *Conversation) (json.RawMessage, error) {
		cancel(errors.New("SIGTERM")) // as signal.NotifyContext does
		return testHandler(ctx, c)
	})
	write(t, client, `{"v":1,"op":"wait"}`+"\n")
	wantLine(t, bufio.NewReader(client),
		`{"error":{"code":"no_daemon","message":"the daemon is shutting down","hint":"run the command again: it starts a new daemon"}}`)
}

func TestErrorsFitIntoALine(t *testing.T) {
	client, r := converse(t, func(context.Context, *Conversation) (json.RawMessage, error) {
		return nil, &Error{Code: CodeNoKey, Message: strings.Repeat("\x01", MaxLine), Hint: strings.Repeat("é", MaxLine)}
	})
	write(t, client, askRequest)
	line, err := r.ReadString('\n')
	if err != nil || len(line) > MaxLine || !strings.Contains(line, `"no_key"`) {
		t.Errorf("server says %d bytes, %v", len(line), err)
	}
}

func TestF44PassedDescriptorsAreClosed(t *testing.T) {
	client, conn := connPair(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ServeConn(t.Context(), conn, Peer{}, testHandler)
	}()
	pr, pw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pr.Close() }()
	if _, _, err := client.WriteMsgUnix([]byte(`{"v":1,"op":"wait"}`+"\n"), unix.UnixRights(int(pw.Fd())), nil); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(pw.Close(), pr.SetReadDeadline(time.Now().Add(20*time.Second))); err != nil {
		t.Fatal(err)
	}
	// The pipe ends when the last of its writing ends is closed, and the
	// conversation goes on.
	if n, err := pr.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("read the pipe: %d, %v, want its end", n, err)
	}
	select {
	case <-done:
		t.Error("the conversation ended")
	default:
	}
	_ = client.Close()
	<-done
}

func TestServeOne(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"result", `{"v":1,"op":"echo","params":{"a":1}}` + "\n", `{"result":{"a":1}}`},
		{"nobody to ask", `{"v":1,"op":"credentials","ask":"terminal"}` + "\n", `{"error":{"code":"mfa_required","message":"nobody can be asked","hint":"run broker mfa"}}`},
		{"error", `{"v":1,"op":"defect"}` + "\n", `{"error":{"code":"internal","message":"a shelf fell down"}}`},
		{"version", `{"v":2,"op":"echo"}` + "\n", `{"error":{"code":"protocol","message":"the client speaks protocol 2, and broker-vault speaks protocol 1","hint":"broker-vault is the older one: install all programs of one release"}}`},
		{"too long", strings.Repeat("x", MaxLine+1), `{"error":{"code":"protocol","message":"the request is too long: line is over 65536 bytes"}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			if err := ServeOne(t.Context(), strings.NewReader(tt.in), &out, testHandler); err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimSpace(out.String()); got != tt.want {
				t.Errorf("worker says %s, want %s", got, tt.want)
			}
		})
	}
	if err := ServeOne(t.Context(), strings.NewReader(`{"v":1`), io.Discard, testHandler); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("half a request: %v", err)
	}
	r, w := io.Pipe()
	_ = r.Close()
	if err := ServeOne(t.Context(), strings.NewReader(`{"v":1,"op":"echo"}`+"\n"), w, testHandler); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("closed standard output: %v", err)
	}
}

func TestErrorIs(t *testing.T) {
	cause := errors.New("cause")
	err := error(&Error{Code: CodeNoKey, Message: "no key", cause: cause})
	for _, tt := range []struct {
		target error
		want   bool
	}{
		{&Error{Code: CodeNoKey}, true},
		{&Error{Code: CodeNoKey, Message: "other"}, false},
		{&Error{Code: CodeBusy}, false},
		{cause, true},
		{io.EOF, false},
	} {
		if got := errors.Is(err, tt.target); got != tt.want {
			t.Errorf("errors.Is(err, %#v) = %v, want %v", tt.target, got, tt.want)
		}
	}
}

// FuzzServe sends any bytes to a server. It sends back lines that a client can
// read, at most one result or error, which is the last line, and it closes.
func FuzzServe(f *testing.F) {
	f.Add([]byte(`{"v":1,"op":"hello"}` + "\n"))
	f.Add([]byte(`{"v":1,"op":"credentials","params":{"profile":"dev"},"ask":"tty"}` + "\n" + `{"answer":"1"}` + "\n" + `{"answer":"123456"}` + "\n"))
	f.Add([]byte(`{"v":255}` + "\n"))
	f.Add([]byte("{\"v\":1,\"op\":\"rows\"}\nnonsense\n"))
	f.Add([]byte("{\"v\":1,\"op\":\"\xff\"}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		client, conn := connPair(t)
		done := make(chan struct{})
		go func() {
			defer close(done)
			s := server{name: "brokerd 1.2.0", log: (&logBuffer{}).logger(), budget: make(chan struct{}, 1)}
			s.serve(t.Context(), conn, Peer{}, nil, testHandler)
		}()
		if err := client.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = client.Write(data)
			_ = client.CloseWrite()
		}()
		checkReplies(t, client)
		<-done
	})
}

func checkReplies(t *testing.T, r io.Reader) {
	t.Helper()
	last := false
	in := newLineReader(r, nil)
	for {
		line, err := in.next()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, unix.ECONNRESET):
			return
		case err != nil:
			t.Fatalf("the server does not close: %v", err)
		case last:
			t.Fatalf("line after the last: %s", line)
		}
		var reply Reply
		if err := json.Unmarshal(line, &reply); err != nil {
			t.Fatalf("bad line %q: %v", line, err)
		}
		last = reply.Result != nil || reply.Error != nil
		if !last && reply.Prompt == nil && reply.Event == nil {
			t.Fatalf("empty line %q", line)
		}
	}
}
