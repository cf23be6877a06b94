// SPDX-License-Identifier: Apache-2.0

//go:build linux

package ipc

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
)

// TestProtocolWindow: a server of protocol N serves N and N-1, and says to
// every other client which versions there are and whose turn it is.
func TestProtocolWindow(t *testing.T) {
	for _, tt := range []struct {
		server, client int
		message, hint  string // "" if it is served
	}{
		{1, 1, "", ""},
		{1, 0, "speaks protocol 1", "client is the older"},
		{1, 2, "speaks protocol 1", "kill 4711"},
		{2, 2, "", ""},
		{2, 1, "", ""},
		{2, 0, "speaks protocols 1 and 2", "client is the older"},
		{2, 3, "speaks protocols 1 and 2", "kill 4711"},
		{3, 3, "", ""},
		{3, 2, "", ""},
		{3, 1, "speaks protocols 2 and 3", "client is the older"},
		{3, 4, "speaks protocols 2 and 3", "kill 4711"},
		{3, 255, "speaks protocols 2 and 3", "kill 4711"},
		{3, -1, "speaks protocols 2 and 3", "client is the older"},
	} {
		t.Run(fmt.Sprintf("%d meets %d", tt.server, tt.client), func(t *testing.T) {
			s := server{name: "brokerd 1.2.0", log: slog.New(slog.DiscardHandler), pid: 4711, protocol: tt.server}
			client, conn := connPair(t)
			go s.serve(t.Context(), conn, Peer{}, nil, testHandler)
			if _, err := fmt.Fprintf(client, `{"v":%d,"op":"hello","later":{}}`+"\n", tt.client); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(client).ReadBytes('\n')
			if err != nil {
				t.Fatal(err)
			}
			var r Reply
			if err := json.Unmarshal(line, &r); err != nil {
				t.Fatal(err)
			}
			if tt.message == "" {
				if r.Error != nil || r.Result == nil {
					t.Errorf("it says %s, want a result", line)
				}
				return
			}
			want := fmt.Sprintf("the client speaks protocol %d, and brokerd 1.2.0 %s", tt.client, tt.message)
			if r.Error == nil || r.Error.Code != CodeProtocol || r.Error.Message != want || !strings.Contains(r.Error.Hint, tt.hint) {
				t.Errorf("it says %s, want %q and %q", line, want, tt.hint)
			}
		})
	}
}

// TestWorkerOfAnotherRelease: nobody can end a worker, it has ended.
func TestWorkerOfAnotherRelease(t *testing.T) {
	var out strings.Builder
	if err := ServeOne(t.Context(), strings.NewReader(`{"v":9,"op":"probe"}`+"\n"), &out, testHandler); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "install all programs of one release") {
		t.Errorf("it says %s", out.String())
	}
	if err := ServeOne(t.Context(), strings.NewReader(""), io.Discard, testHandler); err == nil {
		t.Error("a worker without a request says nothing of it")
	}
}
