// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const everySetting = `# broker's own config
[vault]
backend = file
passphrase_file = /home/ann/.config/broker/passphrase
keychain = broker

[sessions]
session_duration = 1d
role_duration = 2h
min_remaining = 0s

[mfa]
surfaces = tty, command
timeout = 90s
helper_wait = 20s

[rotation]
max_age = 60d
warn_before = 7d
unused_after = off
refuse_after = 75d
keep_disabled = 3d
verify_for = 30s
on_rotate = /opt/tell "the CI"

[nag]
channels = cli
quiet_hours = 12:30-14:00
repeat = 3d

[aws]
config_file = /home/ann/.aws/config
credentials_file = /home/ann/.aws/credentials
region = eu-west-1
endpoint_url = http://127.0.0.1:4566
sts_endpoint_url = https://sts.example.com
iam_endpoint_url = http://[::1]:4566
ca_bundle = /etc/ssl/corp.pem
https_proxy = http://proxy.example.com:3128

[profile dev]
mfa_command = "/opt/my tools/otp" --serial 'a b' x\"y ""
mfa_serial = arn:aws:iam::111122223333:mfa/ann
session_duration = 36h
role_duration = 15m
max_age = off
region = us-east-1
`

func wantSettings() Settings {
	return Settings{
		Vault:    VaultSettings{Backend: "file", PassphraseFile: "/home/ann/.config/broker/passphrase", Keychain: "broker"},
		Sessions: SessionSettings{SessionDuration: 24 * time.Hour, RoleDuration: 2 * time.Hour},
		MFA:      MFASettings{Surfaces: []string{"tty", "command"}, Timeout: 90 * time.Second, HelperWait: 20 * time.Second},
		Rotation: RotationSettings{
			MaxAge: 60 * day, WarnBefore: 7 * day, UnusedAfter: Off, RefuseAfter: 75 * day,
			KeepDisabled: 72 * time.Hour, VerifyFor: 30 * time.Second, OnRotate: []string{"/opt/tell", "the CI"},
		},
		Nag: NagSettings{Channels: []string{"cli"}, Quiet: QuietHours{12*60 + 30, 14 * 60}, Repeat: 72 * time.Hour},
		AWS: AWSSettings{
			ConfigFile: "/home/ann/.aws/config", CredentialsFile: "/home/ann/.aws/credentials", Region: "eu-west-1",
			EndpointURL: "http://127.0.0.1:4566", STSEndpointURL: "https://sts.example.com", IAMEndpointURL: "http://[::1]:4566",
			CABundle: "/etc/ssl/corp.pem", HTTPSProxy: "http://proxy.example.com:3128",
		},
		Profiles: map[string]Override{"dev": {
			MFACommand: []string{"/opt/my tools/otp", "--serial", "a b", `x"y`, ""}, MFASerial: "arn:aws:iam::111122223333:mfa/ann",
			SessionDuration: 36 * time.Hour, RoleDuration: 15 * time.Minute, MaxAge: Off, Region: "us-east-1",
		}},
	}
}

// sameSettings compares what is set, not where.
func sameSettings(a, b Settings) bool {
	a.places, b.places = nil, nil
	return reflect.DeepEqual(a, b)
}

