// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
)

const helper = "/usr/local/bin/broker"

// hostile are configs in which some SDK could see a second source, a repeated
// section or a secret, if the overlay copied them as they are.
func hostile() []string {
	return []string{
		"",
		"[default]\nrole_arn = x\n[profile default]\nregion = eu-west-1",
		"[profile default]\nregion = eu-west-1\n[default]\nrole_arn = x",
		"[profile dev]\nx = 1\n[profile dev]\nx = 2\nX = 3\nrole_arn = x\n[profile  dev ]\nsource_profile = dev",
		"[DEFAULT]\nrole_arn = x\nregion = eu-west-1\n",
		"[profiles dev]\nrole_arn = x",
		"[profile \"dev\"]\nrole_arn = x\n[profile 'dev']\nrole_arn = x\n[\"profile\" dev]\nrole_arn = x",
		"[profile dev]\nrole_arn : x = y\nrole_arn: = x\nregion = a\rrole_arn = x\n",
		"[profile dev]\na:b = 1\na:c = 2\nrole_arn:x = 1",
		"[profile dev]\nx =#y\nz =;y\ns3 =\n  max = 1\n  role_arn = 1\ny = a\n  role_arn = x\n  # role_arn = x",
		"[profile dev]\nx = a\n  [profile dev]\n  role_arn = x\ns3 =\n  [profile dev] # =\n  ; a = b\n  \u00a0[profile dev] # =\n  role_arn = x",
		"[profile dev]\n# aws_secret_access_key = " + canary + "\nx = 1 # " + canary,
		"[dev]\naws_access_key_id = AKIA\naws_secret_access_key = " + canary + "\n[services s]\nsts =\n  tool_password = " + canary,
		"[profile other]\naws_access_key_id = AKIA\naws_secret_access_key = " + canary + "\naws_session_token = " + canary + "\nregion = x",
		"[profile dev]\nwide = a\u2028role_arn = x\nnext = a\u0085role_arn = x\nform = a\frole_arn = x\nzero = a\x00b",
		"[profile dev]\nsso_session = s\nsso_account_id = 1\nlogin_session = x\nweb_identity_token_file = x\n[sso-session s]\nsso_region = x\nsso_start_url = x",
	}
}

func overlayOf(t testing.TB, text string, served ...string) []byte {
	t.Helper()
	out, err := Overlay(OverlayOptions{Original: "/home/ann/.aws/config", Config: []byte(text), Served: served, Broker: helper})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOverlayText(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/config")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/overlay")
	if err != nil {
		t.Fatal(err)
	}
	got := overlayOf(t, string(data), "wired", "dev", "dev-admin", "prod", "new", "another")
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant testdata/overlay", got)
	}
}

// The length that exec was given is that of its own profile, not of the others
// in the overlay.
func TestOverlayLives(t *testing.T) {
	t.Parallel()
	out, err := Overlay(OverlayOptions{
		Original: "/c", Served: []string{"dev", "ops"}, Broker: helper, Lives: map[string]time.Duration{"ops": 2 * time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"= " + helper + " credential-process dev\n", "= " + helper + " credential-process --duration=2h ops\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the overlay lacks %q:\n%s", want, out)
		}
	}
}

func TestOverlayErrors(t *testing.T) {
	t.Parallel()
	_, err := Overlay(OverlayOptions{Original: "/x/config", Config: []byte("[profile dev"), Broker: helper})
	checkError(t, err, CodeConfigBroken, "config:1: expected")
	_, err = Overlay(OverlayOptions{Served: []string{"a b"}, Broker: helper})
	checkError(t, err, CodeUsage, "profile name has a character")
	_, err = Overlay(OverlayOptions{Served: []string{"dev"}, Broker: "broker"})
	checkError(t, err, CodeUsage, "the path of broker cannot be written")
}

