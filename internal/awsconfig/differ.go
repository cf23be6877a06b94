// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// comparedKeys are the keys that SDKs have in common and that a profile is of
// little use without: what leads to credentials, and where requests go.
func comparedKeys() []string {
	return []string{
		"credential_process", "role_arn", "source_profile", "credential_source", "mfa_serial", "external_id",
		"role_session_name", "duration_seconds", "web_identity_token_file",
		"sso_session", "sso_start_url", "sso_region", "sso_account_id", "sso_role_name", "login_session",
		"region", "endpoint_url", "services", "ca_bundle", "use_fips_endpoint", "use_dualstack_endpoint",
		"retry_mode", "max_attempts",
	}
}

// isSetting reports whether a compared key leads to no credentials.
func isSetting(key string) bool {
	return slices.Index(comparedKeys(), key) >= slices.Index(comparedKeys(), "region")
}

// Difference is a key of a profile that SDKs do not read alike.
type Difference struct {
	Key  string
	Pos  Pos
	Text string // lower case, "Go takes the quotes off region"; never the value
	Hint string
}

// Differences returns the keys of a profile that SDKs do not read alike,
// whether or not anything comes of it. What an SDK refuses with the whole file
// is not among them.
func (r *Readings) Differences(profile string) []Difference {
	var list []Difference
	profiles := make([]Profile, len(r.views))
	var seen []int
	for i, v := range r.views {
		p, ok := v.profiles[profile]
		if profiles[i] = p; ok {
			seen = append(seen, i)
		}
	}
	if len(seen) < 2 {
		return nil
	}
	for _, key := range comparedKeys() {
		values := make([]prop, len(r.views))
		differ := false
		for _, i := range seen {
			values[i] = r.views[i].value(r.sdks[i].name, profiles[i], key)
			differ = differ || values[i].value != values[seen[0]].value
		}
		if differ {
			list = append(list, r.difference(key, seen, values))
		}
	}
	return list
}

// value returns what an SDK takes for a key of a profile. For a setting that is
// in both files JavaScript prefers the config file, but for the Region.
func (v *view) value(name SDK, p Profile, key string) prop {
	if name == JavaScript && isSetting(key) && key != "region" {
		if c := v.inConfig[p.Name]; c.Get(key) != "" {
			p = c
		}
	}
	return prop{key, p.Get(key), p.Where(key)}
}

// difference puts into words what each SDK does with a key, beside what most
// of them have.
func (r *Readings) difference(key string, seen []int, values []prop) Difference {
	usual := mostUsual(seen, values)
	d := Difference{Key: key, Pos: usual.pos}
	said := map[string][]string{}
	var order []string
	for _, i := range seen {
		if values[i].value == usual.value {
			continue
		}
		does, hint := oddity(key, values[i], usual)
		if said[does] == nil {
			order = append(order, does)
		}
		said[does] = append(said[does], r.sdks[i].name.String())
		d.Hint = cmp.Or(d.Hint, hint)
		if d.Pos.Line == 0 || usual.value == "" {
			d.Pos = values[i].pos
		}
	}
	var parts []string
	for _, does := range order {
		parts = append(parts, enumerate(said[does])+" "+agree(does, len(said[does])))
	}
	d.Text = strings.Join(parts, ", ")
	return d
}

// mostUsual returns the value that the most SDKs have: of as many, one that is
// there, and then the shortest, which has neither quotes nor a comment in it.
func mostUsual(seen []int, values []prop) prop {
	count := func(p prop) (n int) {
		for _, i := range seen {
			if values[i].value == p.value {
				n++
			}
		}
		return n
	}
	best := values[seen[0]]
	for _, i := range seen[1:] {
		v := values[i]
		switch n, most := count(v), count(best); {
		case n > most, n == most && best.value == "", n == most && v.value != "" && len(v.value) < len(best.value):
			best = v
		}
	}
	return best
}

