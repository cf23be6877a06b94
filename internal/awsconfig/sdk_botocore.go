// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"
)

// How botocore reads: Python's configparser, strict, then shlex on the names of
// sections. Seen with 1.43 on Python 3.11, and the same in awscli 2.9. Before
// Python 3.11 a header ends at its first "]", since then at its last.

// readAsBotocore refuses both files when one is broken: nothing can be asked of
// botocore then, whatever the profile.
func readAsBotocore(files Files, c contents) *view {
	shared := map[Pos]bool{}
	config, err := botocoreSections(files.Config, c.config, shared)
	if err != nil {
		return &view{refused: err}
	}
	credentials, err := botocoreSections(files.Credentials, c.credentials, shared)
	if err != nil {
		return &view{refused: err}
	}
	v := &view{
		profiles: map[string]Profile{}, sessions: map[string]Profile{},
		inConfig: map[string]Profile{}, inCredentials: map[string]Profile{}, shared: shared,
	}
	for _, s := range config {
		switch kind, name, ok := botocoreHeader(s.name); {
		case !ok:
		case kind == "profile": // the last of several spellings of a name wins, whole
			v.inConfig[name] = s.as(name, files.Config)
		case kind == "sso-session":
			v.sessions[name] = s.as(name, files.Config)
		}
	}
	for name, p := range v.inConfig {
		v.profiles[name] = p
	}
	for _, s := range credentials { // as the header stands: [profile x] is called so
		p := s.as(s.name, files.Credentials)
		v.inCredentials[s.name] = p
		if base, both := v.profiles[s.name]; both {
			p = p.over(base)
		}
		v.profiles[s.name] = p
	}
	return v
}

// botocoreHeader takes the header of a section of the config file apart.
func botocoreHeader(header string) (kind, name string, ok bool) {
	if header == DefaultProfile {
		return "profile", header, true
	}
	for _, kind := range []string{"profile", "sso-session"} {
		if strings.HasPrefix(header, kind) { // so [profiles x] is one too
			if words, err := splitWords(header); err == nil && len(words) == 2 {
				return kind, words[1], true
			}
			return "", "", false
		}
	}
	return "", "", false
}

// botocoreSections returns the sections of a file, with what [DEFAULT] puts
// into each; shared has the places of that.
func botocoreSections(path string, data []byte, shared map[Pos]bool) ([]section, *Error) {
	r := botocoreReader{path: path, index: map[string]int{}, current: -1}
	if !utf8.Valid(data) {
		return nil, errorAt(Pos{File: path}, CodeConfigBroken, "is not UTF-8")
	}
	eachLine(data, r.line)
	if r.err != nil {
		return nil, r.err
	}
	for _, p := range r.defaults.props {
		shared[p.pos] = true
	}
	for i := range r.list {
		for _, p := range r.list[i].props {
			if block, ok := strings.CutPrefix(p.value, "\n"); ok && !nestedOnly(block) {
				return nil, errorAt(p.pos, CodeConfigBroken, `the block below %s has a line without "="`, printable(p.key))
			}
		}
		for _, p := range r.defaults.props {
			if !slices.ContainsFunc(r.list[i].props, func(own prop) bool { return own.key == p.key }) {
				r.list[i].props = append(r.list[i].props, p)
			}
		}
	}
	return r.list, nil
}

func nestedOnly(block string) bool {
	for line := range strings.SplitSeq(block, "\n") {
		if strings.TrimSpace(line) != "" && !strings.Contains(line, "=") {
			return false
		}
	}
	return true
}

// botocoreReader is the state of configparser between two lines.
type botocoreReader struct {
	path     string
	list     []section
	index    map[string]int
	defaults section // [DEFAULT]
	current  int     // in list; -1 before any header, -2 in [DEFAULT]
	open     *prop   // that a deeper line continues
	seen     map[string]bool
	indent   int
	blanks   int // lines without anything since open
	err      *Error
}

func (r *botocoreReader) fail(n int, format string, args ...any) {
	if r.err == nil {
		r.err = errorAt(Pos{r.path, n}, CodeConfigBroken, format, args...)
	}
}

func (r *botocoreReader) line(n int, text []byte) {
	if r.err != nil {
		return
	}
	value := bytes.TrimSpace(text)
	if len(value) > 0 && (value[0] == '#' || value[0] == ';') {
		return
	}
	if len(value) == 0 {
		r.blanks++
		return
	}
	indent := bytes.IndexFunc(text, func(c rune) bool { return c != ' ' && c != '\t' })
	blanks := r.blanks
	r.blanks = 0
	if r.open != nil && indent > r.indent {
		for range blanks {
			r.open.value = continued(r.open.key, r.open.value, nil)
		}
		r.open.value = continued(r.open.key, r.open.value, value)
		return
	}
	r.indent = indent
	if end := bytes.LastIndexByte(value, ']'); value[0] == '[' && end > 1 {
		r.header(n, string(value[1:end]))
		return
	}
	r.property(n, value)
}