func TestOverlayOriginal(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/home/ann/.aws/config", "/home/jürgen/my config", "/a\nb\"c", "/\xff", ""} {
		out, err := Overlay(OverlayOptions{Original: path})
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := OverlayOriginal(out); !ok || got != path {
			t.Errorf("got %q, %t, want %q", got, ok, path)
		}
		first, _, _ := strings.Cut(string(out), "\n")
		if first[0] != '#' || strings.ContainsFunc(first, func(r rune) bool { return r > '~' || r < ' ' }) {
			t.Errorf("the first line is %q", first)
		}
	}
	for _, text := range []string{"", "[default]", overlayMark + "x\n", "x" + overlayMark} {
		if path, ok := OverlayOriginal([]byte(text)); ok {
			t.Errorf("%q is an overlay of %q", text, path)
		}
	}
}

// TestOverlayHoldsNoSecretAndNoOtherSource reads hostile overlays as the
// strictest and as the laxest reader would.
func TestOverlayHoldsNoSecretAndNoOtherSource(t *testing.T) {
	t.Parallel()
	for _, text := range hostile() {
		checkOverlay(t, overlayOf(t, text, "default", "dev"), "default", "dev")
	}
}

// checkOverlay reads an overlay with the union of what parsers take for lines,
// headers and keys, and checks that the served profiles have one source.
func checkOverlay(t *testing.T, data []byte, served ...string) {
	t.Helper()
	if bytes.Contains(data, []byte(canary)) {
		t.Errorf("a secret is in\n%s", data)
	}
	if _, err := parse("overlay", data); err != nil {
		t.Errorf("%v in\n%s", err, data)
	}
	sections, header, last := map[string]map[string]string{}, "", "x"
	for _, l := range regexp.MustCompile("\r\n|\r|\n").Split(string(data), -1) {
		switch {
		case strings.TrimSpace(l) == "" || l[0] == '#':
		case l[0] == ' ':
			if last != "" || !isNameByte(strings.TrimLeft(l, " ")[0]) {
				t.Errorf("line %q is no nested property to every SDK in\n%s", l, data)
			}
		case l[0] == '[':
			header = strings.Trim(l, "[]")
			if sections[header] != nil {
				t.Errorf("section %q twice in\n%s", header, data)
			}
			sections[header], last = map[string]string{}, "x"
		default:
			i := strings.IndexAny(l, "=:")
			key := strings.TrimSpace(strings.ToLower(l[:max(i, 0)]))
			if _, twice := sections[header][key]; i <= 0 || twice {
				t.Errorf("line %q is malformed or repeated in\n%s", l, data)
			}
			last = strings.TrimSpace(l[i+1:])
			sections[header][key] = last
		}
	}
	for _, name := range served {
		want, _ := HelperLine(helper, name, 0)
		if got := sections[profileHeader(name)]["credential_process"]; got != want {
			t.Errorf("profile %s runs %q, want %q, in\n%s", name, got, want, data)
		}
		delete(sections[profileHeader(name)], "credential_process")
	}
	for header, keys := range sections {
		name := strings.Trim(header, "\"' ")
		if i := strings.LastIndexAny(name, " \t\"'"); i >= 0 {
			name = name[i+1:]
		}
		if !slices.Contains(served, name) && name != "DEFAULT" || strings.HasPrefix(header, "sso-session") || strings.HasPrefix(header, "services") {
			continue
		}
		for _, key := range sourceKeys() {
			if _, ok := keys[key]; ok && isProfileHeader(header) {
				t.Errorf("section %q has %s in\n%s", header, key, data)
			}
		}
	}
}

// isProfileHeader is what botocore takes for the header of a profile.
func isProfileHeader(header string) bool {
	return strings.HasPrefix(header, "profile") || header == "default" || header == "DEFAULT"
}

