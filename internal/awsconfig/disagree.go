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
	// Harmless is set where every SDK passes over what stands there, so that
	// nothing worse can come of it than a surprise.
	Harmless bool
	Message  string // lower case: who reads it how
	Hint     string // what to write in its place
}

// Disagreements finds what SDKs read differently in both files, in the order of
// the files. What each does was seen by running botocore, the SDKs for Go,
// JavaScript and Ruby, and read in the sources of those for Java and Rust. The
// errors are those of Load.
func Disagreements(files Files) ([]Disagreement, error) {
	c, err := Load(files)
	if err != nil {
		return nil, err
	}
	var found []Disagreement
	for _, path := range []string{files.Config, files.Credentials} {
		data, err := read(path)
		if err != nil {
			return nil, err
		}
		more, err := disagreementsIn(path, data, path == files.Credentials)
		clear(data) // it may hold secrets
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	for _, name := range c.Profiles() {
		p, _ := c.Profile(name)
		found = append(found, c.sources(p)...)
	}
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
		found = append(found, s.properties(lines, credentials)...)
	}
	return found, nil
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
		d.Message = fmt.Sprintf("the name of profile %s has characters that SDKs drop the profile for; botocore keeps it, without its quotes", show(s.name))
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

// sources reports a profile whose credentials come from different places for
// different SDKs, because it names several.
func (c *Config) sources(p Profile) []Disagreement {
	has := func(key string) bool { return p.Get(key) != "" }
	var found []Disagreement
	report := func(key, message, hint string) {
		found = append(found, Disagreement{Pos: p.Where(key), Profile: p.Name, Message: "profile " + show(p.Name) + " " + message, Hint: hint})
	}
	process, static := has("credential_process"), has("aws_access_key_id")
	role, source := has("role_arn"), has("source_profile")
	switch _, pos, outranked := c.SourceInCredentials(p.Name); {
	case !process:
	case role && !source && !has("credential_source") && !has("web_identity_token_file"):
		report("role_arn", "has role_arn and credential_process, but no source_profile: botocore refuses it, "+
			"the SDK for Go assumes the role with what the process gives, that for JavaScript uses it as it is",
			"give the profile one source of credentials")
	case source:
		report("source_profile", "has source_profile and credential_process: the SDK for Go refuses it, botocore and JavaScript take source_profile",
			"give the profile one source of credentials")
	case static && outranked && pos.File == p.Where("aws_access_key_id").File:
		report("aws_access_key_id", "has an access key and credential_process: the SDK for Java runs the process, the others use the key",
			"remove the key's lines")
	case static:
		report("aws_access_key_id", "has an access key and credential_process: botocore and Java run the process, Go, JavaScript and Ruby use the key",
			"remove the key's lines")
	case has("sso_session") || has("sso_start_url"):
		report("credential_process", "has credential_process and sso: JavaScript runs the process, the other SDKs sign in",
			"give the profile one source of credentials")
	}
	if from, _ := c.Profile(p.Get("source_profile")); role && source && !process && has("mfa_serial") && from.Get("credential_process") != "" && from.Get("aws_access_key_id") == "" {
		report("mfa_serial", "names an MFA device and a source that is a process: the SDKs for Go and JavaScript refuse it, botocore asks on the terminal",
			"let broker assume the role: give the profile a credential_process of its own, and no role_arn")
	}
	return found
}
