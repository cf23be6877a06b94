// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// What becomes of a profile.
const (
	stateWired    = "wired"     // sent to broker by this edit
	stateAlready  = "already"   // was sent to broker before
	stateRefused  = "refused"   // broker serves it, and it cannot be wired
	stateUnserved = "unserved"  // broker has no key for it
	stateUnwired  = "unwired"   // taken back by this edit
	stateNotWired = "not_wired" // there is nothing to take back
)

// wiredProfile is one profile in the result of wire or unwire.
type wiredProfile struct {
	Profile string   `json:"profile"`
	State   string   `json:"state"`
	Was     string   `json:"was,omitempty"` // where SDKs took its credentials from, in words
	Now     string   `json:"now,omitempty"` // where they take them from after the edit
	Code    ipc.Code `json:"code,omitempty"`
	File    string   `json:"file,omitempty"`
	Line    int      `json:"line,omitempty"`
	Message string   `json:"message,omitempty"` // why it is not wired
	Hint    string   `json:"hint,omitempty"`
	Note    string   `json:"note,omitempty"` // an SDK that goes another way with a wired profile, whatever wire does

	err     error // of Code, as a command ends with it
	fresh   bool  // no line of broker's was there before
	renamed bool  // keys that other programs read have another name now
}

// fail turns p into a profile that is left as it is.
func (p *wiredProfile) fail(state string, err error) {
	coded := client.AsCoded(err)
	*p = wiredProfile{Profile: p.Profile, State: state, Code: coded.Code, Message: coded.Message, Hint: coded.Hint, err: err}
	if at := (*awsconfig.Error)(nil); errors.As(err, &at) {
		p.File, p.Line, p.Message = at.File, at.Line, at.Message
	}
}

// The two AWS files, in an awsText.
const (
	theConfig = iota
	theCredentials
)

// awsText is the content of the two AWS files.
type awsText [2][]byte

// clear wipes what may hold secrets.
func (t awsText) clear() {
	clear(t[theConfig])
	clear(t[theCredentials])
}

func (t awsText) equal(u awsText) bool {
	return bytes.Equal(t[theConfig], u[theConfig]) && bytes.Equal(t[theCredentials], u[theCredentials])
}

// wirePlan is what an edit makes of two files: pure, so that it can be thought
// through again when a file has changed meanwhile.
type wirePlan struct {
	text     awsText // the files as they are to be
	changes  [2]bool // which of them
	profiles []wiredProfile
	others   []string // that live on a profile that is wired by name, and are not
}

// wireRules is what wire decides by, beside the files.
type wireRules struct {
	files   awsconfig.Files
	names   []string          // nil is every profile
	keys    map[string]string // access key ID of each stored key, by profile
	program string            // absolute path of broker, as it is to be written
	windows bool              // where a line is run by cmd.exe
}

// plan says what wire makes of two files.
func (r wireRules) plan(old awsText) (wirePlan, error) {
	before, err := awsconfig.LoadBytes(r.files, old[theConfig], old[theCredentials])
	if err != nil {
		return wirePlan{}, err
	}
	p := wirePlan{profiles: []wiredProfile{}}
	for _, name := range r.targets(before) {
		p.profiles = append(p.profiles, r.judge(before, name))
	}
	// A refusal while editing leaves half an edit behind: again without it.
	for refused := true; refused; {
		d, err := openDocuments(r.files, old)
		if err != nil {
			return p, err
		}
		if refused = r.edit(d, p.profiles); !refused {
			err = p.take(d, old, client.Lookup(r.keys))
		}
		d.wipe()
		if err == nil && !refused {
			refused = r.misread(old, before, &p)
		}
		if err != nil {
			return p, err
		}
	}
	return p, r.settle(before, &p)
}