// TestOverlayInBotocore lets botocore read the overlays of hostile configs.
func TestOverlayInBotocore(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/config")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var paths []string
	for i, text := range append(hostile(), string(data)) {
		path := filepath.Join(dir, fmt.Sprintf("overlay%02d", i))
		write(t, path, string(overlayOf(t, text, "default", "dev")))
		paths = append(paths, path)
	}
	for i, profiles := range botocore(t, paths) {
		for _, name := range []string{"default", "dev"} {
			want, _ := HelperLine(helper, name, 0)
			if got := profiles[name]["credential_process"]; got != want {
				t.Errorf("%s: botocore runs %v for profile %s, want %q", paths[i], got, name, want)
			}
			for _, key := range sourceKeys() {
				if v, ok := profiles[name][key]; ok && key != "credential_process" {
					t.Errorf("%s: botocore sees %s = %v in profile %s", paths[i], key, v, name)
				}
			}
		}
	}
}

// botocore returns the profiles that botocore reads from each file. Where only
// a bundled AWS CLI is installed, that is asked for the keys that matter.
func botocore(t *testing.T, paths []string) []map[string]map[string]any {
	t.Helper()
	const script = `
import json, sys
try:
    from botocore import configloader
except ImportError:
    from awscli.botocore import configloader
print(json.dumps([configloader.load_config(p)["profiles"] for p in sys.argv[1:]]))`
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		check := exec.Command(python, "-c", "import botocore.configloader")
		checkBundled := exec.Command(python, "-c", "import awscli.botocore.configloader")
		if check.Run() != nil && checkBundled.Run() != nil {
			continue
		}
		cmd := exec.Command(python, append([]string{"-c", script}, paths...)...)
		cmd.Stderr = t.Output()
		out, err := cmd.Output()
		var all []map[string]map[string]any
		if err == nil {
			err = json.Unmarshal(out, &all)
		}
		if err != nil {
			t.Fatalf("botocore refuses an overlay: %v", err)
		}
		return all
	}
	return bundled(t, paths[len(paths)-1:])
}

func bundled(t *testing.T, paths []string) []map[string]map[string]any {
	t.Helper()
	aws, err := exec.LookPath("aws")
	if err != nil {
		t.Fatal("neither botocore nor the AWS CLI is installed: run make test, which installs it or says how")
	}
	var all []map[string]map[string]any
	for _, path := range paths {
		profiles := map[string]map[string]any{}
		for _, name := range []string{"default", "dev"} {
			profiles[name] = map[string]any{}
			for _, key := range []string{"credential_process", "role_arn", "source_profile"} {
				cmd := exec.Command(aws, "configure", "get", key, "--profile", name)
				cmd.Env = append(os.Environ(), "AWS_CONFIG_FILE="+path, "AWS_SHARED_CREDENTIALS_FILE=/dev/null")
				if out, err := cmd.Output(); err == nil {
					profiles[name][key] = strings.TrimSpace(string(out))
				}
			}
		}
		all = append(all, profiles)
	}
	return all
}

// TestOverlayInGoSDK lets aws-sdk-go-v2 read the overlays of hostile configs.
func TestOverlayInGoSDK(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/config")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "config")
	for _, text := range append(hostile(), string(data)) {
		write(t, path, string(overlayOf(t, text, "default", "dev")))
		for _, name := range []string{"default", "dev"} {
			got, err := config.LoadSharedConfigProfile(t.Context(), name, func(o *config.LoadSharedConfigOptions) {
				o.ConfigFiles, o.CredentialsFiles = []string{path}, []string{}
			})
			want, _ := HelperLine(helper, name, 0)
			if err != nil || got.CredentialProcess != want || got.Credentials.HasKeys() || got.RoleARN != "" || got.Source != nil || got.SSOStartURL != "" {
				t.Errorf("the SDK sees %+v, %v in\n%s", got, err, text)
			}
		}
	}
}

