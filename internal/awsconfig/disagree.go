// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Disagreement is a place in the AWS files that SDKs do not all read alike.
// Texts never quote a value of a file.
type Disagreement struct {
	Pos     Pos
	Profile string // empty for what concerns a whole file
	// Harmless is set where every SDK passes over what stands there, or where
	// some end with an error and no two come to different credentials: nothing
	// worse can come of it than a surprise.
	Harmless bool
	// Sources is set where it is about the source of the profile's credentials:
	// broker's line alone in the profile would mend it.
	Sources bool
	// AsksCode is set where an SDK refuses the profile because of its mfa_serial.
	AsksCode bool
	whole    bool   // nothing else needs to be said of the profile
	Message  string // lower case: who reads it how
	Hint     string // what to write in its place
}

// Disagreements finds what SDKs read differently in both files, in the order of
// the files: one for each profile and cause. See Readings for how that is known;
// what Java, Rust and Ruby do was read in their sources. The errors are those of
// Load.
func Disagreements(files Files) ([]Disagreement, error) {
	c, err := Load(files)
	if err != nil {
		return nil, err
	}
	var both contents
	if both.config, err = ReadFile(files.Config); err != nil {
		return nil, err
	}
	defer clear(both.config) // they may hold secrets
	if both.credentials, err = ReadFile(files.Credentials); err != nil {
		return nil, err
	}
	defer clear(both.credentials)
	found, err := disagreementsIn(files.Config, both.config, false)
	if err != nil {
		return nil, err
	}
	more, err := disagreementsIn(files.Credentials, both.credentials, true)
	if err != nil {
		return nil, err
	}
	found = append(found, more...)
	found = append(found, readAll(files, both).disagreements(c, found)...)
	slices.SortStableFunc(found, func(a, b Disagreement) int {
		if a.Pos.File != b.Pos.File {
			return orderOf(files, a.Pos.File) - orderOf(files, b.Pos.File)
		}
		return a.Pos.Line - b.Pos.Line
	})
	return found, nil
}

func orderOf(files Files, path string) int {
	if path == files.Config {
		return 0
	}
	return 1
}

// disagreementsIn finds what can be seen in one file alone.
func disagreementsIn(path string, data []byte, credentials bool) ([]Disagreement, error) {
	file, err := parse(path, data)
	if err != nil {
		return nil, err
	}
	lines := bytes.Split(data, []byte("\n"))
	var found []Disagreement
	seen := map[string]int{}
	for _, s := range file.sections() {
		at := Pos{path, s.line}
		if first, again := seen[s.header()]; again {
			found = append(found, Disagreement{
				Pos: at, Profile: s.profile(credentials),
				Message: fmt.Sprintf("section [%s] stands on line %d already: botocore refuses the whole file, other SDKs put the two together", s.shown(), first),
				Hint:    "make one section of the two",
			})
		} else {
			seen[s.header()] = s.line
		}
		found = append(found, s.ignored(at, credentials)...)
		found = append(found, s.shared(at)...)
		found = append(found, s.properties(lines, credentials)...)
	}
	if _, crash := goSections(path, data); crash != (Pos{}) {
		found = append(found, Disagreement{
			Pos:     crash,
			Message: "the value is one quote, at which every program on the SDK for Go crashes; other SDKs take it as it is",
			Hint:    "remove the quote, or write its partner",
		})
	}
	return append(found, twoDefaults(path, file, credentials)...), nil
}

// shared reports a section that botocore reads into every other one.
func (s section) shared(at Pos) []Disagreement {
	if s.prefix != "" || s.name != "DEFAULT" || len(s.props) == 0 {
		return nil
	}
	return []Disagreement{{
		Pos:     at,
		Message: "botocore reads what stands in [DEFAULT] into every profile of the file, other SDKs do not",
		Hint:    "write it into [default], or into the profiles that need it",
	}}
}

