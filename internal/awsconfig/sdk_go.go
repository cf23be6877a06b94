// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// How aws-sdk-go-v2 reads: lenient, no line is an error. Seen with its package
// config 1.33; the reader is a package of its own there, which nobody else can
// import.

// readAsGo merges the two files by the SDK's own list of keys: of a profile in
// both, every other key of the credentials file is lost.
func readAsGo(files Files, c contents) *view {
	v := &view{profiles: map[string]Profile{}, sessions: map[string]Profile{}, inConfig: map[string]Profile{}, inCredentials: map[string]Profile{}}
	config, crash := goSections(files.Config, c.config)
	credentials, second := goSections(files.Credentials, c.credentials)
	if crash == (Pos{}) {
		crash = second
	}
	if crash != (Pos{}) {
		v.refused = &Error{Code: CodeConfigBroken, File: crash.File, Line: crash.Line, Message: "a value of one quote crashes it"}
		return v
	}
	for _, s := range config {
		name, isProfile := strings.CutPrefix(s.name, "profile ")
		session, isSession := strings.CutPrefix(s.name, "sso-session ")
		switch {
		case isProfile: // whatever stands in [default] is lost
			v.inConfig[name] = s.as(name, files.Config)
		case isSession:
			v.sessions[session] = s.as(session, files.Config)
		case strings.EqualFold(s.name, DefaultProfile):
			if _, prefixed := v.inConfig[s.name]; !prefixed {
				v.inConfig[s.name] = s.as(s.name, files.Config)
			}
		}
	}
	for name, p := range v.inConfig {
		v.profiles[name] = p
	}
	for _, s := range credentials {
		if strings.HasPrefix(s.name, "profile ") {
			continue
		}
		p := s.as(s.name, files.Credentials)
		v.inCredentials[s.name] = p
		if base, both := v.profiles[s.name]; both {
			p = goMerged(base, p)
		}
		v.profiles[s.name] = p
	}
	return v
}

// goMerged puts a profile of the credentials file over that of the config file.
func goMerged(base, p Profile) Profile {
	whole := p.has("aws_access_key_id") && p.has("aws_secret_access_key")
	taken := Profile{Name: p.Name}
	for _, pr := range p.props {
		switch pr.key {
		case "aws_access_key_id", "aws_secret_access_key", "aws_session_token":
			if whole {
				taken.props = append(taken.props, pr)
			}
		default:
			if slices.Contains(goMergedKeys(), pr.key) {
				taken.props = append(taken.props, pr)
			}
		}
	}
	return taken.over(base)
}

func goMergedKeys() []string {
	return []string{
		"role_arn", "source_profile", "credential_source", "external_id", "mfa_serial", "role_session_name",
		"region", "endpoint_discovery_enabled", "credential_process", "web_identity_token_file",
		"s3_use_arn_region", "s3_disable_multiregion_access_points",
		"ec2_metadata_service_endpoint_mode", "ec2_metadata_service_endpoint", "ec2_metadata_v1_disabled",
		"use_dualstack_endpoint", "use_fips_endpoint", "defaults_mode", "retry_mode", "ca_bundle",
		"duration_seconds", "max_attempts",
		"sso_session", "sso_account_id", "sso_region", "sso_role_name", "sso_start_url",
		"auth_scheme_preference", "login_session",
	}
}

// goSections returns the sections of a file, each name once: "profile x"; and
// where the reader crashes, nowhere if it does not.
func goSections(path string, data []byte) (list []section, crash Pos) {
	r := goReader{path: path, index: map[string]int{}, current: -1, open: -1}
	eachLine(data, r.line)
	return r.list, r.crash
}

type goReader struct {
	path    string
	list    []section
	index   map[string]int
	current int // in list; -1 before any header
	open    int // in its properties; -1 is none
	crash   Pos // the first value that is one quote: it takes off two
}

