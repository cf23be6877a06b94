// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// control sends one request to the controls of a Server.
func control(t *testing.T, s *Server, method, path, body string, header ...string) (int, string) {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:4566"+ControlPath+path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		} else {
			req.Header.Set(header[i], header[i+1])
		}
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, req)
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestControls(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	code, err := r.CodeNow(r.serial("bob"))
	if err != nil {
		t.Fatal(err)
	}
	r.call(r.key("ann"), nil, "GetCallerIdentity")
	entry := asJSON(t, r.Log()[0])
	r.newKey(r.key("ann"), "eve") // an account as it is now
	entry += "\n" + asJSON(t, r.Log()[1])
	document, err := r.Document("http://127.0.0.1:4566", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"log", "GET", "log", "", 200, entry},
		{"account", "GET", "account", "", 200, strings.TrimSpace(string(document))},
		{"code", "POST", "code", `{"serialNumber":"` + r.serial("bob") + `"}`, 200, `{"code":"` + code + `"}`},
		{"code of a passkey", "POST", "code", `{"serialNumber":"` + r.serial("cleo") + `"}`, 400, `{"error":"show code of ` + r.serial("cleo") + `: a passkey has no codes"}`},
		{"not JSON", "POST", "code", "now", 400, `{"error":"the request is not the JSON that this control takes"}`},
		{"set", "POST", "set", `["policy=quarantine","now=+1m"]`, 200, "{}"},
		{"set what is not there", "POST", "set", `["colour=red"]`, 400, `{"error":"set colour=red: no such knob; the knobs are ` + knobNames + `"}`},
		{"set without a list", "POST", "set", `"now=+1m"`, 400, `{"error":"the request is not the JSON that this control takes"}`},
		{"reset", "POST", "reset", "", 200, "{}"},
		{"log after reset", "GET", "log", "", 200, ""},
		{"another control", "POST", "stop", "", 400, `{"error":"no such control"}`},
		{"another method", "GET", "reset", "", 400, `{"error":"no such control"}`},
	} {
		status, got := control(t, r.Server, tt.method, tt.path, tt.body)
		if status != tt.status || got != tt.want {
			t.Errorf("%s: %d %s, want %d %s", tt.name, status, got, tt.status, tt.want)
		}
	}
	if n := len(r.Log()); n != 0 {
		t.Errorf("controls are in the log: %d entries", n)
	}
}

func TestControlsRefuseBrowsers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, header := range [][]string{
		{"Origin", "https://example.com"},
		{"Origin", "null"},
		{"Referer", "http://127.0.0.1:4566/"},
		{"Sec-Fetch-Site", "none"},
		{"Host", "example.com"},
		{"Host", "127.0.0.1.example.com:4566"},
		{"Host", "10.0.0.1:4566"},
	} {
		if status, got := control(t, r.Server, "POST", "reset", "", header...); status != http.StatusForbidden {
			t.Errorf("%v: %d %s", header, status, got)
		}
	}
	for _, host := range []string{"127.0.0.1", "localhost:4566", "[::1]:4566", "[::1]"} {
		if status, got := control(t, r.Server, "POST", "reset", "", "Host", host); status != http.StatusOK {
			t.Errorf("%s: %d %s", host, status, got)
		}
	}
}

func TestLogFollows(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	server := httptest.NewServer(r.Server)
	defer server.Close()
	r.call(r.key("ann"), nil, "GetUser")

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+ControlPath+"log?follow=1", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	next := func() (e Entry) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the log ended: %v", lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		return e
	}
	if e := next(); e.Action != "GetUser" {
		t.Errorf("first %s", e.Action)
	}
	r.call(r.key("ann"), nil, "ListMFADevices")
	if e := next(); e.Action != "ListMFADevices" {
		t.Errorf("then %s", e.Action)
	}
	r.Reset()
	r.call(r.key("ann"), nil, "GetCallerIdentity")
	if e := next(); e.Action != "GetCallerIdentity" {
		t.Errorf("after a reset %s", e.Action)
	}
}