// targets are the profiles that the plan has to say something about.
func (r wireRules) targets(config *awsconfig.Config) []string {
	if r.names != nil {
		return r.names
	}
	names := config.Profiles()
	for name := range r.keys { // a key may be stored for a profile that no file has yet
		if _, ok := slices.BinarySearch(names, name); !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// judge decides about one profile before its file is touched.
func (r wireRules) judge(config *awsconfig.Config, name string) wiredProfile {
	p := wiredProfile{Profile: name, State: stateWired, Was: sourceText(config, name)}
	own, _ := config.Profile(name)
	_, asked, ours := awsconfig.HelperCommand(own.Get("credential_process"))
	p.fresh = !ours || asked != name
	route, err := config.Route(name, client.Lookup(r.keys))
	if err != nil {
		p.fail(stateUnserved, err)
		return p
	}
	if err := keyPairIn(config, name, r.keys[name]); err != nil {
		p.fail(stateRefused, err)
		return p
	}
	p.Now = servedText(config, route, r.keys)
	return p
}

// keyPairIn refuses a profile with a key of its own in the files: SDKs use it
// before credential_process, or beside it, each in its own order.
func keyPairIn(config *awsconfig.Config, name, stored string) error {
	own, _ := config.Profile(name)
	for _, key := range []string{"aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_security_token"} {
		if own.Get(key) == "" {
			continue
		}
		at := own.Where(key)
		return &awsconfig.Error{
			Code: string(ipc.CodeRefused), File: at.File, Line: at.Line,
			Message: fmt.Sprintf("%s of profile %s outranks broker: SDKs would go on using it", key, name),
			Hint:    client.KeyPairHint(own, stored),
		}
	}
	return nil
}

// documents are the two files, to be edited.
type documents struct {
	files               awsconfig.Files
	config, credentials *awsconfig.Document
}

func openDocuments(files awsconfig.Files, text awsText) (d documents, err error) {
	d.files = files
	if d.config, err = awsconfig.ParseDocument(files.Config, awsconfig.ConfigFile, text[theConfig]); err != nil {
		return d, err
	}
	if d.credentials, err = awsconfig.ParseDocument(files.Credentials, awsconfig.CredentialsFile, text[theCredentials]); err != nil {
		d.config.Wipe()
		return d, err
	}
	d.credentials.Beside(d.config)
	return d, nil
}

func (d documents) wipe() {
	d.config.Wipe()
	d.credentials.Wipe()
}

// take makes the edited files the plan, once they are what they were meant to be.
func (p *wirePlan) take(d documents, old awsText, keys awsconfig.KeyLookup) error {
	if err := awsconfig.Verify(d.files, keys, d.config, d.credentials); err != nil {
		return err
	}
	p.text = awsText{d.config.Bytes(), d.credentials.Bytes()}
	for i := range old {
		p.changes[i] = !bytes.Equal(p.text[i], old[i])
	}
	return nil
}

// edit makes the edits of every profile that is to be wired. A profile whose
// edit is refused changes its state, and the edit counts for nothing.
func (r wireRules) edit(d documents, profiles []wiredProfile) (refused bool) {
	for i := range profiles {
		p := &profiles[i]
		if p.State != stateWired {
			continue
		}
		line, err := r.line(p.Profile)
		if err == nil {
			err = d.config.Wire(p.Profile, line)
		}
		if err == nil {
			err = d.credentials.Park(p.Profile)
		}
		if err != nil {
			p.fail(stateRefused, err)
			refused = true
		}
	}
	return refused
}

// misread takes out of a plan what SDKs would not read as it is meant. The edit
// counts for nothing if there was any.
func (r wireRules) misread(old awsText, before *awsconfig.Config, p *wirePlan) (refused bool) {
	check := newSDKCheck(r.files, old, p.text)
	for i := range p.profiles {
		if t := &p.profiles[i]; t.State == stateWired {
			own, _ := before.Profile(t.Profile)
			if err := check.judge(t, own); err != nil {
				t.fail(stateRefused, err)
				refused = true
			}
		}
	}
	if refused {
		p.text.clear()
	}
	return refused
}

// line is the credential_process of a profile, which must be known again as
// broker's.
func (r wireRules) line(profile string) (string, error) {
	line, err := awsconfig.HelperLine(r.program, profile, 0)
	if err != nil {
		return "", err
	}
	if program, asked, ok := awsconfig.HelperCommand(line); !ok || program != r.program || asked != profile {
		return "", &ipc.Error{
			Code: ipc.CodeRefused, Message: "a line with " + r.program + " would not be known as broker's",
			Hint: "install the program under the name broker",
		}
	}
	if r.windows && strings.Contains(r.program, " ") {
		return "", errBlank(r.program)
	}
	return line, nil
}

// errBlank refuses a path on Windows that the SDKs for Go and .NET cannot run:
// they hand the line to cmd.exe with each quote escaped, or without.
// https://github.com/aws/aws-sdk-go-v2/issues/3208
func errBlank(program string) error {
	return &ipc.Error{
		Code: ipc.CodeRefused, Message: "the SDKs for Go (Terraform) and .NET cannot run " + program + ", because its path has a blank",
		Hint: "install broker under a path without one",
	}
}

// settle makes sure that each wired profile is sent to this broker and nowhere
// else, and tells those to which nothing happened.
func (r wireRules) settle(before *awsconfig.Config, p *wirePlan) error {
	after, err := awsconfig.LoadBytes(r.files, p.text[theConfig], p.text[theCredentials])
	if err != nil {
		return err
	}
	for i := range p.profiles {
		t := &p.profiles[i]
		if t.State != stateWired {
			continue
		}
		if program, ok := after.Helper(t.Profile); !ok || program != r.program {
			return client.Errorf(ipc.CodeInternal, "wire profile %s: nothing was written: it would not be sent to broker", t.Profile)
		}
		was, _ := before.Profile(t.Profile)
		is, _ := after.Profile(t.Profile)
		if maps.Equal(was.Properties(), is.Properties()) {
			t.State, t.Was = stateAlready, ""
		}
		t.renamed = lost(was, is)
	}
	if r.names != nil {
		p.others = r.dependants(after)
	}
	return nil
}

// dependants returns the profiles, beside those that were named, that take their
// credentials from one of these and are not sent to broker themselves: SDKs
// assume their roles, and not all of them do where an MFA device is named.
func (r wireRules) dependants(config *awsconfig.Config) []string {
	var names []string
	for _, name := range config.Profiles() {
		if _, ours := config.Helper(name); ours || slices.Contains(r.names, name) {
			continue
		}
		route, err := config.Route(name, client.Lookup(r.keys))
		if err == nil && slices.ContainsFunc(route.Path, func(p awsconfig.ProfileSettings) bool { return slices.Contains(r.names, p.Profile) }) {
			names = append(names, name)
		}
	}
	return names
}

// lost reports whether a profile has a key less than before.
func lost(was, is awsconfig.Profile) bool {
	now := is.Properties()
	for key := range was.Properties() {
		if _, ok := now[key]; !ok {
			return true
		}
	}
	return false
}

// refusal is the error that wire ends with for the profiles that it could not
// wire: named ones are wired all or not at all.
func (p wirePlan) refusal(named bool) error {
	var first error
	n := 0
	for _, t := range p.profiles {
		if t.err != nil && (named || t.State == stateRefused) {
			n++
			if first == nil {
				first = t.err
			}
		}
	}
	switch {
	case n == 0:
		return nil
	case !named:
		return &ipc.Error{Message: fmt.Sprintf("%s that broker serves could not be wired", count(n, "profile"))}
	case len(p.profiles) == 1:
		return first
	}
	coded := client.AsCoded(first)
	coded.Message = "nothing was wired: " + coded.Message
	if n > 1 {
		coded.Message += fmt.Sprintf("; and %s of those that were named cannot be wired either", count(n-1, "other"))
	}
	return coded
}
