// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"slices"
	"strings"
)

// The sources of a Reading, beside those of a Step that have a constant there.
const (
	SourceKey         = StepStatic // an access key in a file
	SourceRole        = StepRole   // AssumeRole with what From has
	SourceNamed       = StepSource // a credential_source
	SourceWebIdentity = StepWebIdentity
	SourceSSO         = StepSSO
	SourceProcess     = StepProcess // a credential_process that is not broker's
	SourceBroker      = "broker"    // broker's helper
	SourceLogin       = "login"     // aws login
	SourceNone        = "none"      // nothing: what the machine offers is tried
	SourceRefused     = "refused"   // the SDK ends with an error
)

// Reading is what one SDK makes of a profile: where it takes credentials from,
// as long as nothing in its environment tells it otherwise. It holds no secret.
type Reading struct {
	SDK    SDK
	Source string
	Pos    Pos // of the key that decides; nowhere if none does
	// AccessKeyID is of a SourceKey, Profile the one that broker is asked for,
	// RoleARN of a SourceRole and a SourceWebIdentity.
	AccessKeyID string
	Profile     string
	RoleARN     string
	AsksCode    bool     // a code for MFA, on the terminal
	From        *Reading // of a SourceRole; its SDK is empty
	Reason      string   // of a SourceRefused: completes "because"

	source  string // the source_profile of a SourceRole
	command string // of a process, as this SDK would run it: may hold a secret
}

// sameAs reports whether both SDKs come to the same credentials.
func (r Reading) sameAs(o Reading) bool {
	if r.From != nil && o.From != nil && !r.From.sameAs(*o.From) {
		return false
	}
	r.SDK, r.From, r.Reason = o.SDK, o.From, o.Reason
	if r.Source == SourceRefused || r.Source == SourceSSO || r.Source == SourceNone {
		r.Pos = o.Pos // of the key that each came across first
	}
	return r == o
}

// Text says what the SDK does, in words that follow its name. shorten is
// applied to each place.
func (r Reading) Text(shorten func(Pos) string) string {
	at := r.at(shorten)
	switch r.Source {
	case SourceBroker:
		return "asks broker for profile " + show(r.Profile)
	case SourceProcess:
		return "runs a credential_process that is not broker's" + at
	case SourceRole, SourceWebIdentity:
		text := "assumes " + printable(r.RoleARN) + at + " with " + r.from(shorten)
		if r.AsksCode {
			text += " after asking for a code on the terminal"
		}
		return text
	case SourceSSO:
		return "signs in with IAM Identity Center" + at
	case SourceRefused:
		return "refuses it: " + r.Reason + at
	case SourceNone:
		return "finds no credentials in it"
	}
	return "uses " + r.noun(shorten)
}

func (r Reading) at(shorten func(Pos) string) string {
	if r.Pos == (Pos{}) {
		return ""
	}
	return " (" + shorten(r.Pos) + ")"
}

// from says what a role is assumed with.
func (r Reading) from(shorten func(Pos) string) string {
	if r.From == nil {
		return "a web identity token"
	}
	return r.From.noun(shorten)
}

// noun names the credentials themselves.
func (r Reading) noun(shorten func(Pos) string) string {
	at := r.at(shorten)
	switch r.Source {
	case SourceBroker:
		return "what broker gives for profile " + show(r.Profile)
	case SourceProcess:
		return "what a credential_process prints" + at
	case SourceKey:
		return strings.TrimSuffix("the access key "+printable(r.AccessKeyID), " ") + at
	case SourceRole, SourceWebIdentity:
		return "the role " + printable(r.RoleARN) + at + ", which takes " + r.from(shorten)
	case SourceSSO:
		return "a session of IAM Identity Center" + at
	case SourceLogin:
		return "a session of aws login" + at
	case SourceNamed:
		return "what credential_source names" + at
	}
	return "whatever the machine has"
}

// Readings are the AWS files as every SDK reads them.
type Readings struct {
	files Files
	sdks  []sdk
	views []*view
}

// ReadAsSDKs reads the AWS files once for each SDK. The error is one of Load,
// for files that cannot be read at all: what an SDK cannot parse is a Reading.
func ReadAsSDKs(files Files) (*Readings, error) {
	var c contents
	var err error
	if c.config, err = ReadFile(files.Config); err != nil {
		return nil, err
	}
	defer clear(c.config) // they may hold secrets
	if c.credentials, err = ReadFile(files.Credentials); err != nil {
		return nil, err
	}
	defer clear(c.credentials)
	return readAll(files, c), nil
}

func readAll(files Files, c contents) *Readings {
	r := &Readings{files: files, sdks: sdks()}
	for _, s := range r.sdks {
		r.views = append(r.views, s.read(files, c))
	}
	return r
}

// Of returns what each SDK makes of a profile, in a fixed order.
func (r *Readings) Of(profile string) []Reading {
	list := make([]Reading, len(r.sdks))
	for i, s := range r.sdks {
		if v := r.views[i]; v.refused != nil {
			list[i] = refusal(Pos{v.refused.File, v.refused.Line}, v.refused.Message)
		} else {
			list[i] = s.resolve(v, profile)
		}
		list[i].SDK = s.name
	}
	return list
}

// Alike reports whether all SDKs come to the same credentials.
func Alike(list []Reading) bool {
	return !slices.ContainsFunc(list, func(r Reading) bool { return !r.sameAs(list[0]) })
}

func found(source string, at Pos) Reading { return Reading{Source: source, Pos: at} }

func refusal(at Pos, reason string) Reading {
	return Reading{Source: SourceRefused, Pos: at, Reason: reason}
}

// assumed is a role assumed with what a source has. A source that the SDK
// refuses it refuses too.
func assumed(p Profile, from Reading) Reading {
	if from.Source == SourceRefused {
		return from
	}
	return Reading{
		Source: SourceRole, Pos: p.Where("role_arn"), RoleARN: p.Get("role_arn"),
		AsksCode: p.Get("mfa_serial") != "", From: &from, source: p.Get("source_profile"),
	}
}

// credentialSource is the credential_source of a profile.
func credentialSource(p Profile) Reading {
	at := p.Where("credential_source")
	switch p.Get("credential_source") {
	case "Environment", "Ec2InstanceMetadata", "EcsContainer":
		return found(SourceNamed, at)
	}
	return refusal(at, "its credential_source is none that it knows")
}

func webIdentityOf(p Profile) Reading {
	if p.Get("role_arn") == "" {
		return refusal(p.Where("web_identity_token_file"), "it has web_identity_token_file without a role_arn")
	}
	r := found(SourceWebIdentity, p.Where("web_identity_token_file"))
	r.RoleARN = p.Get("role_arn")
	return r
}

// pair is a key pair, or half of one.
func pair(p Profile, whole bool) Reading {
	at := p.Where("aws_access_key_id")
	if !whole {
		return refusal(at, "it has half a key pair")
	}
	r := found(SourceKey, at)
	r.AccessKeyID = p.Get("aws_access_key_id")
	return r
}

// processOf is a credential_process, as the SDK would run it.
func processOf(p Profile) Reading {
	at, command := p.Where("credential_process"), p.Get("credential_process")
	if command == "" {
		return refusal(at, "its credential_process is empty")
	}
	r := found(SourceProcess, at)
	if _, asked, ok := HelperCommand(command); ok && !strings.Contains(command, "\n") {
		r.Source, r.Profile = SourceBroker, asked
	}
	r.command = command
	return r
}
