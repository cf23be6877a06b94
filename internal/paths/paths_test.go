// SPDX-License-Identifier: Apache-2.0

//go:build unix && !darwin

package paths

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// env returns a getenv of the "NAME=value" words.
func env(words ...string) func(string) string {
	return func(name string) string {
		for _, w := range words {
			if k, v, _ := strings.Cut(w, "="); k == name {
				return v
			}
		}
		return ""
	}
}

// testHost has no runtime directory, and homes from home.
func testHost(t *testing.T, home string) host {
	t.Helper()
	return host{run: filepath.Join(t.TempDir(), "run"), tmp: "/tmp", passwd: func(int) (string, error) { return home, nil }}
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "b-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestDefaults(t *testing.T) {
	home := shortDir(t)
	h := testHost(t, home)
	state, config := home+"/.local/state/broker", home+"/.config/broker"
	want := Places{
		Home: home, ConfigFile: config + "/config", LocationFile: config + "/location", EnvironmentFile: config + "/environment",
		StateDir: state, StateFile: state + "/state.json", LogFile: state + "/brokerd.log", VaultDir: state + "/vault",
		RuntimeDir: state, Socket: state + "/broker.sock", LockFile: state + "/brokerd.lock", HolderSocket: state + "/vault.sock", OverlayDir: state + "/overlays",
		AWSConfigFile: home + "/.aws/config", AWSCredentialsFile: home + "/.aws/credentials",
	}
	for _, tt := range []struct {
		name string
		env  []string
	}{
		{"login shell", []string{"HOME=" + home, "XDG_CONFIG_HOME=/x", "XDG_STATE_HOME=/x", "XDG_RUNTIME_DIR=/x", "AWS_CONFIG_FILE=/x"}},
		{"env -i", nil},
		{"home is not clean", []string{"HOME=" + home + "//."}},
	} {
		got, err := find(h, env(tt.env...), os.Getuid())
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v\nwant %+v", tt.name, got, err, want)
		}
	}
	if entries, err := os.ReadDir(home); err != nil || len(entries) != 0 {
		t.Errorf("looking for the places made %v, %v", entries, err)
	}
}

func TestEveryPlaceIsAbsolute(t *testing.T) {
	p, err := Find(env("HOME=/home/ann"), os.Getuid())
	if err != nil {
		t.Fatal(err)
	}
	for v, i := reflect.ValueOf(p), 0; i < v.NumField(); i++ {
		if path := v.Field(i).String(); !filepath.IsAbs(path) || filepath.Clean(path) != path {
			t.Errorf("%s is %q", v.Type().Field(i).Name, path)
		}
	}
}

func TestPasswdHome(t *testing.T) {
	if home, err := passwdHome(0); err != nil || !filepath.IsAbs(home) {
		t.Errorf("home of uid 0: %q, %v", home, err)
	}
	if home, err := passwdHome(123456789); err == nil {
		t.Errorf("home of nobody: %q", home)
	}
}

func TestRuntimeDirectory(t *testing.T) {
	home := shortDir(t)
	for _, tt := range []struct {
		name  string
		uid   int
		plant func(run string) error
		used  bool
	}{
		{"ours", os.Getuid(), func(run string) error { return os.MkdirAll(run, 0o700) }, true},
		{"missing", os.Getuid(), func(string) error { return nil }, false},
		{"of another", 1002, func(run string) error { return os.MkdirAll(run, 0o700) }, false},
		{"a link", os.Getuid(), func(run string) error {
			return errors.Join(os.MkdirAll(run+".d", 0o700), os.Symlink(run+".d", run))
		}, false},
		{"a file", os.Getuid(), func(run string) error {
			return errors.Join(os.MkdirAll(filepath.Dir(run), 0o700), os.WriteFile(run, nil, 0o600))
		}, false},
	} {
		h := host{run: filepath.Join(shortDir(t), "run"), tmp: "/tmp"}
		run := filepath.Join(h.run, strconv.Itoa(tt.uid))
		if err := tt.plant(run); err != nil {
			t.Fatal(err)
		}
		want := home + "/.local/state/broker"
		if tt.used {
			want = run + "/broker"
		}
		got, err := find(h, env("HOME="+home), tt.uid)
		if err != nil || got.RuntimeDir != want || got.Socket != want+"/broker.sock" || got.LockFile != want+"/brokerd.lock" {
			t.Errorf("%s: %+v, %v, want %s", tt.name, got, err, want)
		}
	}
}

func TestLongPathsMoveTheSocketToTmp(t *testing.T) {
	uid := os.Getuid()
	rest := len("/.local/state/broker/broker.sock")
	for _, tt := range []struct {
		home int // bytes of it
		tmp  bool
	}{{MaxSocket - rest, false}, {MaxSocket - rest + 1, true}} {
		home := "/" + strings.Repeat("h", tt.home-1)
		got, err := find(testHost(t, home), env("HOME="+home), uid)
		want := home + "/.local/state/broker"
		if tt.tmp {
			want = "/tmp/broker-" + strconv.Itoa(uid)
		}
		if err != nil || got.RuntimeDir != want || len(got.Socket) > MaxSocket || got.StateDir != home+"/.local/state/broker" {
			t.Errorf("home of %d bytes: %+v, %v, want the socket in %s", tt.home, got, err, want)
		}
	}
}

