// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bytes"
	"strings"

	"credbroker/internal/secret"
)

// SDK is a family of programs that read the AWS files with the same code.
type SDK string

// The SDKs whose reading is known in full: each is held against the real one by
// a test. Others are close to one of them; docs/config.md says which.
const (
	Botocore   SDK = "botocore"   // the AWS CLI, boto3, Ansible
	Go         SDK = "go"         // aws-sdk-go-v2: Terraform, Packer, kubectl's helpers
	JavaScript SDK = "javascript" // v3: the CDK, Serverless, whatever runs on Node.js
)

// String returns the name for people.
func (s SDK) String() string {
	switch s {
	case Go:
		return "Go"
	case JavaScript:
		return "JavaScript"
	}
	return string(s)
}

// Programs returns the name with the best known programs that read so.
func (s SDK) Programs() string {
	switch s {
	case Botocore:
		return "botocore (aws, boto3)"
	case Go:
		return "Go (Terraform)"
	case JavaScript:
		return "JavaScript (CDK)"
	}
	return string(s)
}

// view is what one SDK has in hand after reading both files: its own idea of
// which profiles there are and which keys they have. Keys are spelled as that
// SDK looks them up.
type view struct {
	refused  *Error // why it reads neither file; nothing else is set then
	profiles map[string]Profile
	sessions map[string]Profile // sso-sessions
	// own is what the files say of a profile before they are merged, for the
	// SDKs that look at that.
	inConfig, inCredentials map[string]Profile
	shared                  map[Pos]bool // properties that every profile has from one section
}

// sdk is one SDK: its reading of the files, and its choice among the sources of
// credentials of one profile.
type sdk struct {
	name    SDK
	read    func(Files, contents) *view
	resolve func(v *view, profile string) Reading
}

func sdks() []sdk {
	return []sdk{
		{Botocore, readAsBotocore, resolveAsBotocore},
		{Go, readAsGo, resolveAsGo},
		{JavaScript, readAsJavaScript, resolveAsJavaScript},
	}
}

// contents are both files as they are. They may hold secrets: who reads them
// wipes them.
type contents struct{ config, credentials []byte }

// sectionOf returns the section of a list that has a header, and appends it if
// there is none.
func sectionOf(list []section, index map[string]int, header string, line int) ([]section, *section, bool) {
	if i, ok := index[header]; ok {
		return list, &list[i], true
	}
	index[header] = len(list)
	list = append(list, section{name: header, line: line})
	return list, &list[len(list)-1], false
}

// put adds a property to a section, or replaces it.
func (s *section) put(p prop) {
	for i := range s.props {
		if s.props[i].key == p.key {
			s.props[i] = p
			return
		}
	}
	s.props = append(s.props, p)
}

// as returns a section as a profile of a name.
func (s section) as(name, file string) Profile {
	return Profile{Name: name, Pos: Pos{file, s.line}, props: s.props}
}

// over returns base with every property of p put over it.
func (p Profile) over(base Profile) Profile {
	merged := Profile{Name: p.Name, Pos: base.Pos, props: append([]prop(nil), base.props...)}
	for _, pr := range p.props {
		merged = merged.with(pr)
	}
	return merged
}

// has reports whether a key is there, if only with an empty value: botocore
// looks at that.
func (p Profile) has(key string) bool { return p.index(key) >= 0 }

// keptValue returns a value as it may be kept: a secret reads secret.Redacted,
// as everywhere in this package, and an empty value stays empty.
func keptValue(key string, value []byte) string {
	lower := strings.ToLower(key)
	if len(value) > 0 && (isSecret(lower) || lower == "aws_access_key_id" && looksSecret(value)) {
		return secret.Redacted
	}
	return string(value)
}

// continued returns a value with one more line.
func continued(key, value string, line []byte) string {
	if value == secret.Redacted || isSecret(strings.ToLower(key)) {
		return secret.Redacted
	}
	return value + "\n" + string(line)
}

// eachLine calls do with every line of data and its number, without the "\n".
func eachLine(data []byte, do func(n int, text []byte)) {
	for n := 1; len(data) > 0; n++ {
		text, rest, _ := bytes.Cut(data, []byte("\n"))
		do(n, text)
		data = rest
	}
}
