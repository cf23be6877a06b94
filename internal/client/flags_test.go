// SPDX-License-Identifier: Apache-2.0

package client

import "testing"

func TestDidYouMean(t *testing.T) {
	names := []string{"status", "list", "ls", "add", "remove", "--json", "--profile"}
	for _, test := range []struct{ given, want string }{
		{"stauts", "status"},  // swapped
		{"sttus", "status"},   // missing
		{"statuss", "status"}, // added
		{"stetus", "status"},  // another
		{"stat", "status"},    // begun
		{"lst", "list"},
		{"ad", "add"},
		{"--jsn", "--json"},
		{"--p", "--profile"},
		{"frob", ""},
		{"delete", ""},
		{"--frob", ""},
		{"", ""},
		{"statistics", ""},
	} {
		want := ""
		if test.want != "" {
			want = "did you mean " + test.want + "?"
		}
		if got := didYouMean(test.given, names); got != want {
			t.Errorf("didYouMean(%q) = %q, want %q", test.given, got, want)
		}
	}
}