func TestSettingsKnowTheirLines(t *testing.T) {
	t.Parallel()
	s, err := ParseSettings("/c", []byte("[aws]\nregion =\n[profile dev]\nregion = eu-west-1\n[aws]\nregion = eu-west-2\n\nregion = eu-west-3\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ section, key, want string }{
		{"aws", "region", "/c:8"},
		{"profile dev", "region", "/c:4"},
		{"profile dev", "mfa_serial", ""},
		{"sessions", "role_duration", ""},
	} {
		if got := s.Where(tt.section, tt.key).String(); got != tt.want {
			t.Errorf("%s of [%s] is set at %q, want %q", tt.key, tt.section, got, tt.want)
		}
	}
	if got := DefaultSettings().Where("aws", "region"); got != (Pos{}) {
		t.Errorf("the default is set at %v", got)
	}
}

func TestParseLife(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"15m": 15 * time.Minute, "12h": 12 * time.Hour, "1h30m": 90 * time.Minute, "1d": 24 * time.Hour, "1d12h": 36 * time.Hour, "3600s": time.Hour,
		"899s": 0, "1d12h1s": 0, "": 0, "1": 0, "-1h": 0, "+1h": 0, "1.5s": 0, "forever": 0,
	} {
		got, err := ParseLife(text)
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	got, err := ParseSettings("config", []byte(everySetting))
	if err != nil {
		t.Fatal(err)
	}
	if want := wantSettings(); !sameSettings(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got := got.Profile("dev").Region; got != "us-east-1" {
		t.Errorf("profile dev has Region %q", got)
	}
	if got := got.Profile("absent"); !reflect.DeepEqual(got, Override{}) {
		t.Errorf("a profile without a section has %+v", got)
	}
}

func TestSettingsDefaults(t *testing.T) {
	t.Parallel()
	want := Settings{
		Sessions: SessionSettings{SessionDuration: 12 * time.Hour, RoleDuration: time.Hour, MinRemaining: 20 * time.Minute},
		MFA: MFASettings{
			Surfaces: []string{"command", "terminal", "dialog", "tty"}, Timeout: 5 * time.Minute, HelperWait: 50 * time.Second,
		},
		Rotation: RotationSettings{
			MaxAge: 90 * 24 * time.Hour, WarnBefore: 14 * 24 * time.Hour, UnusedAfter: 60 * 24 * time.Hour, RefuseAfter: Off,
			KeepDisabled: 24 * time.Hour, VerifyFor: 10 * time.Second,
		},
		Nag: NagSettings{Channels: []string{"desktop", "cli"}, Quiet: QuietHours{22 * 60, 8 * 60}, Repeat: 24 * time.Hour},
	}
	for _, text := range []string{"", "# nothing\n", "[sessions]\nsession_duration =\n[aws]\nregion = # none\n"} {
		got, err := ParseSettings("config", []byte(text))
		if err != nil || !sameSettings(got, want) {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
}

func TestSettingsErrors(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want, hint string }{
		{"[valt]\nbackend = file", "config:1: unknown section [valt]", "did you mean [vault]?"},
		{"[]", "config:1: unknown section []", "did you mean [aws]?"},
		{"[profile]\n", "config:1: unknown section [profile]", "did you mean [profile NAME]?"},
		{"[rotations]\nmax_age = 90d", "config:1: unknown section [rotations]", "did you mean [rotation]"},
		{"[rotation]\non_rotate = tell", "config:2: on_rotate must start with the absolute path", ""},
		{"[rotation]\nkeep_disabled = 31d", "config:2: keep_disabled must be from 0s to 30d", ""},
		{"[rotation]\nmax_age = 12h", "config:2: max_age must be from 24h to 3650d, or off", ""},
		{"[rotation]\nrefuse_after = never", "config:2: refuse_after must be a duration such as 12h, 30m or 50s, or off", ""},
		{"[rotation]\nmaxage = 90d", "config:2: unknown key maxage in [rotation]", "did you mean max_age?"},
		{"[rotation]\nwarn_before = -1d", "config:2: warn_before must be a duration", ""},
		{"[profile dev]\nmax_age = soon", "config:2: max_age must be a duration", ""},
		{"[nag]\nchannels = desktop email", "config:2: channels may name desktop, cli, or be off", ""},
		{"[nag]\nchannels = cli cli", "config:2: channels names cli twice", ""},
		{"[nag]\nquiet_hours = 22-8", "config:2: quiet_hours must be two times of day such as 22:00-08:00, or off", ""},
		{"[nag]\nquiet_hours = 22:00", "config:2: quiet_hours must be two times", ""},
		{"[nag]\nquiet_hours = 24:00-08:00", "config:2: quiet_hours must be two times", ""},
		{"[nag]\nquiet_hours = 08:00-08:00", "config:2: quiet_hours must be two times", ""},
		{"[nag]\nrepeat = 1h", "config:2: repeat must be from 24h to 30d", ""},
		{"[nags]\nrepeat = 1d", "config:1: unknown section [nags]", "did you mean [nag]?"},
		{"[" + strings.Repeat("x", 2000) + "]", "unknown section [x", "did you mean"},
		{"[profile -x]", `config:1: profile name starts with "-"`, ""},
		{"[profile a!b]", "config:1: profile name has a character", ""},
		{"[vault]\nbakend = file", "config:2: unknown key bakend in [vault]", "did you mean backend?"},
		{"[vault]\nbac\x1bkend = file", `config:2: unknown key "bac\x1bkend" in [vault]`, "did you mean backend?"},
		{"[profile dev]\nmfa_comand = x", "config:2: unknown key mfa_comand in [profile dev]", "did you mean mfa_command?"},
		{"[vault]\nregion = x", "config:2: unknown key region in [vault]", "did you mean"},
		{"backend = file", "config:1: expected a section", ""},
		{"[vault]\nbackend", `config:2: expected "="`, ""},
		{"[vault]\nbackend = kwallet", "config:2: backend must be one of keychain, secret-service, wincred, file, pass", ""},
		{"[vault]\npassphrase_file = ~/x", "config:2: passphrase_file must be an absolute path", ""},
		{"[vault]\npassphrase_file = /x\n  y", "config:2: passphrase_file must stand on one line", ""},
		{"[vault]\nkeychain = a\x01", "config:2: keychain has characters", ""},
		{"[sessions]\nsession_duration = 12", "config:2: session_duration must be a duration", ""},
		{"[sessions]\nsession_duration = -1h", "must be a duration", ""},
		{"[sessions]\nsession_duration = +1h", "must be a duration", ""},
		{"[sessions]\nsession_duration = 900.5s", "must be a duration", ""},
		{"[sessions]\nsession_duration = xd", "must be a duration", ""},
		{"[sessions]\nsession_duration = 99999999999999999999d", "must be a duration", ""},
		{"[sessions]\nsession_duration = 36501d", "must be a duration", ""},
		{"[sessions]\nsession_duration = 899s", "config:2: session_duration must be from 15m to 36h", ""},
		{"[sessions]\nsession_duration = 2d", "must be from 15m to 36h", ""},
		{"[sessions]\nrole_duration = 13h", "config:2: role_duration must be from 15m to 12h", ""},
		{"[mfa]\nsurfaces = dialogue", "config:2: surfaces may name command, terminal, dialog, tty", ""},
		{"[mfa]\nsurfaces = tty tty", "config:2: surfaces names tty twice", ""},
		{"[mfa]\ntimeout = 0s", "config:2: timeout must be from 1s to 24h", ""},
		{"[aws]\nregion = eu/west", "config:2: region must be a Region", ""},
		{"[aws]\nendpoint_url = http://sts.example.com", "config:2: endpoint_url must be https; http is for", ""},
		{"[aws]\nendpoint_url = http://127.0.0.1.example.com", "must be https; http is for", ""},
		{"[aws]\nendpoint_url = ftp://127.0.0.1", "must be https", ""},
		{"[aws]\nendpoint_url = https://user:pw@x", "must be a URL", ""},
		{"[aws]\nendpoint_url = https://", "must be a URL", ""},
		{"[aws]\nsts_endpoint_url = x", "config:2: sts_endpoint_url must be a URL", ""},
		{"[aws]\nca_bundle = x.pem", "config:2: ca_bundle must be an absolute path", ""},
		{"[aws]\nhttps_proxy = proxy:3128", "config:2: https_proxy must be a URL", ""},
		{"[aws]\nhttps_proxy = http://:3128", "config:2: https_proxy must be a URL", ""},
		{"[profile dev]\nmfa_command = otp", "config:2: mfa_command must start with the absolute path", ""},
		{"[profile dev]\nmfa_command = \"/otp", "config:2: mfa_command has a quote without its partner", ""},
		{"[profile dev]\nmfa_command = ''", "must start with the absolute path", ""},
		{"[profile dev]\nmfa_serial = x", "config:2: mfa_serial must be a serial number", ""},
		{"[profile dev]\nsession_duration = 1s", "config:2: session_duration must be from", ""},
	}
	for _, tt := range tests {
		_, err := ParseSettings("config", []byte(tt.text))
		checkError(t, err, CodeConfigBroken, tt.want)
		var e *Error
		if errors.As(err, &e) && !strings.HasPrefix(e.Hint, tt.hint) {
			t.Errorf("%s: hint %q, want %q", tt.want, e.Hint, tt.hint)
		}
	}
}

func TestLoadSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "config")
	got, err := LoadSettings(path)
	if err != nil || !sameSettings(got, DefaultSettings()) {
		t.Errorf("a missing file: %+v, %v", got, err)
	}
	write(t, path, everySetting)
	if got, err := LoadSettings(path); err != nil || !sameSettings(got, wantSettings()) {
		t.Errorf("got %+v, %v", got, err)
	}
	write(t, path, "[vault]\nx")
	_, err = LoadSettings(path)
	checkError(t, err, CodeConfigBroken, `config:2: expected "="`)
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	_, err = LoadSettings(path)
	checkError(t, err, CodeConfigBroken, path)
}

func TestRender(t *testing.T) {
	t.Parallel()
	text, err := Render(wantSettings())
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseSettings("config", text)
	if want := wantSettings(); err != nil || !sameSettings(got, want) {
		t.Errorf("got  %+v, %v\nwant %+v\nfrom\n%s", got, err, want, text)
	}
	fresh := DefaultSettings()
	fresh.Vault = VaultSettings{Backend: "file", PassphraseFile: "/home/jürgen/.config/broker/passphrase"}
	text, err = Render(fresh)
	want := "# Config of broker. The syntax is that of ~/.aws/config.\n\n[vault]\nbackend = file\npassphrase_file = /home/jürgen/.config/broker/passphrase\n"
	if err != nil || string(text) != want {
		t.Errorf("got %q, %v", text, err)
	}
	for _, path := range []string{"x", "/a\n[aws]", "/a #b", "/a ", "/\xff"} {
		_, err := Render(Settings{Vault: VaultSettings{PassphraseFile: path}})
		checkError(t, err, CodeUsage, "write config: ")
	}
}

// FuzzSettings checks that what parses is written and read back as it is.
func FuzzSettings(f *testing.F) {
	f.Add([]byte(everySetting))
	f.Add([]byte("[profile a]\nmfa_command = /x '#' \\; \\\\ 'a b'"))
	f.Add([]byte("[profile a]\nmfa_command = / ' '"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseSettings("config", data)
		if err != nil {
			checkError(t, err, CodeConfigBroken, "config:")
			return
		}
		text, err := Render(s)
		if err != nil {
			t.Fatalf("render %+v: %v", s, err)
		}
		again, err := ParseSettings("config", text)
		if err != nil || !sameSettings(again, s) {
			t.Errorf("got  %+v, %v\nwant %+v\nfrom\n%s", again, err, s, text)
		}
	})
}