func (r *botocoreReader) header(n int, name string) {
	r.open, r.seen = nil, map[string]bool{}
	if name == "DEFAULT" {
		r.current = -2
		return
	}
	var again bool
	if r.list, _, again = sectionOf(r.list, r.index, name, n); again {
		r.fail(n, "section [%s] stands on line %d already", printable(name), r.list[r.index[name]].line)
		return
	}
	r.current = len(r.list) - 1
}

func (r *botocoreReader) property(n int, text []byte) {
	i := bytes.IndexAny(text, "=:")
	switch {
	case r.current == -1:
		r.fail(n, "a property stands before the first section")
		return
	case i < 0:
		r.fail(n, `expected "=" after the name of a property`)
		return
	case i == 0:
		r.fail(n, `expected the name of a property before "="`)
		return
	}
	key := strings.ToLower(string(bytes.TrimSpace(text[:i])))
	into := &r.defaults
	if r.current >= 0 {
		into = &r.list[r.current]
	}
	if r.seen[key] {
		r.fail(n, "%s stands twice in one section", printable(key))
		return
	}
	r.seen[key] = true
	into.put(prop{key, keptValue(key, bytes.TrimSpace(text[i+1:])), Pos{r.path, n}})
	r.open = &into.props[len(into.props)-1]
}

// resolveAsBotocore follows the chain of providers of a profile.
func resolveAsBotocore(v *view, profile string) Reading {
	b := botocoreChain{v, []string{profile}}
	p, ok := v.profiles[profile]
	switch {
	case !ok:
		return refusal(Pos{}, "it does not find the profile")
	case b.isRole(p):
		return b.role(p)
	}
	return b.own(p)
}

// botocoreChain is the state of one resolution.
type botocoreChain struct {
	*view
	visited []string
}

func (b *botocoreChain) isRole(p Profile) bool {
	return p.has("role_arn") && !p.has("web_identity_token_file")
}

// role is its provider of assumed roles, which comes first.
func (b *botocoreChain) role(p Profile) Reading {
	at := p.Where("role_arn")
	switch source, named := p.has("source_profile"), p.has("credential_source"); {
	case source && named:
		return refusal(at, "it has both source_profile and credential_source")
	case !source && !named:
		return refusal(at, "it has role_arn without a source_profile")
	case named:
		return assumed(p, credentialSource(p))
	}
	name := p.Get("source_profile")
	from, ok := b.profiles[name]
	half := from.has("aws_access_key_id") || from.has("aws_secret_access_key")
	switch again := slices.Contains(b.visited, name); {
	case !ok:
		return refusal(p.Where("source_profile"), "its source_profile does not exist")
	case again && (name != p.Name || !half):
		return refusal(p.Where("source_profile"), "its source_profile runs in a circle")
	}
	b.visited = append(b.visited, name)
	if !half && b.isRole(from) {
		return assumed(p, b.role(from))
	}
	source := b.own(from)
	if source.Source == SourceNone {
		return refusal(p.Where("source_profile"), "its source_profile has no credentials")
	}
	return assumed(p, source)
}

// own are the providers of what stands in the profile itself, in their order.
func (b *botocoreChain) own(p Profile) Reading {
	const id, rest = "aws_access_key_id", "aws_secret_access_key"
	shared, config := b.inCredentials[p.Name], b.inConfig[p.Name]
	switch {
	case p.Get("web_identity_token_file") != "":
		return webIdentityOf(p)
	case p.has("sso_account_id") || p.has("sso_role_name"):
		return b.sso(p)
	case shared.has(id):
		return pair(shared, shared.has(rest))
	case p.has("login_session"):
		return found(SourceLogin, p.Where("login_session"))
	case p.has("credential_process"):
		return processOf(p)
	case config.has(id):
		return pair(config, config.has(rest))
	}
	return Reading{Source: SourceNone}
}

func (b *botocoreChain) sso(p Profile) Reading {
	signIn := p
	if p.has("sso_session") {
		s, ok := b.sessions[p.Get("sso_session")]
		if !ok {
			return refusal(p.Where("sso_session"), "its sso-session does not exist")
		}
		signIn = s.over(p)
	}
	for _, key := range []string{"sso_role_name", "sso_account_id", "sso_start_url", "sso_region"} {
		if !signIn.has(key) {
			return refusal(p.Pos, "it signs in with sso without "+key)
		}
	}
	return found(SourceSSO, p.Where("sso_account_id"))
}