// oddity says what an SDK does to come to another value than usual, and what to
// write so that it does not. The verb is that of one SDK.
func oddity(key string, odd, usual prop) (does, hint string) {
	unquoted := func(v string) string {
		if last := len(v) - 1; last > 0 && v[0] == v[last] && (v[0] == '"' || v[0] == '\'') {
			return v[1:last]
		}
		return v
	}
	commented := func(long, short string) bool {
		rest, ok := strings.CutPrefix(long, short)
		rest = strings.TrimLeft(rest, " \t")
		return ok && rest != "" && (rest[0] == '#' || rest[0] == ';')
	}
	const quotes, comment, lines = "write it without quotes", "put the comment on a line of its own", "write it on one line"
	switch {
	case odd.value == "" && odd.key == usual.key && usual.pos.File != "" && odd.pos.File != "" && odd.pos.File != usual.pos.File:
		return "loses " + key + ", which is in one file of the two that have the profile", "write it into " + odd.pos.File
	case odd.value == "":
		return "does not see " + key, "write " + key + " in lower case, once"
	case usual.value == "":
		return "takes a " + key + " from elsewhere in the file", "write no properties into [DEFAULT], and each in lower case"
	case odd.value == unquoted(usual.value):
		return "takes the quotes off " + key, quotes
	case unquoted(odd.value) == usual.value:
		return "keeps the quotes of " + key, quotes
	case commented(odd.value, usual.value):
		return "takes the comment behind " + key + " for a part of it", comment
	case strings.Contains(odd.value+usual.value, "\n"):
		return "glues the lines of " + key + " in its own way", lines
	case odd.pos != usual.pos:
		return "takes the " + key + " of line " + Pos{File: odd.pos.File, Line: odd.pos.Line}.String(), "write it once"
	}
	return "reads another " + key, "write it in lower case, on one line, without quotes or a comment"
}

// agree puts the verb of a sentence into the plural.
func agree(does string, n int) string {
	verb, rest, _ := strings.Cut(does, " ")
	switch {
	case n == 1:
		return does
	case verb == "does":
		return "do " + rest
	}
	return strings.TrimSuffix(verb, "s") + " " + rest
}

