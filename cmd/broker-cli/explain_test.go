// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"credbroker/internal/client"
)

// go test ./cmd/broker-cli -run TestExplanationText -update writes them anew.
var update = flag.Bool("update", false, "write the files that tests compare with")

// TestExplanationText holds what people read against golden files. What is
// explained is what the daemon's own tests hold.
func TestExplanationText(t *testing.T) {
	t.Parallel()
	plans, err := filepath.Glob(filepath.Join("..", "..", "broker", "testdata", "explain", "*.json"))
	if err != nil || len(plans) < 10 {
		t.Fatalf("%d plans, %v", len(plans), err)
	}
	for _, plan := range plans {
		name := strings.TrimSuffix(filepath.Base(plan), ".json")
		data, err := os.ReadFile(plan)
		if err != nil {
			t.Fatal(err)
		}
		var x explained
		if err := json.Unmarshal(data, &x); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		(&app{App: &client.App{Stdout: &out}}).printExplanation(x, time.Date(2000, 1, 1, 0, 30, 0, 0, time.UTC))
		golden := filepath.Join("testdata", "explain", name+".txt")
		if *update {
			if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), want) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, &out, want)
		}
	}
}

func TestUntil(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 2*3600)
	now := time.Date(2026, 1, 2, 23, 30, 0, 0, zone)
	for _, tt := range []struct {
		t    time.Time
		want string
	}{
		{time.Date(2026, 1, 2, 21, 45, 0, 0, time.UTC), "23:45 (15m)"},
		{time.Date(2026, 1, 2, 22, 30, 0, 0, time.UTC), "2026-01-03 00:30 (1h0m)"},
	} {
		if got := until(tt.t, now); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.t, got, tt.want)
		}
	}
}
