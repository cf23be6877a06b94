// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// editor makes random AWS files and random edits.
type editor struct{ *rand.Rand }

func (e editor) pick(list ...string) string { return list[e.IntN(len(list))] }

func editNames() []string { return []string{"default", "dev", "ops", "base", "new", "other"} }

func editKeys() map[string]string {
	return map[string]string{"base": "AKIABASE", "dev": "AKIADEV", "default": "AKIADEFAULT", "new": "AKIANEW"}
}

// file returns a file of one kind that an edit takes, with no lines of wire.
func (e editor) file(kind FileKind) []byte {
	for {
		data := e.text(kind)
		if _, err := ParseDocument("f", kind, data); err == nil {
			return data
		}
	}
}

func (e editor) text(kind FileKind) []byte {
	var b strings.Builder
	eol := e.pick("\n", "\n", "\n", "\r\n")
	line := func(text string) { b.WriteString(text + eol) }
	for range e.IntN(3) {
		line(e.pick("# mine", "", "; [profile dev]", "   "))
	}
	names := slices.Clone(editNames())
	e.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names[:e.IntN(len(names))] {
		head := "[" + kind.header(name) + "]"
		if kind == ConfigFile {
			head = e.pick(head, head, head, head, strings.Replace(head, " ", "\t", 1), head+" # c", "[sso-session "+name+"]", "[services "+name+"]", "["+name+"]", "[profile "+name+"]")
		}
		line(head)
		e.properties(kind, line)
	}
	if e.IntN(40) == 0 {
		line("[DEFAULT]\nregion = x")
	}
	text := b.String()
	if e.IntN(3) == 0 {
		text = strings.TrimRight(text, e.pick("\r\n", "\r\n \t"))
	}
	if e.IntN(6) == 0 { // mixed line ends
		text = strings.Replace(text, "\r\n", "\n", e.IntN(4))
	}
	return []byte(text)
}

func (e editor) properties(kind FileKind, line func(string)) {
	list := []string{
		"role_arn = arn:aws:iam::111122223333:role/a", "Role_ARN=arn:aws:iam::111122223333:role/b", "source_profile\t=\tbase", "source_profile = dev",
		"mfa_serial = arn:aws:iam::111122223333:mfa/ann", "external_id = abc # note", "region = eu-west-1", "output = json", "duration_seconds = 3600",
		"credential_process = /opt/other helper", "credential_process =\n  /opt/other\n  helper", "s3 =\n  addressing_style = path\n  role_arn = no",
		"broker_mfa_serial = arn:aws:iam::111122223333:mfa/other", "broker_role_arn = arn:aws:iam::111122223333:role/c", "broker_session_duration = 2h",
		"sso_session = x", "include_profile = base", "text = one\n  two\n\n  three", "services = dev", "x = y # z",
	}
	if kind == CredentialsFile && e.IntN(3) == 0 || e.IntN(12) == 0 {
		line("aws_access_key_id = AKIADEV")
		line(e.pick("aws_secret_access_key = ", "AWS_Secret_Access_Key=") + canary)
		list = append(list, "aws_session_token = abcdef\n more")
	}
	e.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	for _, text := range list[:e.IntN(7)] {
		for part := range strings.SplitSeq(text, "\n") {
			line(part)
		}
		if e.IntN(5) == 0 {
			line(e.pick("# comment", "", ";x = 1", "  "))
		}
	}
	if e.IntN(3) > 0 {
		line("")
	}
}