func TestHelperLine(t *testing.T) {
	t.Parallel()
	tests := []struct {
		broker, profile string
		life            time.Duration
		want            string
	}{
		{"/usr/bin/broker", "dev", 0, "/usr/bin/broker credential-process dev"},
		{"/opt/my tools/broker", "a/b", 0, `"/opt/my tools/broker" credential-process a/b`},
		{"/tmp/Test_x,y=1+2@3:4.5/001/broker", "default", 0, "/tmp/Test_x,y=1+2@3:4.5/001/broker credential-process default"},
		{"/usr/bin/broker", "dev", 90 * time.Minute, "/usr/bin/broker credential-process --duration=1h30m dev"},
		{"/opt/my tools/broker", "dev", 36 * time.Hour, `"/opt/my tools/broker" credential-process --duration=36h dev`},
	}
	for _, tt := range tests {
		got, err := HelperLine(tt.broker, tt.profile, tt.life)
		if err != nil || got != tt.want {
			t.Errorf("got %q, %v, want %q", got, err, tt.want)
		}
		program, profile, ok := HelperCommand(got)
		if !ok || program != tt.broker || profile != tt.profile {
			t.Errorf("%q reads %q, %q, %t", got, program, profile, ok)
		}
	}
	for _, path := range []string{"", "broker", "~/broker", "/$HOME/broker", "/a;b", "/a\"b", "/a'b", `/a\b`, "/a\nb", "/é", "/a ", "/ a", "/a#b", "/a(b)"} {
		if line, err := HelperLine(path, "dev", 0); err == nil {
			t.Errorf("%q is written as %q", path, line)
		}
	}
}

func TestHelperCommand(t *testing.T) {
	t.Parallel()
	for process, want := range map[string]string{
		"broker credential-process dev":                  "broker dev",
		"/b/broker credential-process --profile dev":     "/b/broker dev",
		"/b/broker credential-process --profile=dev":     "/b/broker dev",
		"/b/broker credential-process -p dev":            "/b/broker dev",
		"/b/broker credential-process -- dev":            "/b/broker dev",
		`/my\ tools/broker credential-process dev`:       "/my tools/broker dev",
		"/b/broker credential-process --duration=8h dev": "/b/broker dev",
		"/b/broker credential-process --duration=8h":     "",
		"/b/broker credential-process -p dev --json":     "",
		"/b/broker credential-process --json":            "",
		"/b/broker export dev":                           "",
		"/b/broker credential-process":                   "",
		"/b/aws-vault credential-process dev":            "",
		"'/b/broker credential-process dev":              "",
		`"/b/broker" credential-process "my dev"`:        "",
		"sh -c '/b/broker credential-process dev'":       "",
		"/b/broker credential-process dev; other":        "",
		"/b/notbroker credential-process dev":            "",
		"":                                               "",
		"/b/broker credential-process dev # and comment": "",
	} {
		program, profile, _ := HelperCommand(process)
		if got := strings.TrimSpace(program + " " + profile); got != want {
			t.Errorf("%s: got %q, want %q", process, got, want)
		}
	}
}

// FuzzOverlay puts a secret between two halves of any config.
func FuzzOverlay(f *testing.F) {
	for _, text := range hostile() {
		f.Add(text, text)
	}
	f.Add("", " more\n  and more\n[default]")
	f.Fuzz(func(t *testing.T, before, after string) {
		if strings.Contains(before+after, canary) {
			return
		}
		text := before + "\n[profile dev]\nAws_Secret_Access_Key = " + canary + "\n" + after
		out, err := Overlay(OverlayOptions{Original: "/x", Config: []byte(text), Served: []string{"default", "dev", "new"}, Broker: helper})
		if err != nil {
			checkError(t, err, CodeConfigBroken, "x:")
			return
		}
		checkOverlay(t, out, "default", "dev", "new")
		again, err := Overlay(OverlayOptions{Original: "/x", Config: out, Served: []string{"default", "dev", "new"}, Broker: helper})
		if err != nil || !bytes.Equal(again, out) {
			t.Errorf("the overlay of an overlay is another, %v:\n%s\nof\n%s", err, again, out)
		}
	})
}
