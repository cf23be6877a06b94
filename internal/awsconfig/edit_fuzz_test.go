// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// FuzzEdit wires and unwires profiles in any two files: only lines of ours
// differ, what is refused is as it was, and what was wired comes back.
func FuzzEdit(f *testing.F) {
	for _, text := range append(hostile(), botocoreTable()...) {
		f.Add([]byte(text), []byte("[dev]\nrole_arn = x\n"), "dev")
		f.Add([]byte("[profile dev]\r\nrole_arn = x\r\n"), []byte(text), "dev")
	}
	e := editor{rand.New(rand.NewPCG(2, 2))}
	for range 40 {
		f.Add(e.file(ConfigFile), e.file(CredentialsFile), e.pick(editNames()...))
	}
	f.Add([]byte(addedMark+"\n[profile dev]\n"+addedMarkBlank+"\nbroker_keep = role_arn"), []byte("[dev]\nbroker_was_mfa_serial=1\nmfa_serial=2"), "dev")
	f.Add([]byte("[profile dev]\ncredential_process = /old/broker credential-process --duration=2h dev # c"), []byte(""), "dev")
	f.Add([]byte("[profile dev]\nCredentiAl_proCess=credential-process"), []byte(""), "dev") // another's, and like ours
	f.Fuzz(func(t *testing.T, config, credentials []byte, profile string) {
		p := fuzzed(t, config, credentials)
		if p == nil {
			return
		}
		steps := []func(config, credentials *Document) error{
			func(config, _ *Document) error {
				return config.Wire(profile, wireProgram+" credential-process "+profile)
			},
			func(_, credentials *Document) error { return credentials.Park(profile) },
			func(config, _ *Document) error { _, err := config.Unwire(profile); return err },
			func(_, credentials *Document) error { _, err := credentials.Unwire(profile); return err },
		}
		for i, step := range steps {
			before := *p
			config, credentials := p.documents(t)
			if err := step(config, credentials); err != nil {
				if config.Changed() || credentials.Changed() {
					t.Fatalf("step %d: refused, and changed: %v", i, err)
				}
				return
			}
			*p = editedFiles{config.Bytes(), credentials.Bytes()}
			if err := Verify(Files{"config", "credentials"}, vault(map[string]string{profile: "AKIA1"}), config, credentials); err != nil && !strings.Contains(err.Error(), "how broker serves") {
				t.Fatalf("step %d: %v", i, err) // how it is served may change while half is done
			}
			added, gone := p, &before
			if i > 1 {
				added, gone = &before, p
			}
			if !onlyOurs(gone.config, added.config) || !onlyOurs(gone.credentials, added.credentials) {
				t.Fatalf("step %d: not only lines of ours differ:\n%q\n%q\nbecame\n%q\n%q", i, before.config, before.credentials, p.config, p.credentials)
			}
		}
		if !wiredBefore(config) && !wiredBefore(credentials) && !(bytes.Equal(p.config, config) && bytes.Equal(p.credentials, credentials)) {
			t.Fatalf("unwired is not as it was:\n%q\n%q\nwant\n%q\n%q", p.config, p.credentials, config, credentials)
		}
	})
}

// fuzzed returns two files if an edit takes them.
func fuzzed(t *testing.T, config, credentials []byte) *editedFiles {
	if _, err := ParseDocument("config", ConfigFile, config); err != nil {
		checkError(t, err, CodeConfigBroken, "config:")
		return nil
	}
	if _, err := ParseDocument("credentials", CredentialsFile, credentials); err != nil {
		checkError(t, err, CodeConfigBroken, "credentials:")
		return nil
	}
	return &editedFiles{config, credentials}
}

func (p *editedFiles) documents(t *testing.T) (config, credentials *Document) {
	t.Helper()
	config, err1 := ParseDocument("config", ConfigFile, p.config)
	credentials, err2 := ParseDocument("credentials", CredentialsFile, p.credentials)
	if err1 != nil || err2 != nil {
		t.Fatalf("%v, %v: an edit made\n%q\n%q", err1, err2, p.config, p.credentials)
	}
	credentials.Beside(config)
	return config, credentials
}

// wiredBefore reports whether a file has what wire writes, from wherever.
func wiredBefore(data []byte) bool {
	lower := bytes.ToLower(data)
	return bytes.Contains(lower, []byte("credential-process")) || bytes.Contains(lower, []byte("broker_")) || bytes.Contains(lower, []byte("# added by broker"))
}

// onlyOurs reports whether the lines of one text are, in order, those of
// another, but for lines that wire writes and what it writes before keys.
func onlyOurs(text, wired []byte) bool {
	is := bytes.Split(bytes.ReplaceAll(wired, []byte("\r\n"), []byte("\n")), []byte("\n"))
	was := bytes.Split(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\n"))
	ours := func(l []byte) bool {
		key, _, _ := bytes.Cut(l, []byte("="))
		s := string(bytes.ToLower(bytes.TrimSpace(key)))
		return s == processKey && bytes.Contains(l, []byte("credential-process")) || s == keepKey || string(l) == addedMark || string(l) == addedMarkBlank
	}
	for len(was)+len(is) > 0 {
		switch {
		case len(was) > 0 && len(is) > 0 && sameButBefore(was[0], is[0]):
			was, is = was[1:], is[1:]
		case len(is) > 0 && ours(is[0]): // before that of the other text, which may be another's that looks like ours
			is = is[1:]
		case len(was) > 0 && (ours(was[0]) || len(was) == 1 && len(was[0]) == 0):
			was = was[1:]
		case len(is) > 0 && (len(is[0]) == 0 || is[0][0] == '['):
			is = is[1:] // the header of a section that was added is no user's
		case len(was) > 0 && bytes.HasPrefix(was[0], []byte(" ")) || len(was) > 0 && bytes.HasPrefix(was[0], []byte("\t")):
			was = was[1:] // what went on of a line of ours
		default:
			return false
		}
	}
	return true
}

func sameButBefore(was, is []byte) bool {
	for _, before := range []string{"", parkedPrefix, unusedPrefix} {
		for _, earlier := range []string{"", parkedPrefix, unusedPrefix} {
			if len(is) >= len(before) && len(was) >= len(earlier) && bytes.EqualFold(is[:len(before)], []byte(before)) &&
				bytes.EqualFold(was[:len(earlier)], []byte(earlier)) && bytes.Equal(is[len(before):], was[len(earlier):]) {
				return true
			}
		}
	}
	return false
}
