// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// OverlayOptions is what an overlay is made from.
type OverlayOptions struct {
	Original string   // path of the config file, for the first line
	Config   []byte   // its content; empty when there is no such file
	Served   []string // the profiles that broker serves
	// Lives says how long the credentials of a profile are to live; a profile
	// that is not in it says so itself. May be nil.
	Lives  map[string]time.Duration
	Broker string // absolute path of the broker program
}

// overlayMark starts the first line of every overlay.
const overlayMark = "# made by broker exec, not to be edited, from "

// Overlay returns a config file for the child of `broker exec`: the user's own
// one, in which every served profile gets its credentials from broker and from
// nowhere else. Whatever SDK reads it finds each section and each key once.
//
// It is written anew from what was parsed, so it has no comment of the user's.
// Left out are
//   - of a served profile: every key that is a source of credentials, or a
//     parameter of one. Its other keys and its broker_ ones stay;
//   - everywhere: key pairs and other secrets. The overlay may outlive the
//     child, and a second copy of a secret is one nobody would look for. So a
//     profile that broker does not serve, with a key pair in the config file,
//     has no credentials in the child; one with a pair in the credentials file
//     has them still, because that file stays in force;
//   - what SDKs disagree about, and might read as a second source: sections
//     and keys with quotes, colons or control characters, and values that go on
//     over several lines. Nested blocks such as "s3 =" stay.
//
// The error is of CodeConfigBroken when Config does not parse, else of CodeUsage.
func Overlay(o OverlayOptions) ([]byte, error) {
	file, err := parse(o.Original, o.Config)
	if err != nil {
		return nil, err
	}
	lines := map[string]string{} // by header
	for _, name := range o.Served {
		if lines[profileHeader(name)], err = HelperLine(o.Broker, name, o.Lives[name]); err != nil {
			return nil, err
		}
	}
	var buf bytes.Buffer
	fmt.Fprintf(&buf, "%s%s\n", overlayMark, strconv.QuoteToASCII(o.Original))
	ov := newOverlay(file.sections())
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		ov.add(name)
	}
	for _, name := range ov.headers {
		fmt.Fprintf(&buf, "\n[%s]\n", name)
		line, served := lines[name]
		if served {
			fmt.Fprintf(&buf, "credential_process = %s\n", line)
		}
		for _, p := range ov.props[name] {
			// What stands in [DEFAULT] is, to botocore, in every profile.
			if (served || name == "DEFAULT") && isSourceKey(p.key) {
				continue
			}
			p.write(&buf)
		}
	}
	return buf.Bytes(), nil
}

// OverlayOriginal returns the file that an overlay was made from, when data is
// one: how a nested `broker exec` finds the user's own config.
func OverlayOriginal(data []byte) (path string, ok bool) {
	first, _, _ := strings.Cut(string(data[:min(len(data), 64<<10)]), "\n")
	quoted, ok := strings.CutPrefix(first, overlayMark)
	if !ok {
		return "", false
	}
	path, err := strconv.Unquote(quoted)
	return path, err == nil
}

// overlay is a config file with each section and each key once.
type overlay struct {
	headers []string // in the order of the file
	props   map[string][]prop
}

func newOverlay(sections []section) overlay {
	ov := overlay{props: map[string][]prop{}}
	prefixed := hasPrefixedDefault(sections)
	for _, s := range sections {
		name := s.overlayHeader()
		if name == "" || prefixed && s.isDefault() {
			continue
		}
		ov.add(name)
		for _, p := range s.props {
			ov.put(name, p)
		}
	}
	return ov
}

func (ov *overlay) add(name string) {
	if _, ok := ov.props[name]; !ok {
		ov.headers = append(ov.headers, name)
		ov.props[name] = nil
	}
}

// put adds a property or replaces the one of the same key.
func (ov *overlay) put(name string, p prop) {
	i := slices.IndexFunc(ov.props[name], func(q prop) bool { return q.key == p.key })
	switch {
	case !p.overlays():
	case i < 0:
		ov.props[name] = append(ov.props[name], p)
	default:
		ov.props[name][i] = p
	}
}

func profileHeader(name string) string {
	if name == DefaultProfile {
		return name
	}
	return "profile " + name
}

// overlayHeader returns the one spelling of a section's header, or "" for a
// section that must not be copied: botocore reads [profiles dev] and
// [profile "dev"] as profile dev, and the last one wins.
func (s section) overlayHeader() string {
	switch {
	case !validName(s.name) || s.prefix != "" && !validName(s.prefix):
		return ""
	case s.prefix == "profile" || s.isDefault():
		return profileHeader(s.name)
	case s.prefix == "sso-session" || s.prefix == "services":
		return s.header()
	}
	for _, word := range []string{"profile", "sso-session", "services"} {
		if strings.HasPrefix(s.header(), word) {
			return ""
		}
	}
	return s.header()
}

// header returns what stood between the brackets.
func (s section) header() string { return strings.TrimLeft(s.prefix+" "+s.name, " ") }

// overlays reports whether a property may stand in an overlay. botocore takes
// ":" for "=", and a lone CR for the end of a line; the SDK for Go makes a
// property of its own of a continuation that has a "=".
func (p prop) overlays() bool {
	odd := func(r rune) bool { return r != '\n' && r != '\t' && unicode.IsControl(r) }
	return validName(p.key) && !strings.Contains(p.key, ":") && !strings.ContainsFunc(p.value, odd) &&
		(strings.HasPrefix(p.value, "\n") || !strings.Contains(p.value, "\n")) &&
		!isSecret(p.key) && p.key != "aws_access_key_id"
}

func (p prop) write(buf *bytes.Buffer) {
	lines := strings.Split(p.value, "\n")
	between := " "
	if lines[0] == "" || lines[0][0] == '#' || lines[0][0] == ';' {
		between = "" // after a blank it would be a comment
	}
	fmt.Fprintf(buf, "%s =%s%s\n", p.key, between, lines[0])
	for _, text := range lines[1:] {
		// Some SDKs look for comments and headers behind the indent as well,
		// and skip white space that the grammar does not know.
		if isNameByte(text[0]) {
			fmt.Fprintf(buf, "  %s\n", text)
		}
	}
}

// isSourceKey reports whether a key gives a profile its credentials, or is a
// parameter of one that does.
func isSourceKey(key string) bool {
	switch key {
	case "external_id", "role_session_name", "duration_seconds", "mfa_serial", "mfa_process", "sso_registration_scopes":
		return true
	}
	return slices.Contains(sourceKeys(), key)
}
