// SPDX-License-Identifier: Apache-2.0

//go:build linux

package ipc

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite what the server says in testdata/*.txt")

// TestTranscripts replays testdata. A line of a transcript is
//
//	C: text          the client sends text and a newline
//	C" "text"        the client sends a Go string, as it is
//	C* 9 "text"      the client sends a Go string, nine times
//	C.               the client closes its side
//	S: text          the server sends text and a newline
//	S.               the server closes the connection
//
// and anything else is a comment.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("testdata: %d transcripts, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := replay(t, strings.Split(strings.TrimSuffix(string(data), "\n"), "\n"))
			text := strings.Join(got, "\n") + "\n"
			if text == string(data) {
				return
			}
			if *update {
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("the conversation went differently:\n%s\nwant:\n%s", text, data)
		})
	}
}

// TestDocTranscript replays the transcript in the package's documentation.
func TestDocTranscript(t *testing.T) {
	data, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "//"))
		if strings.HasPrefix(line, "C: ") || strings.HasPrefix(line, "S: ") || line == "S." {
			lines = append(lines, line)
		}
	}
	if len(lines) < 5 {
		t.Fatalf("doc.go has a transcript of %d lines", len(lines))
	}
	got := replay(t, lines)
	for i := range lines {
		if got[i] != lines[i] {
			t.Errorf("line %d:\n%s\nwant:\n%s", i+1, got[i], lines[i])
		}
	}
}

// replay has the conversation and returns it with what the server said.
func replay(t *testing.T, script []string) []string {
	t.Helper()
	client, conn := connPair(t)
	done := make(chan struct{})
	s := server{name: "brokerd 1.2.0", log: slog.New(slog.DiscardHandler), budget: make(chan struct{}, 1), pid: 4711}
	go func() {
		defer close(done)
		s.serve(t.Context(), conn, Peer{PID: 4711}, nil, testHandler)
	}()
	t.Cleanup(func() { <-done })
	if err := client.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(client)
	var got []string
	for _, line := range script {
		switch {
		case strings.HasPrefix(line, "C"):
			say(t, client, line)
		case line == "S.", strings.HasPrefix(line, "S:"):
			text, err := r.ReadString('\n')
			switch {
			case err == nil:
				line = "S: " + strings.TrimSuffix(text, "\n")
			case errors.Is(err, os.ErrDeadlineExceeded):
				line = "S: (nothing)"
			default: // closed, orderly or with something of ours unread
				line = "S." + text
			}
		}
		got = append(got, line)
	}
	return got
}

func say(t *testing.T, conn *net.UnixConn, line string) {
	t.Helper()
	text, count := "", 1
	var err error
	switch {
	case strings.HasPrefix(line, "C: "):
		text = line[3:] + "\n"
	case strings.HasPrefix(line, `C" `):
		text, err = strconv.Unquote(line[3:])
	case strings.HasPrefix(line, "C* "):
		_, err = fmt.Sscanf(line[3:], "%d %q", &count, &text)
	case line == "C.":
		err = conn.CloseWrite()
	default:
		t.Fatalf("bad line in transcript: %s", line)
	}
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	// The server may have closed already: then what it said follows.
	_, _ = io.WriteString(conn, strings.Repeat(text, count))
}