func (r *goReader) line(n int, text []byte) {
	trimmed := bytes.TrimSpace(text)
	if len(trimmed) == 0 || trimmed[0] == '#' || trimmed[0] == ';' {
		return
	}
	head, _, _ := bytes.Cut(trimmed, []byte("#"))
	head, _, _ = bytes.Cut(head, []byte(";"))
	head = bytes.TrimSpace(head)
	indented := isBlank(text[0])
	r.quote(n, text, indented)
	switch {
	case len(head) > 1 && head[0] == '[' && head[len(head)-1] == ']':
		r.header(n, trim(head[1:len(head)-1]))
	case r.current < 0:
	case indented:
		r.indented(n, bytes.TrimLeft(text, " \t"))
	default:
		r.property(n, text)
	}
}

// quote looks for a value that is one quote.
func (r *goReader) quote(n int, text []byte, indented bool) {
	if !indented { // in an indented line a comment is part of the value
		text = goUncommented(text)
	}
	_, value, ok := goProperty(text)
	if ok && len(value) == 1 && (value[0] == '"' || value[0] == '\'') && r.crash == (Pos{}) {
		r.crash = Pos{r.path, n}
	}
}

func (r *goReader) header(n int, name []byte) {
	header := string(name)
	if i := bytes.IndexAny(name, " \t"); i >= 0 {
		header = string(name[:i]) + " " + string(trim(name[i:]))
	}
	r.list, _, _ = sectionOf(r.list, r.index, header, n)
	r.current, r.open = r.index[header], -1
}

// property takes a line, or passes over one without a separator.
func (r *goReader) property(n int, text []byte) {
	if key, value, ok := goProperty(goUncommented(text)); ok {
		r.put(n, key, value)
	}
}

func (r *goReader) put(n int, key string, value []byte) {
	s := &r.list[r.current]
	s.put(prop{key, keptValue(key, value), Pos{r.path, n}})
	r.open = slices.IndexFunc(s.props, func(p prop) bool { return p.key == key })
}

// indented is a property of a block below an empty value, a property like any
// other elsewhere, or the next line of a value.
func (r *goReader) indented(n int, text []byte) {
	s := &r.list[r.current]
	key, value, ok := goProperty(text)
	switch {
	case ok && (r.open < 0 || s.props[r.open].value != ""):
		r.put(n, key, bytes.TrimSpace(goUncommented(value)))
	case ok || r.open < 0 || s.props[r.open].value == "": // nested: no key that matters here
	default:
		s.props[r.open].value = continued(s.props[r.open].key, s.props[r.open].value, text)
	}
}

func goUncommented(text []byte) []byte {
	for _, mark := range []string{" #", " ;", "\t#", "\t;"} {
		text, _, _ = bytes.Cut(text, []byte(mark))
	}
	return text
}

// goProperty cuts at "=" or ":", whichever is first, and takes the quotes off
// the value.
func goProperty(text []byte) (key string, value []byte, ok bool) {
	i := bytes.IndexAny(text, "=:")
	if i < 0 {
		return "", nil, false
	}
	value = bytes.TrimSpace(text[i+1:])
	if last := len(value) - 1; last > 0 && value[0] == value[last] && (value[0] == '"' || value[0] == '\'') {
		value = value[1:last]
	}
	return strings.ToLower(string(bytes.TrimSpace(text[:i]))), value, true
}

// goProfile is a profile on the way to credentials.
type goProfile struct {
	Profile
	source   *goProfile // of its source_profile
	roleless bool       // its role has been dealt with
}

// resolveAsGo validates the whole chain, then chooses.
func resolveAsGo(v *view, profile string) Reading {
	g := goResolver{view: v}
	p, bad := g.load(profile, Pos{})
	if bad != nil {
		return *bad
	}
	return g.choose(p)
}

type goResolver struct {
	*view
	seen []string
}