// foreign returns the lines that are the user's, without what wire writes
// before a key: by the shape of the lines alone.
func foreign(data []byte) []string {
	lines := strings.Split(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n")
	var list []string
	for i, l := range lines {
		if !isForeign(lines, i) {
			continue
		}
		for _, key := range []string{"role_arn", "source_profile", "mfa_serial", "external_id", "duration_seconds", "credential_process", "sso_session"} {
			for _, before := range []string{"broker_was_", "broker_"} {
				if n := len(before); len(l) >= n+len(key) && strings.EqualFold(l[:n+len(key)], before+key) {
					l = l[n:]
				}
			}
		}
		list = append(list, l)
	}
	for len(list) > 0 && list[len(list)-1] == "" { // nothing after the last end of line
		list = list[:len(list)-1]
	}
	return list
}

// editedFiles is both files at one moment.
type editedFiles struct{ config, credentials []byte }

// edit applies change to both files, and holds it against everything that must
// be true of an edit. A refusal changes nothing.
func (p *editedFiles) edit(t *testing.T, what string, keepsLines bool, change func(config, credentials *Document) error) bool {
	t.Helper()
	config, err1 := ParseDocument("config", ConfigFile, p.config)
	credentials, err2 := ParseDocument("credentials", CredentialsFile, p.credentials)
	if err1 != nil || err2 != nil {
		t.Fatalf("%s: %v, %v: the edit before made\n%s\n%s", what, err1, err2, p.config, p.credentials)
	}
	credentials.Beside(config)
	before := *p
	err := change(config, credentials)
	after := editedFiles{config.Bytes(), credentials.Bytes()}
	if err != nil {
		if strings.Contains(err.Error(), canary) {
			t.Errorf("%s: the error has the secret: %v", what, err)
		}
		return false
	}
	if err := Verify(Files{"config", "credentials"}, vault(editKeys()), config, credentials); err != nil {
		t.Fatalf("%s: %v\n%q\nbecame\n%q\nand %q\nbecame\n%q", what, err, before.config, after.config, before.credentials, after.credentials)
	}
	for i, now := range [][]byte{after.config, after.credentials} {
		was := [][]byte{before.config, before.credentials}[i]
		// Whose the header of a section is that wire added, and the empty line
		// above, depends on what else came to stand in it.
		header := func(l string) bool { return l == "" || strings.HasPrefix(l, "[") }
		a, b := slices.DeleteFunc(foreign(was), header), slices.DeleteFunc(foreign(now), header)
		if keepsLines && !slices.Equal(a, b) {
			t.Fatalf("%s: lines of the user's changed:\n%q\nto\n%q", what, was, now)
		}
	}
	*p = after
	return true
}

// wire parks and wires, all or nothing.
func (p *editedFiles) wire(t *testing.T, name string) bool {
	return p.edit(t, "wire "+name, true, func(config, credentials *Document) error {
		if err := credentials.Park(name); err != nil {
			return err
		}
		return config.Wire(name, wireProgram+" credential-process "+name)
	})
}

func (p *editedFiles) unwire(t *testing.T, name string) {
	p.edit(t, "unwire "+name, true, func(config, credentials *Document) error {
		_, err1 := config.Unwire(name)
		_, err2 := credentials.Unwire(name)
		if err1 != nil {
			return err1
		}
		return err2
	})
}

// TestEditsNeverDuplicate runs random edits in random order on random files:
// never a section or a key twice, and each line of the user's stays where it is.
func TestEditsNeverDuplicate(t *testing.T) {
	t.Parallel()
	py := newPython(t, pythons(t)[0])
	e := editor{rand.New(rand.NewPCG(1, 25))}
	done := map[string]int{}
	for n := range 120 {
		p := editedFiles{e.file(ConfigFile), e.file(CredentialsFile)}
		for range 1 + e.IntN(12) {
			name := e.pick(editNames()...)
			switch e.IntN(7) {
			case 0, 1, 2:
				if p.wire(t, name) {
					done["wired"]++
				}
			case 3:
				p.unwire(t, name)
			case 4:
				p.edit(t, "import "+name, false, func(config, credentials *Document) error {
					for _, d := range []*Document{config, credentials} {
						removed, err := d.RemoveKeyPair(name, "AKIADEV")
						if err != nil {
							return err
						}
						if removed {
							done["removed"]++
						}
					}
					return config.Set(ConfigFile.header(name), "broker_mfa_command", "/bin/code")
				})
			case 5:
				p.config = e.userEdit(p.config)
			default:
				p.config = e.userAppends(p.config, name)
			}
		}
		for i, data := range [][]byte{p.config, p.credentials} {
			if _, err := ParseDocument("f", FileKind(i), data); err != nil {
				t.Fatalf("%v:\n%s", err, data)
			}
			if says := py.reads(data); n%4 == 0 && !says.Loaded {
				t.Fatalf("botocore refuses line %d, %s:\n%s", says.Line, says.Refused, data)
			}
		}
	}
	if done["wired"] < 100 || done["removed"] < 5 {
		t.Errorf("too little was done: %v", done)
	}
}

// userAppends does what `aws configure` does for a new profile.
func (e editor) userAppends(data []byte, name string) []byte {
	text := slices.Concat(data, []byte("\n[profile "+name+"]\nregion = eu-west-1\nrole_arn = arn:aws:iam::111122223333:role/y\nsource_profile = base\n"))
	if _, err := ParseDocument("f", ConfigFile, text); err != nil {
		return data
	}
	return text
}

// userEdit puts a line somewhere, takes one out or changes one, if what comes
// out is a file that an edit takes.
func (e editor) userEdit(data []byte) []byte {
	lines := bytes.SplitAfter(data, []byte("\n"))
	at := e.IntN(len(lines))
	text := []byte(e.pick("# by hand\n", "\n", "y = 1\n", "role_arn = arn:aws:iam::111122223333:role/z\n", "broker_external_id = q\n", "credential_process = /by/hand\n"))
	switch e.IntN(3) {
	case 0:
		lines = slices.Insert(lines, at, text)
	case 1:
		lines = slices.Delete(lines, at, at+1)
	default:
		lines[at] = text
	}
	out := slices.Concat(lines...)
	if _, err := ParseDocument("f", ConfigFile, out); err != nil {
		return data
	}
	return out
}

// TestUnwireGivesTheOriginal: what is wired and unwired is the file as it was,
// byte for byte, and with the user's edits from in between and nothing else.
func TestUnwireGivesTheOriginal(t *testing.T) {
	t.Parallel()
	e := editor{rand.New(rand.NewPCG(3, 35))}
	edited := 0
	for range 250 {
		was := editedFiles{e.file(ConfigFile), e.file(CredentialsFile)}
		p := was
		var wired []string
		for range 1 + e.IntN(4) {
			if name := e.pick(editNames()...); p.wire(t, name) {
				wired = append(wired, name)
			}
		}
		want := was.config
		for range e.IntN(3) {
			if a, b, ok := e.sameEdit(want, p.config); ok {
				want, p.config = a, b
				edited++
			}
		}
		middle := p
		e.Shuffle(len(wired), func(i, j int) { wired[i], wired[j] = wired[j], wired[i] })
		for _, name := range wired {
			p.unwire(t, name)
		}
		if !bytes.Equal(p.config, want) || !bytes.Equal(p.credentials, was.credentials) {
			t.Fatalf("wired %q, from\n%q %q\nby way of\n%q %q\ncame\n%q %q\nwant\n%q", wired, was.config, was.credentials, middle.config, middle.credentials, p.config, p.credentials, want)
		}
	}
	if edited < 200 {
		t.Errorf("%d edits in between are too few", edited)
	}
}

// sameEdit makes one edit of the user's in a file and in the same file wired:
// below, or of, the same line of the user's. ok is false where there is none to
// be made.
func (e editor) sameEdit(plain, wired []byte) (a, b []byte, ok bool) {
	own := foreign(plain)
	if len(own) == 0 {
		return nil, nil, false
	}
	n, how := e.IntN(len(own)), e.IntN(3)
	if how > 0 && !strings.HasPrefix(own[n], "region") && !strings.HasPrefix(own[n], "output") && !strings.HasPrefix(own[n], "#") {
		how = 0
	}
	text := fmt.Sprintf("z%d = 1", e.IntN(1e9))
	if n == 0 || how == 0 && e.IntN(2) == 0 {
		text = "# by hand"
	}
	eol := "\n"
	if first, _ := cutLine(wired); first.eol != "" {
		eol = first.eol
	}
	var out [][]byte
	for _, data := range [][]byte{plain, wired} {
		edited := nth(data, n, how, text, eol)
		if _, err := ParseDocument("f", ConfigFile, edited); err != nil {
			return nil, nil, false
		}
		out = append(out, edited)
	}
	return out[0], out[1], true
}

// nth puts a line below the nth line of the user's, takes that out or changes
// it. A file whose last line does not end stays one.
func nth(data []byte, n, how int, text, eol string) []byte {
	bare := len(data) > 0 && data[len(data)-1] != '\n'
	if bare {
		data = append(slices.Clip(data), eol...)
	}
	var out []string
	seen := 0
	lines := strings.SplitAfter(string(data), "\n")
	for i, l := range lines {
		if isForeign(lines, i) && l != "" {
			if seen == n {
				switch how {
				case 0:
					l += text + eol
				case 1:
					l = ""
				default:
					l = text + eol
				}
			}
			seen++
		}
		out = append(out, l)
	}
	joined := strings.Join(out, "")
	if bare {
		joined = strings.TrimSuffix(strings.TrimSuffix(joined, "\n"), "\r")
	}
	return []byte(joined)
}

// isForeign reports whether a line is the user's: see foreign.
func isForeign(lines []string, i int) bool {
	text := func(i int) string {
		if i >= len(lines) {
			return ""
		}
		return strings.TrimRight(lines[i], "\r\n")
	}
	l := text(i)
	switch {
	case strings.Contains(l, " credential-process "), strings.HasPrefix(l, "broker_keep = "), l == addedMark, l == addedMarkBlank:
	case text(i+1) == addedMark, text(i+1) == addedMarkBlank, l == "" && text(i+2) == addedMarkBlank:
	default:
		return true
	}
	return false
}