// twoDefaults reports [default] beside [profile default].
func twoDefaults(path string, file *parsed, credentials bool) []Disagreement {
	plain, prefixed := 0, 0
	for i, h := range file.heads {
		switch prefix, name := file.title(i); {
		case credentials || name != DefaultProfile:
		case prefix == "":
			plain = int(h.line)
		case prefix == "profile":
			prefixed = int(h.line)
		}
	}
	if plain == 0 || prefixed == 0 {
		return nil
	}
	d := Disagreement{
		Pos: Pos{path, plain}, Profile: DefaultProfile, Harmless: plain < prefixed, whole: true,
		Message: fmt.Sprintf("[profile default] on line %d takes the place of [default]", prefixed),
		Hint:    "make one section of the two",
	}
	if !d.Harmless {
		d.Message += ", but for botocore, which takes the later one"
	}
	return []Disagreement{d}
}

// shown returns the header for a message.
func (s section) shown() string {
	if s.prefix == "" {
		return show(s.name)
	}
	return show(s.prefix) + " " + show(s.name)
}

// profile returns the profile that a section is of, or "".
func (s section) profile(credentials bool) string {
	if credentials && s.prefix == "" || s.prefix == "profile" || s.isDefault() {
		return s.name
	}
	return ""
}

// ignored reports a section that somebody wrote as a profile, and that is none.
func (s section) ignored(at Pos, credentials bool) []Disagreement {
	d := Disagreement{Pos: at, Harmless: true}
	switch {
	case credentials && s.prefix == "profile":
		d.Message = fmt.Sprintf("[%s] is no profile in the credentials file", s.shown())
		d.Hint = "write [" + show(s.name) + "], without the word profile"
	case !credentials && s.prefix == "" && !slices.Contains([]string{DefaultProfile, "DEFAULT", "plugins", "preview"}, s.name):
		d.Message = fmt.Sprintf("[%s] is no profile in the config file", s.shown())
		d.Hint = "write [profile " + show(s.name) + "]"
	case s.profile(credentials) != "" && !validName(s.name):
		d.Harmless = false
		d.Message = fmt.Sprintf("the name of profile %s is one that SDKs take for different names, or for none", show(s.name))
		d.Hint = "use letters, digits and - _ / . % @ : + for the name"
	default:
		return nil
	}
	return []Disagreement{d}
}

// properties reports keys that stand twice, and a credential_process that is
// not the same command for everybody. lines are those of the file.
func (s section) properties(lines [][]byte, credentials bool) []Disagreement {
	var found []Disagreement
	seen := map[string]int{}
	for _, p := range s.props {
		if first, again := seen[p.key]; again {
			found = append(found, Disagreement{
				Pos: p.pos, Profile: s.profile(credentials),
				Message: fmt.Sprintf("%s stands on line %d already: botocore refuses the whole file, other SDKs take the last one", printable(p.key), first),
				Hint:    "remove one of the two",
			})
			continue
		}
		seen[p.key] = p.pos.Line
		if p.key == "credential_process" && p.value != "" && s.profile(credentials) != "" {
			for _, d := range process(p, lines[p.pos.Line-1]) {
				d.Pos, d.Profile = p.pos, s.profile(credentials)
				found = append(found, d)
			}
		}
	}
	return found
}

// process reports what is not the same command to those who split the line
// themselves (botocore) and those who hand it to a shell (the others).
func process(p prop, line []byte) []Disagreement {
	var found []Disagreement
	report := func(wrong bool, message, hint string) {
		if wrong {
			found = append(found, Disagreement{Message: "credential_process " + message, Hint: hint})
		}
	}
	written, value, _ := bytes.Cut(line, []byte("="))
	last := len(p.value) - 1
	report(string(trim(written)) != p.key,
		"is not in lower case: the SDKs for JavaScript, Ruby and Go v1 do not see it", "write credential_process")
	report(strings.Contains(p.value, "\n"),
		"goes on over several lines: every SDK glues them in its own way", "write it on one line")
	report(!bytes.Equal(trim(value), cutComment(value, false)),
		"has a comment behind it: botocore hands that to the program", "put the comment on a line of its own")
	report(last > 0 && p.value[0] == p.value[last] && strings.IndexByte(`"'`, p.value[0]) >= 0,
		"begins and ends with a quote: the SDKs for Go take both away", "write its last word without quotes")
	report(strings.ContainsAny(p.value, "$`*?~;|&<>"),
		"has characters that a shell acts on: botocore uses none, other SDKs do", "write a plain command, or put it into a script")
	return found
}