// enumerate returns "a", "a and b", "a, b and c".
func enumerate(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// Summary says what the SDKs do with a profile, those that do the same
// together: "botocore asks broker for profile dev; Go and JavaScript use …".
// Of SDKs that refuse the whole file nothing is said.
func (r *Readings) Summary(list []Reading, shorten func(Pos) string) string {
	said := map[string][]string{}
	var order []string
	for i, reading := range list {
		if r.views[i].refused != nil {
			continue
		}
		does := reading.Text(shorten)
		if said[does] == nil {
			order = append(order, does)
		}
		said[does] = append(said[does], reading.SDK.String())
	}
	var parts []string
	for _, does := range order {
		parts = append(parts, enumerate(said[does])+" "+agree(does, len(said[does])))
	}
	return strings.Join(parts, "; ")
}

// disagreement returns what there is to say of a profile's credentials, if SDKs
// that read the files at all come to different ones.
func (r *Readings) disagreement(c *Config, name string) (Disagreement, bool) {
	var list []Reading
	for i, reading := range r.Of(name) {
		if r.views[i].refused == nil {
			list = append(list, reading)
		}
	}
	shared := func(reading Reading) bool {
		return slices.ContainsFunc(r.views, func(v *view) bool { return v.shared[reading.Pos] })
	}
	if len(list) < 2 || Alike(list) || r.sourceDiffers(list) || slices.ContainsFunc(list, shared) {
		return Disagreement{}, false
	}
	p, _ := c.Profile(name)
	d := Disagreement{Profile: name, Pos: p.Pos, Sources: true, Hint: "give the profile one source of credentials"}
	d.Pos = culprit(list, d.Pos)
	device := p.Where("mfa_serial")
	d.AsksCode = slices.ContainsFunc(list, func(r Reading) bool { return r.Source == SourceRefused && device.Line > 0 && r.Pos == device })
	d.Message = "profile " + show(name) + ": " + r.Summary(r.Of(name), beside(d.Pos))
	d.Harmless = p.Get("credential_process") == "" && !severalKeys(list)
	if from, _ := c.Profile(p.Get("source_profile")); p.Get("role_arn") != "" && from.Get("credential_process") != "" {
		d.Harmless = false
	}
	return d, true
}

// culprit is the place to look at: a key that outranks the rest, what an SDK
// refuses, else what the first one takes.
func culprit(list []Reading, at Pos) Pos {
	for _, source := range []string{SourceKey, SourceRefused, list[0].Source} {
		for _, r := range list {
			if r.Source == source && r.Pos.Line > 0 {
				return r.Pos
			}
		}
	}
	return at
}

// sourceDiffers reports whether the only quarrel is about a source_profile,
// which has a finding of its own.
func (r *Readings) sourceDiffers(list []Reading) bool {
	top := slices.Clone(list)
	source := ""
	for i := range top {
		if top[i].From == nil {
			return false
		}
		top[i].From = nil
		source = top[i].source
	}
	return Alike(top) && source != "" && !Alike(r.Of(source))
}

// severalKeys reports whether two SDKs get on, with different credentials.
func severalKeys(list []Reading) bool {
	var first *Reading
	for i, r := range list {
		switch {
		case r.Source == SourceRefused || r.Source == SourceNone:
		case first == nil:
			first = &list[i]
		case !r.sameAs(*first):
			return true
		}
	}
	return false
}

// beside shortens a place beside another one: the line alone in the same file.
func beside(to Pos) func(Pos) string {
	return func(p Pos) string {
		if p.File == to.File {
			return "line " + strings.TrimPrefix(p.String(), p.File+":")
		}
		return p.String()
	}
}

// disagreements compares the SDKs profile by profile. What the files alone have
// shown, found, is not said again.
func (r *Readings) disagreements(c *Config, found []Disagreement) []Disagreement {
	said, done := map[Pos]bool{}, map[string]bool{}
	for _, d := range found {
		said[d.Pos] = true
		done[d.Profile] = done[d.Profile] || d.whole && !d.Harmless
	}
	for _, v := range r.views {
		maps.Copy(said, v.shared)
	}
	var list []Disagreement
	for _, name := range r.names() {
		if done[name] {
			continue
		}
		if d, all := r.unseen(name); !all {
			if d.Pos.Line > 0 && !said[d.Pos] {
				list = append(list, d)
			}
			continue
		}
		quarrel := false
		for _, x := range r.Differences(name) {
			if said[x.Pos] { // a process over two lines, a key of [DEFAULT]
				quarrel = quarrel || !isSetting(x.Key)
				continue
			}
			quarrel = quarrel || !isSetting(x.Key)
			list = append(list, Disagreement{Pos: x.Pos, Profile: name, Message: "profile " + show(name) + ": " + x.Text, Hint: x.Hint})
		}
		if quarrel {
			continue
		}
		if d, ok := r.disagreement(c, name); ok {
			list = append(list, d)
		}
	}
	return list
}

// names returns the profiles that any SDK sees, sorted.
func (r *Readings) names() []string {
	var names []string
	for _, v := range r.views {
		for name := range v.profiles {
			if validName(name) && name != "DEFAULT" {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// unseen reports a profile that an SDK does not find under its name, if there
// is anything in it, and whether all find it.
func (r *Readings) unseen(name string) (d Disagreement, all bool) {
	var without []string
	var with Profile
	for i, v := range r.views {
		p, ok := v.profiles[name]
		switch {
		case v.refused != nil:
		case !ok:
			without = append(without, r.sdks[i].name.String())
		case slices.ContainsFunc(p.props, func(pr prop) bool { return pr.value != "" }):
			with = p
		}
	}
	if len(without) == 0 || with.Name == "" {
		return Disagreement{}, len(without) == 0
	}
	return Disagreement{
		Pos: with.Pos, Profile: name,
		Message: "profile " + show(name) + ": " + enumerate(without) + " " + agree("does not find it", len(without)),
		Hint:    "write the header with one blank after profile, no quotes, and nothing behind it",
	}, false
}
