// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bytes"
	"slices"
	"strings"
)

// How the SDK for JavaScript v3 reads: with a short loop over the lines that
// knows no errors, where keys are as they are written. Seen with its package
// credential-provider-node 3.972.

func readAsJavaScript(files Files, c contents) *view {
	v := &view{profiles: map[string]Profile{}, sessions: map[string]Profile{}, inConfig: map[string]Profile{}, inCredentials: map[string]Profile{}}
	config := javaScriptSections(files.Config, c.config)
	for _, s := range config {
		if s.name == DefaultProfile {
			v.inConfig[DefaultProfile] = s.as(DefaultProfile, files.Config)
		}
	}
	for _, s := range config {
		switch kind, name, _ := strings.Cut(s.name, "."); {
		case name == "":
		case kind == "profile": // [profile default] in place of [default]
			v.inConfig[name] = s.as(name, files.Config)
		case kind == "sso-session":
			v.sessions[name] = s.as(name, files.Config)
		}
	}
	for name, p := range v.inConfig {
		v.profiles[name] = p
	}
	for _, s := range javaScriptSections(files.Credentials, c.credentials) {
		p := s.as(s.name, files.Credentials)
		v.inCredentials[s.name] = p
		if base, both := v.profiles[s.name]; both {
			p = p.over(base)
		}
		v.profiles[s.name] = p
	}
	return v
}

// javaScriptSections returns the sections that have a property. [profile x] is
// called "profile.x", as there.
func javaScriptSections(path string, data []byte) []section {
	r := javaScriptReader{path: path, index: map[string]int{}}
	eachLine(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), r.line)
	return r.list
}

type javaScriptReader struct {
	path    string
	list    []section
	index   map[string]int
	current string
	at      int    // the line of its header
	block   string // the key of an empty value: indented lines are below it
}

func (r *javaScriptReader) line(n int, text []byte) {
	line := bytes.TrimSpace(javaScriptUncommented(text))
	if len(line) > 0 && line[0] == '[' && line[len(line)-1] == ']' {
		r.current, r.block, r.at = javaScriptHeader(string(line[1:max(1, len(line)-1)])), "", n
		return
	}
	i := bytes.IndexByte(line, '=')
	if r.current == "" || i <= 0 {
		return
	}
	key, value := string(bytes.TrimSpace(line[:i])), bytes.TrimSpace(line[i+1:])
	if len(value) == 0 {
		r.block = key
		return
	}
	if r.block != "" && len(bytes.TrimLeft(text, " \t")) == len(text) {
		r.block = ""
	}
	var s *section
	r.list, s, _ = sectionOf(r.list, r.index, r.current, r.at)
	if r.block != "" {
		key = r.block + "." + key
	}
	s.put(prop{key, keptValue(key, value), Pos{r.path, n}})
}

// javaScriptUncommented cuts at a mark at the start or after white space.
func javaScriptUncommented(text []byte) []byte {
	for i, b := range text {
		if (b == '#' || b == ';') && (i == 0 || isBlank(text[i-1])) {
			return text[:i]
		}
	}
	return text
}

// javaScriptHeader returns the name of a section, "" for one that it drops with
// its properties. Quotes around the name go.
func javaScriptHeader(header string) string {
	i := strings.IndexAny(header, " \t")
	if i < 0 || !only(header[:i], wordChars+"-") {
		return header
	}
	kind, name := header[:i], header[i+1:]
	if last := len(name) - 1; last > 1 && name[0] == name[last] && (name[0] == '"' || name[0] == '\'') {
		name = name[1:last]
	}
	switch {
	case i == 0 || name == "" || !only(name, wordChars+"-@+.%:/"):
		return header // no profile: [profile  x] has two blanks
	case slices.Contains([]string{"profile", "sso-session", "services"}, kind):
		return kind + "." + name
	}
	return ""
}

// resolveAsJavaScript asks the provider of profiles, then that of processes: an
// error of the first is passed over unless it is about MFA.
func resolveAsJavaScript(v *view, profile string) Reading {
	j := javaScript{v}
	r, hard := j.resolve(profile, nil, false)
	if p := v.profiles[profile]; !hard && (r.Source == SourceRefused || r.Source == SourceNone) && p.Get("credential_process") != "" {
		return processOf(p)
	}
	return r
}

type javaScript struct{ *view }

// resolve returns what a profile comes to, and whether an error is final.
func (j javaScript) resolve(name string, visited []string, asRole bool) (r Reading, hard bool) {
	p := j.profiles[name]
	static := p.Get("aws_access_key_id") != "" && p.Get("aws_secret_access_key") != ""
	source, named := p.Get("source_profile"), p.Get("credential_source")
	role := p.Get("role_arn") != "" && (source == "") != (named == "")
	switch {
	case len(visited) > 0 && static:
		return pair(p, true), false
	case asRole || role:
		return j.role(p, visited)
	case static:
		return pair(p, true), false
	case p.Get("web_identity_token_file") != "" && p.Get("role_arn") != "":
		return webIdentityOf(p), false
	case p.Get("credential_process") != "":
		return processOf(p), false
	case slices.ContainsFunc(ssoKeys(), func(k string) bool { return p.Get(k) != "" }):
		return found(SourceSSO, p.Where("sso_account_id")), false
	case p.Get("login_session") != "":
		return found(SourceLogin, p.Where("login_session")), false
	case len(visited) > 0:
		return refusal(p.Pos, "its source_profile has no credentials"), false
	}
	return Reading{Source: SourceNone}, false
}

func (j javaScript) role(p Profile, visited []string) (Reading, bool) {
	name, at := p.Get("source_profile"), p.Where("source_profile")
	var from Reading
	hard := false
	switch {
	case name == "":
		from = credentialSource(p)
	case slices.Contains(visited, name):
		return refusal(at, "its source_profile runs in a circle"), false
	default:
		source := j.profiles[name]
		from, hard = j.resolve(name, append(visited, name), source.Get("role_arn") == "" && source.Get("credential_source") != "")
	}
	if p.Get("role_arn") == "" {
		return from, hard
	}
	if p.Get("mfa_serial") != "" {
		return refusal(p.Where("mfa_serial"), "it has mfa_serial, and a program must say how to ask for the code"), true
	}
	if from.Source == SourceRefused {
		return from, hard
	}
	return assumed(p, from), false
}
