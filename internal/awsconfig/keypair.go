// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bytes"

	"credbroker/internal/secret"
)

// StaticKey is what one file has of a profile's access key, as far as that can
// be told without reading a secret.
type StaticKey struct {
	Profile string
	// AccessKeyID is as it stands in the file. It is "" where it is missing, and
	// secret.Redacted where it looks like the secret.
	AccessKeyID string
	HasSecret   bool
	HasToken    bool // aws_session_token, or its older name
	Pos         Pos  // of the access key ID, else of what there is of a key
	// Stray says that Profile is none, but the header of a section that not all
	// SDKs take for a profile in this file: [dev] in the config, [profile dev] in
	// the credentials file.
	Stray bool

	credentials bool // of the credentials file
}

// StaticKeys returns what is there of access keys in both files, sorted by
// profile; of one profile the credentials file comes first, which SDKs prefer.
// Stray ones are last.
func (c *Config) StaticKeys() []StaticKey {
	var keys []StaticKey
	for _, name := range c.Profiles() {
		for _, l := range []*layer{&c.credentials, &c.config} {
			if k, ok := l.staticKey(name); ok {
				k.credentials = l == &c.credentials
				keys = append(keys, k)
			}
		}
	}
	for _, l := range []*layer{&c.credentials, &c.config} {
		keys = append(keys, l.strayKeys()...)
	}
	return keys
}

// strayKeys returns the keys in sections that are no profiles.
func (l *layer) strayKeys() []StaticKey {
	var keys []StaticKey
	inProfile := make([]bool, len(l.heads))
	for _, r := range l.profiles {
		for i := r.first; ; i = l.next[i] {
			if inProfile[i] = true; i == r.last {
				break
			}
		}
	}
	for i := range l.heads {
		if inProfile[i] {
			continue
		}
		for _, row := range l.below(i) {
			if key := l.keys[row.key].lower; key == "aws_access_key_id" || key == "aws_secret_access_key" {
				prefix, name := l.title(i)
				keys = append(keys, StaticKey{Profile: section{prefix: prefix, name: name}.header(), Pos: l.prop(row).pos, Stray: true})
				break
			}
		}
	}
	return keys
}

func (l *layer) staticKey(name string) (StaticKey, bool) {
	r, ok := l.profiles[name]
	if !ok {
		return StaticKey{}, false
	}
	p := l.merge(Profile{Name: name}, r)
	k := StaticKey{
		Profile:     name,
		AccessKeyID: p.Get("aws_access_key_id"),
		HasSecret:   p.Get("aws_secret_access_key") != "",
		HasToken:    p.Get("aws_session_token") != "" || p.Get("aws_security_token") != "",
	}
	for _, key := range []string{"aws_session_token", "aws_secret_access_key", "aws_access_key_id"} {
		if p.Get(key) != "" {
			k.Pos = p.Where(key)
		}
	}
	return k, k.AccessKeyID != "" || k.HasSecret
}

// KeyPair is an access key with its secret.
type KeyPair struct {
	AccessKeyID     string
	SecretAccessKey secret.String
}

// Read reads the key from its file, secret and all: for who takes it over into
// the vault, and for nobody else. The error is an Error of CodeConfigBroken; or
// of CodeProfileInvalid, where the key is no longer there or SDKs would not
// agree about what it is.
func (k StaticKey) Read() (KeyPair, error) {
	data, err := ReadFile(k.Pos.File)
	if err != nil {
		return KeyPair{}, err
	}
	defer clear(data)
	return k.In(data)
}

// In is Read for the content of the file.
func (k StaticKey) In(data []byte) (KeyPair, error) {
	l, err := newLayer(k.Pos.File, data)
	if err != nil {
		return KeyPair{}, err
	}
	if k.credentials {
		l.indexCredentials()
	} else {
		l.indexConfig()
	}
	var p Profile
	if r, ok := l.profiles[k.Profile]; ok {
		p = l.merge(Profile{Name: k.Profile}, r)
	}
	pair := KeyPair{AccessKeyID: p.Get("aws_access_key_id")}
	if pair.AccessKeyID != k.AccessKeyID || p.Get("aws_secret_access_key") == "" {
		return KeyPair{}, errorAt(k.Pos, CodeProfileInvalid, "the key of profile %s is no longer there", show(k.Profile))
	}
	at := p.Where("aws_secret_access_key")
	value, whole := valueAt(data, at.Line)
	switch {
	case !whole:
		return KeyPair{}, errorAt(at, CodeProfileInvalid, "the secret access key of profile %s goes on in the next line", show(k.Profile)).
			hint("write it on one line")
	case isQuoted(value):
		return KeyPair{}, errorAt(at, CodeProfileInvalid, "the secret access key of profile %s stands in quotes, which some SDKs take for a part of it", show(k.Profile)).
			hint("remove the quotes")
	}
	pair.SecretAccessKey = secret.New(string(value))
	return pair, nil
}

// isQuoted reports whether a value begins or ends with a quote. No access key
// has one.
func isQuoted(value []byte) bool {
	return bytes.HasPrefix(value, []byte(`"`)) || bytes.HasPrefix(value, []byte(`'`)) ||
		bytes.HasSuffix(value, []byte(`"`)) || bytes.HasSuffix(value, []byte(`'`))
}

// valueAt returns the value of the property on a line, from 1, as it stands
// there. whole is false if the line after it continues the value.
func valueAt(data []byte, n int) (value []byte, whole bool) {
	var l line
	for range n {
		if l, data = cutLine(data); len(data) == 0 {
			break
		}
	}
	_, value, _ = bytes.Cut(cutComment(l.text, false), []byte("="))
	for len(data) > 0 { // a comment does not end what is continued
		if l, data = cutLine(data); l.kind != blank && l.kind != comment {
			return trim(value), l.kind != continuation
		}
	}
	return trim(value), true
}
