// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"strings"
	"testing"
	"time"
)

func TestQuietHours(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		hours string
		in    string
		out   string
	}{
		{"22:00-08:00", "22:00 23:59 00:00 07:59", "08:00 12:00 21:59"},
		{"12:30-14:00", "12:30 13:59", "12:29 14:00 00:00"},
		{"23:59-00:01", "23:59 00:00", "00:01 23:58"},
		{"off", "", "00:00 03:00 12:00"},
	} {
		s, err := ParseSettings("config", []byte("[nag]\nquiet_hours = "+tt.hours+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Nag.Quiet.String(); got != tt.hours {
			t.Errorf("%s is written as %s", tt.hours, got)
		}
		for want, times := range map[bool]string{true: tt.in, false: tt.out} {
			for _, text := range strings.Fields(times) {
				at, err := time.Parse("15:04", text)
				if err != nil {
					t.Fatal(err)
				}
				if s.Nag.Quiet.Contains(at) != want {
					t.Errorf("%s is in %s: %v", text, tt.hours, !want)
				}
			}
		}
	}
}

// What says that there is none is read back as that, and not as the default.
func TestOffIsRendered(t *testing.T) {
	t.Parallel()
	s := DefaultSettings()
	s.Rotation.MaxAge, s.Rotation.UnusedAfter = Off, Off
	s.Nag.Channels, s.Nag.Quiet = nil, QuietHours{}
	data, err := Render(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"max_age = off", "unused_after = off", "channels = off", "quiet_hours = off"} {
		if !strings.Contains(string(data), line+"\n") {
			t.Errorf("%q is missing from\n%s", line, data)
		}
	}
	got, err := ParseSettings("config", data)
	if err != nil || !sameSettings(got, s) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestMaxAgeOfAProfile(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"": 0, "30d": 30 * day, "off": Off} {
		dir := t.TempDir()
		c, err := LoadBytes(Files{Config: dir + "/config", Credentials: dir + "/credentials"}, []byte("[profile dev]\nbroker_max_age = "+text+"\n"), nil)
		if err != nil {
			t.Fatal(err)
		}
		route, err := c.Route("dev", func(string) (string, bool) { return "AKIAANNANNANNANNANN1", true })
		if err != nil || route.Profile().MaxAge != want {
			t.Errorf("%q: %v, %v", text, route.Profile().MaxAge, err)
		}
	}
}