func (g *goResolver) load(name string, at Pos) (*goProfile, *Reading) {
	refuse := func(at Pos, reason string) (*goProfile, *Reading) {
		r := refusal(at, reason)
		return nil, &r
	}
	p, ok := g.profiles[name]
	if !ok && len(g.seen) == 0 {
		return refuse(at, "it does not find the profile")
	} else if !ok {
		return refuse(at, "its source_profile does not exist")
	}
	if half := g.half(name); half {
		return refuse(p.Where("aws_access_key_id"), "it has half a key pair")
	}
	if key := goBadSetting(p); key != "" {
		return refuse(p.Where(key), "its "+key+" is none that it knows")
	}
	gp := &goProfile{Profile: p, roleless: slices.Contains(g.seen, name)}
	kinds := []string{"source_profile", "credential_source", "web_identity_token_file"}
	if !gp.roleless && p.Get("role_arn") == "" {
		for _, key := range kinds {
			if p.Get(key) != "" {
				return refuse(p.Where(key), "it has "+key+" without a role_arn")
			}
		}
	}
	if len(g.seen) > 0 && gp.keys() {
		return gp, nil
	}
	g.seen = append(g.seen, name)
	n := 0
	for _, key := range append(kinds, "credential_process") {
		if p.Get(key) != "" && (key != "source_profile" || !gp.roleless) {
			n++
		}
	}
	if n > 1 {
		return refuse(p.Pos, "it allows one of source_profile, credential_source, credential_process and web_identity_token_file")
	}
	if from := p.Get("source_profile"); from != "" && !gp.roleless {
		source, bad := g.load(from, p.Where("source_profile"))
		if bad != nil {
			return nil, bad
		}
		if !source.credentials() {
			return refuse(p.Where("source_profile"), "its source_profile has no credentials")
		}
		gp.source = source
	}
	if s := p.Get("sso_session"); s != "" && !g.hasSession(s) {
		return refuse(p.Where("sso_session"), "its sso-session does not exist")
	}
	return gp, nil
}

func (g *goResolver) hasSession(name string) bool {
	_, ok := g.sessions[strings.TrimSpace(name)]
	return ok
}

// half reports half a key pair in the file that has the last word.
func (g *goResolver) half(name string) bool {
	p, ok := g.inCredentials[name]
	if !ok {
		p = g.inConfig[name]
	}
	return p.has("aws_access_key_id") != p.has("aws_secret_access_key")
}

// goBadSetting returns a key whose value makes the SDK refuse the profile.
func goBadSetting(p Profile) string {
	if p.has("retry_mode") && !slices.Contains([]string{"standard", "adaptive"}, p.Get("retry_mode")) {
		return "retry_mode"
	}
	if _, err := strconv.ParseInt(p.Get("max_attempts"), 0, 64); p.has("max_attempts") && err != nil {
		return "max_attempts"
	}
	return ""
}

func (p *goProfile) keys() bool {
	return p.Get("aws_access_key_id") != "" && p.Get("aws_secret_access_key") != ""
}

func (p *goProfile) sso() bool {
	return slices.ContainsFunc(ssoKeys(), func(k string) bool { return p.Get(k) != "" })
}

// credentials reports whether the SDK takes p for a source. It does not think
// of aws login there.
func (p *goProfile) credentials() bool {
	return p.source != nil || p.Get("credential_source") != "" || p.Get("credential_process") != "" ||
		p.Get("web_identity_token_file") != "" || p.sso() || p.keys()
}

func (g *goResolver) choose(p *goProfile) Reading {
	var r Reading
	switch {
	case p.source != nil:
		r = g.choose(p.source)
	case p.keys():
		r = pair(p.Profile, true)
	case p.Get("credential_source") != "":
		r = credentialSource(p.Profile)
	case p.Get("web_identity_token_file") != "":
		return webIdentityOf(p.Profile)
	case p.sso():
		r = g.signIn(p.Profile)
	case p.Get("login_session") != "":
		r = found(SourceLogin, p.Where("login_session"))
	case p.Get("credential_process") != "":
		r = processOf(p.Profile)
	default:
		r = Reading{Source: SourceNone}
	}
	if p.Get("role_arn") == "" || p.roleless || r.Source == SourceRefused {
		return r
	}
	if p.Get("mfa_serial") != "" {
		return refusal(p.Where("mfa_serial"), "it has mfa_serial, and a program must say how to ask for the code")
	}
	return assumed(p.Profile, r)
}

func (g *goResolver) signIn(p Profile) Reading {
	required, from := []string{"sso_region", "sso_start_url", "sso_account_id", "sso_role_name"}, p
	if name := p.Get("sso_session"); name != "" {
		required, from = required[:2], g.sessions[strings.TrimSpace(name)]
	}
	for _, key := range required {
		if from.Get(key) == "" {
			return refusal(p.Pos, "it signs in with sso without "+key)
		}
	}
	return found(SourceSSO, p.Where("sso_account_id"))
}