func TestOverrides(t *testing.T) {
	home := shortDir(t)
	got, err := find(testHost(t, home), env("HOME="+home,
		EnvConfig+"=/etc/b/../b/conf", EnvStateDir+"=/var/b", EnvSocket+"=/run/b/s"), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ what, got, want string }{
		{"config", got.ConfigFile, "/etc/b/conf"},
		{"environment", got.EnvironmentFile, "/etc/b/environment"},
		{"location", got.LocationFile, home + "/.config/broker/location"},
		{"state", got.StateFile, "/var/b/state.json"},
		{"socket", got.Socket, "/run/b/s"},
		{"lock", got.LockFile, "/run/b/brokerd.lock"},
		{"overlays", got.OverlayDir, "/run/b/overlays"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s is %s, want %s", tt.what, tt.got, tt.want)
		}
	}
	// The socket goes with the state directory where there is no other place.
	got, err = find(testHost(t, home), env("HOME="+home, EnvStateDir+"=/var/b"), 1)
	if err != nil || got.Socket != "/var/b/broker.sock" {
		t.Errorf("socket %s, %v", got.Socket, err)
	}
}

func TestErrorsNameTheCulprit(t *testing.T) {
	home := shortDir(t)
	ok := testHost(t, home)
	broken := ok
	broken.passwd = func(int) (string, error) { return "", errors.New("there is no passwd entry") }
	relative := ok
	relative.passwd = func(int) (string, error) { return "home", nil }
	for _, tt := range []struct {
		name string
		host host
		env  []string
		want string
	}{
		{"relative HOME", ok, []string{"HOME=x"}, "HOME"},
		{"no home at all", broken, nil, "passwd"},
		{"relative home in passwd", relative, nil, "passwd"},
		{"relative config", ok, []string{EnvConfig + "=config"}, EnvConfig},
		{"relative state", ok, []string{EnvStateDir + "=~/state"}, EnvStateDir},
		{"relative socket", ok, []string{EnvSocket + "=./s"}, EnvSocket},
		{"long socket", ok, []string{EnvSocket + "=/" + strings.Repeat("s", 100)}, EnvSocket},
	} {
		got, err := find(tt.host, env(tt.env...), 1)
		if err == nil || !strings.Contains(err.Error(), tt.want) || got != (Places{}) {
			t.Errorf("%s: %+v, %v, want an error that names %s", tt.name, got, err, tt.want)
		}
	}
}

func TestLocation(t *testing.T) {
	home := shortDir(t)
	file := filepath.Join(home, ".config", "broker", "location")
	loc := Location{ConfigDir: "/x/config dir/broker", StateDir: "/x/state=1/broker"}
	for _, want := range []Location{loc, {StateDir: "/y"}, {}, {}} {
		if err := WriteLocation(file, want); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadLocation(file); err != nil || got != want {
			t.Errorf("read back %+v, %v, want %+v", got, err, want)
		}
	}
	if _, err := os.Lstat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the default location has a file: %v", err)
	}
	if err := WriteLocation(file, loc); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	got, err := find(testHost(t, home), env("HOME="+home), 1)
	if err != nil || got.ConfigFile != "/x/config dir/broker/config" || got.StateDir != loc.StateDir || got.Socket != loc.StateDir+"/broker.sock" {
		t.Errorf("places %+v, %v", got, err)
	}
	got, err = find(testHost(t, home), env("HOME="+home, EnvConfig+"=/c", EnvStateDir+"=/s"), 1)
	if err != nil || got.ConfigFile != "/c" || got.StateDir != "/s" {
		t.Errorf("the environment does not win: %+v, %v", got, err)
	}
	for _, bad := range []Location{{StateDir: "relative"}, {ConfigDir: "/a\nb"}, {ConfigDir: "/a/../b"}, {ConfigDir: "/a "}} {
		if err := WriteLocation(file, bad); err == nil {
			t.Errorf("%+v was written", bad)
		}
	}
	if got, err := ReadLocation(file); err != nil || got != loc {
		t.Errorf("a refused location changed the file to %+v, %v", got, err)
	}
}

func TestLocationErrors(t *testing.T) {
	home := shortDir(t)
	dir := filepath.Join(home, ".config", "broker")
	file := filepath.Join(dir, "location")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ text, want string }{
		{"# ok\r\n\n  state_dir\t=  /x/broker \r\n", ""},
		{"\nstate_dir\n", "line 2"},
		{"vault_dir = /x\n", "vault_dir"},
		{"state_dir = x\n", "absolute"},
		{"state_dir =\n", "absolute"},
		{"state_dir = /x\nstate_dir = /y\n", "twice"},
		{strings.Repeat("#\n", maxLocation), "too large"},
	} {
		if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := find(testHost(t, home), env("HOME="+home), 1)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%q: %v", tt.text, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), file)):
			t.Errorf("%.20q: %v, want an error with %q and the file", tt.text, err, tt.want)
		}
	}
}

func TestXDGLocation(t *testing.T) {
	for _, tt := range []struct {
		env  []string
		want Location
	}{
		{nil, Location{}},
		{[]string{"XDG_CONFIG_HOME=/c", "XDG_STATE_HOME=/s/"}, Location{ConfigDir: "/c/broker", StateDir: "/s/broker"}},
		{[]string{"XDG_CONFIG_HOME=c", "XDG_STATE_HOME="}, Location{}},
		{[]string{"XDG_CONFIG_HOME=/home/ann/.config", "XDG_STATE_HOME=/home/ann/.local/state"}, Location{}},
	} {
		if got := XDGLocation(env(tt.env...), "/home/ann"); got != tt.want {
			t.Errorf("%q: %+v, want %+v", tt.env, got, tt.want)
		}
	}
}
