// SPDX-License-Identifier: Apache-2.0

package client

import (
	"testing"
	"time"
)

func TestParseLifeFlag(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"1h30m": 90 * time.Minute, "12h": 12 * time.Hour, "1d": 24 * time.Hour} {
		d, err := ParseLife(text, true)
		if err != nil || time.Duration(d) != want || d.seconds() != int(want.Seconds()) || d.remaining() > d.seconds() {
			t.Errorf("%q: %v, %v", text, d, err)
		}
	}
	for _, text := range []string{"", "1", "14m", "37h", "x"} {
		if _, err := ParseLife(text, true); err == nil {
			t.Errorf("%q is a duration", text)
		}
	}
	if d, err := ParseLife("", false); d != 0 || err != nil {
		t.Errorf("no flag: %v, %v", d, err)
	}
}
