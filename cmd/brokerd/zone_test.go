// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// TestZone: whoever lands somewhere else is left alone at night there.
func TestZone(t *testing.T) {
	t.Parallel()
	source := filepath.Join("/usr/share/zoneinfo", "Asia", "Tokyo")
	tokyo, err := os.ReadFile(source)
	if err != nil {
		tokyo = []byte("TZif2") // a machine without zones: what cannot be read is passed over
	}
	file := filepath.Join(t.TempDir(), "localtime")
	if got := zone("", false, file); got != time.Local {
		t.Errorf("without a file: %v", got)
	}
	if werr := os.WriteFile(file, []byte("nonsense"), 0o600); werr != nil {
		t.Fatal(werr)
	}
	if got := zone("", false, file); got != time.Local {
		t.Errorf("a broken file: %v", got)
	}
	if werr := os.WriteFile(file, tokyo, 0o600); werr != nil {
		t.Fatal(werr)
	}
	noon := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	if got := noon.In(zone("", false, file)).Hour(); err == nil && got != 21 {
		t.Errorf("noon in London is %d o'clock in Tokyo", got)
	}
	if got := zone("", true, file); got != time.UTC {
		t.Errorf("an empty TZ: %v", got)
	}
	if got := zone("No/Where", true, file); got != time.Local {
		t.Errorf("a TZ that is none: %v", got)
	}
	if _, err := time.LoadLocation("Asia/Tokyo"); err == nil && runtime.GOOS != "windows" {
		if got := noon.In(zone("Asia/Tokyo", true, file)).Hour(); got != 21 {
			t.Errorf("by TZ it is %d o'clock", got)
		}
	}
}
