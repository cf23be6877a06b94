// SPDX-License-Identifier: Apache-2.0

//go:build unix

package client

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
		Name   string
		exe    string
		Called string
		Path   string
		links  []string
		want   string // "" is a refusal
	}{
		{
			Name: "Homebrew on Apple silicon", exe: "/opt/homebrew/Cellar/broker/1.2.3/bin/broker",
			links: []string{"/opt/homebrew/bin/broker", "/opt/homebrew/opt/broker/bin/broker"}, want: "/opt/homebrew/bin/broker",
		},
		{
			Name: "Homebrew, called by its link", exe: "/opt/homebrew/bin/broker", want: "/opt/homebrew/bin/broker",
		},
		{
			Name: "Homebrew on Intel", exe: "/usr/local/Cellar/broker/1.2.3_1/bin/broker",
			links: []string{"/usr/local/bin/broker"}, want: "/usr/local/bin/broker",
		},
		{
			Name: "Homebrew on Linux, not linked", exe: "/home/linuxbrew/.linuxbrew/Cellar/broker@1/1.2.3/bin/broker",
			links: []string{"/home/linuxbrew/.linuxbrew/opt/broker@1/bin/broker"}, want: "/home/linuxbrew/.linuxbrew/opt/broker@1/bin/broker",
		},
		{
			Name: "Homebrew HEAD", exe: "/opt/homebrew/Cellar/broker/HEAD-1a2b3c4/bin/broker",
			links: []string{"/opt/homebrew/bin/broker"}, want: "/opt/homebrew/bin/broker",
		},
		{
			Name: "Homebrew cask", exe: "/opt/homebrew/Caskroom/broker/1.2.3/broker",
			links: []string{"/opt/homebrew/bin/broker"}, want: "/opt/homebrew/bin/broker",
		},
		{
			Name: "Homebrew links another release", exe: "/opt/homebrew/Cellar/broker/1.2.3/bin/broker",
			Path: "/opt/homebrew/bin:/usr/bin", want: "",
		},
		{
			Name: "Nix profile", exe: "/nix/store/8lb1-broker-1.2.3/bin/broker", Path: "/home/ann/result/bin:/home/ann/.nix-profile/bin",
			links: []string{"/home/ann/result/bin/broker", "/home/ann/.nix-profile/bin/broker"}, want: "/home/ann/.nix-profile/bin/broker",
		},
		{
			Name: "NixOS", exe: "/nix/store/8lb1-broker-1.2.3/bin/broker",
			links: []string{"/run/current-system/sw/bin/broker"}, want: "/run/current-system/sw/bin/broker",
		},
		{
			Name: "NixOS, a user of its own", exe: "/nix/store/8lb1-broker-1.2.3/bin/broker", Path: "/etc/profiles/per-user/ann/bin",
			links: []string{"/etc/profiles/per-user/ann/bin/broker"}, want: "/etc/profiles/per-user/ann/bin/broker",
		},
		{
			Name: "Nix shell", exe: "/nix/store/8lb1-broker-1.2.3/bin/broker", Path: "/nix/store/8lb1-broker-1.2.3/bin:/usr/bin",
			links: []string{"/nix/store/8lb1-broker-1.2.3/bin/broker"}, want: "",
		},
		{
			Name: "mise", exe: "/home/ann/.local/share/mise/installs/broker/1.2.3/bin/broker", Path: "/home/ann/.local/share/mise/shims",
			links: []string{"/home/ann/.local/share/mise/installs/broker/latest/bin/broker"},
			want:  "/home/ann/.local/share/mise/installs/broker/latest/bin/broker",
		},
		{
			Name: "mise, not the latest", exe: "/home/ann/.local/share/mise/installs/broker/1.2.3/bin/broker",
			Path: "/home/ann/.local/share/mise/shims", want: "",
		},
		{
			Name: "asdf, whose shim is a script", exe: "/home/ann/.asdf/installs/broker/1.2.3/bin/broker", Path: "/home/ann/.asdf/shims", want: "",
		},
		{
			Name: "asdf, with a link of the user's own", exe: "/home/ann/.asdf/installs/broker/1.2.3/bin/broker", Path: "/home/ann/.asdf/shims:/home/ann/bin",
			links: []string{"/home/ann/bin/broker"}, want: "/home/ann/bin/broker",
		},
		{
			Name: "called by a link outside PATH", exe: "/home/ann/.asdf/installs/broker/1.2.3/bin/broker", Called: "/srv/tools/broker",
			links: []string{"/srv/tools/broker"}, want: "/srv/tools/broker",
		},
		{
			Name: "a relative directory in PATH", exe: "/home/ann/.asdf/installs/broker/1.2.3/bin/broker", Path: "bin::.",
			links: []string{"bin/broker", "broker"}, want: "",
		},
		{
			Name: "scoop", exe: "C:/Users/ann/scoop/apps/broker/1.2.3/broker.exe",
			links: []string{"C:/Users/ann/scoop/apps/broker/current/broker.exe"}, want: "C:/Users/ann/scoop/apps/broker/current/broker.exe",
		},
		{
			Name: "scoop, by its shim", exe: "C:/Users/ann/scoop/apps/broker/current/broker.exe", want: "C:/Users/ann/scoop/apps/broker/current/broker.exe",
		},
		{
			Name: "snap", exe: "/snap/broker/42/bin/broker",
			links: []string{"/snap/broker/current/bin/broker"}, want: "/snap/broker/current/bin/broker",
		},
		{Name: "go install", exe: "/home/ann/go/bin/broker", want: "/home/ann/go/bin/broker"},
		{Name: "by hand", exe: "/usr/local/bin/broker", want: "/usr/local/bin/broker"},
		{
			Name: "a link to a build tree", exe: "/home/ann/src/broker/bin/broker", Called: "/home/ann/bin/broker", Path: "/home/ann/bin",
			links: []string{"/home/ann/bin/broker"}, want: "/home/ann/src/broker/bin/broker",
		},
		{Name: "blanks", exe: "/home/ann/My Tools/broker", want: "/home/ann/My Tools/broker"},
		{
			Name: "blanks in a prefix", exe: "/Users/ann/My Brew/Cellar/broker/1.2.3/bin/broker",
			links: []string{"/Users/ann/My Brew/bin/broker"}, want: "/Users/ann/My Brew/bin/broker",
		},
		{Name: "a directory called apps", exe: "/srv/apps/broker/bin/broker", want: "/srv/apps/broker/bin/broker"},
		{Name: "a user called snap", exe: "/home/snap/broker", want: "/home/snap/broker"},
	} {
		t.Run(tt.Name, func(t *testing.T) {
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
				links, versioned := ReleasedAt(tt.exe, home)
				if versioned != (tt.want != tt.exe) || versioned && links[0] != tt.want {
					t.Errorf("links %q, versioned %v, want %s", links, versioned, tt.want)
				}
				return
			}
			got, err := stableProgram(tt.exe, tt.Called, tt.Path, home, same)
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
	dir := t.TempDir()
	exe := filepath.Join(dir, "broker"+ProgramSuffix)
	if err := os.WriteFile(exe, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	a := &App{Exe: filepath.Join(dir, "broker-cli"), Getenv: func(name string) string { return map[string]string{"HOME": t.TempDir()}[name] }}
	if got, err := a.Program(); got != exe || err != nil {
		t.Errorf("program: %q, %v, want %q", got, err, exe)
	}
}
