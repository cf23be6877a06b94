// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"credbroker/internal/ipc"
)

// TestStableProgram: which path of broker goes into a file. links are those that
// lead to exe; what is not named leads elsewhere, or nowhere.
func TestStableProgram(t *testing.T) {
	const home = "/home/ann"
	for _, tt := range []struct {
		name   string
		exe    string
		called string
		path   string
		links  []string
		want   string // "" is a refusal
	}{
		{
			name: "Homebrew on Apple silicon", exe: "/opt/homebrew/Cellar/broker/1.2.3/bin/broker",
			links: []string{"/opt/homebrew/bin/broker", "/opt/homebrew/opt/broker/bin/broker"}, want: "/opt/homebrew/bin/broker",
		},
		{
			name: "Homebrew, called by its link", exe: "/opt/homebrew/bin/broker", want: "/opt/homebrew/bin/broker",
		},
		{
			name: "Homebrew on Intel", exe: "/usr/local/Cellar/broker/1.2.3_1/bin/broker",
			links: []string{"/usr/local/bin/broker"}, want: "/usr/local/bin/broker",
		},
		{
			name: "Homebrew on Linux, not linked", exe: "/home/linuxbrew/.linuxbrew/Cellar/broker@1/1.2.3/bin/broker",
			links: []string{"/home/linuxbrew/.linuxbrew/opt/broker@1/bin/broker"}, want: "/home/linuxbrew/.linuxbrew/opt/broker@1/bin/broker",
		},
		{
			name: "Homebrew HEAD", exe: "/opt/homebrew/Cellar/broker/HEAD-1a2b3c4/bin/broker",
			links: []string{"/opt/homebrew/bin/broker"}, want: "/opt/homebrew/bin/broker",
		},
		{
			name: "Homebrew cask", exe: "/opt/homebrew/Caskroom/broker/1.2.3/broker",
			links: []string{"/opt/homebrew/bin/broker"}, want: "/opt/homebrew/bin/broker",
		},
		{
			name: "Homebrew links another release", exe: "/opt/homebrew/Cellar/broker/1.2.3/bin/broker",
			path: "/opt/homebrew/bin:/usr/bin", want: "",
		},
		{
			name: "Nix profile", exe: "/nix/store/8lb1-broker-1.2.3/bin/broker", path: "/home/ann/result/bin:/home/ann/.nix-profile/bin",
			links: []string{"/home/ann/result/bin/broker", "/home/ann/.nix-profile/bin/broker"}, want: "/home/ann/.nix-profile/bin/broker",
		},
		{
			name: "NixOS", exe: "/nix/store/8lb1-broker-1.2.3/bin/broker",
			links: []string{"/run/current-system/sw/bin/broker"}, want: "/run/current-system/sw/bin/broker",
		},
		{
			name: "NixOS, a user of its own", exe: "/nix/store/8lb1-broker-1.2.3/bin/broker", path: "/etc/profiles/per-user/ann/bin",
			links: []string{"/etc/profiles/per-user/ann/bin/broker"}, want: "/etc/profiles/per-user/ann/bin/broker",
		},
		{
			name: "Nix shell", exe: "/nix/store/8lb1-broker-1.2.3/bin/broker", path: "/nix/store/8lb1-broker-1.2.3/bin:/usr/bin",
			links: []string{"/nix/store/8lb1-broker-1.2.3/bin/broker"}, want: "",
		},
		{
			name: "mise", exe: "/home/ann/.local/share/mise/installs/broker/1.2.3/bin/broker", path: "/home/ann/.local/share/mise/shims",
			links: []string{"/home/ann/.local/share/mise/installs/broker/latest/bin/broker"},
			want:  "/home/ann/.local/share/mise/installs/broker/latest/bin/broker",
		},
		{
			name: "mise, not the latest", exe: "/home/ann/.local/share/mise/installs/broker/1.2.3/bin/broker",
			path: "/home/ann/.local/share/mise/shims", want: "",
		},
		{
			name: "asdf, whose shim is a script", exe: "/home/ann/.asdf/installs/broker/1.2.3/bin/broker", path: "/home/ann/.asdf/shims", want: "",
		},
		{
			name: "asdf, with a link of the user's own", exe: "/home/ann/.asdf/installs/broker/1.2.3/bin/broker", path: "/home/ann/.asdf/shims:/home/ann/bin",
			links: []string{"/home/ann/bin/broker"}, want: "/home/ann/bin/broker",
		},
		{
			name: "called by a link outside PATH", exe: "/home/ann/.asdf/installs/broker/1.2.3/bin/broker", called: "/srv/tools/broker",
			links: []string{"/srv/tools/broker"}, want: "/srv/tools/broker",
		},
		{
			name: "a relative directory in PATH", exe: "/home/ann/.asdf/installs/broker/1.2.3/bin/broker", path: "bin::.",
			links: []string{"bin/broker", "broker"}, want: "",
		},
		{
			name: "scoop", exe: "C:/Users/ann/scoop/apps/broker/1.2.3/broker.exe",
			links: []string{"C:/Users/ann/scoop/apps/broker/current/broker.exe"}, want: "C:/Users/ann/scoop/apps/broker/current/broker.exe",
		},
		{
			name: "scoop, by its shim", exe: "C:/Users/ann/scoop/apps/broker/current/broker.exe", want: "C:/Users/ann/scoop/apps/broker/current/broker.exe",
		},
		{
			name: "snap", exe: "/snap/broker/42/bin/broker",
			links: []string{"/snap/broker/current/bin/broker"}, want: "/snap/broker/current/bin/broker",
		},
		{name: "go install", exe: "/home/ann/go/bin/broker", want: "/home/ann/go/bin/broker"},
		{name: "by hand", exe: "/usr/local/bin/broker", want: "/usr/local/bin/broker"},
		{
			name: "a link to a build tree", exe: "/home/ann/src/broker/bin/broker", called: "/home/ann/bin/broker", path: "/home/ann/bin",
			links: []string{"/home/ann/bin/broker"}, want: "/home/ann/src/broker/bin/broker",
		},
		{name: "blanks", exe: "/home/ann/My Tools/broker", want: "/home/ann/My Tools/broker"},
		{
			name: "blanks in a prefix", exe: "/Users/ann/My Brew/Cellar/broker/1.2.3/bin/broker",
			links: []string{"/Users/ann/My Brew/bin/broker"}, want: "/Users/ann/My Brew/bin/broker",
		},
		{name: "a directory called apps", exe: "/srv/apps/broker/bin/broker", want: "/srv/apps/broker/bin/broker"},
		{name: "a user called snap", exe: "/home/snap/broker", want: "/home/snap/broker"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			same := func(a, b string) bool {
				if b != tt.exe {
					t.Errorf("compared %s with %s", a, b)
				}
				for _, link := range tt.links {
					if filepath.ToSlash(a) == link {
						return true
					}
				}
				return a == b
			}
			if strings.HasPrefix(tt.want, "C:") { // no absolute path here: what is looked for counts
				links, versioned := releasedAt(tt.exe, home)
				if versioned != (tt.want != tt.exe) || versioned && links[0] != tt.want {
					t.Errorf("links %q, versioned %v, want %s", links, versioned, tt.want)
				}
				return
			}
			got, err := stableProgram(tt.exe, tt.called, tt.path, home, same)
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
			var e *ipc.Error
			if err != nil && (!errors.As(err, &e) || e.Code != ipc.CodeRefused || !strings.Contains(e.Message, tt.exe) || e.Hint == "") {
				t.Errorf("the refusal: %#v", err)
			}
		})
	}
}

// TestProgramOfThisTest: a program that is installed nowhere in particular is
// where it is, by whatever link it was called.
func TestProgramOfThisTest(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	a := &App{getenv: func(name string) string { return map[string]string{"HOME": t.TempDir()}[name] }}
	if got, err := a.program(); got != exe || err != nil {
		t.Errorf("program: %q, %v, want %q", got, err, exe)
	}
}
