// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// explained is the JSON of broker explain: the daemon's plan, and what SDKs make
// of the profile in the files of the caller, which need not be the daemon's.
type explained struct {
	ipc.Explanation
	SDKs readings `json:"sdks"`
}

// readings is what SDKs make of a profile.
type readings struct {
	// Alike says that all of them come to the same credentials and settings.
	Alike    bool      `json:"alike"`
	Readings []reading `json:"readings"`
	// Differences are the keys that they do not read alike.
	Differences []finding `json:"differences"`
	// Problem is why the files could not be looked at.
	Problem string `json:"problem,omitempty"`
}

// reading is what one SDK makes of a profile, or of the source of its role.
type reading struct {
	SDK         awsconfig.SDK `json:"sdk,omitempty"`
	Source      string        `json:"source"`
	File        string        `json:"file,omitempty"`
	Line        int           `json:"line,omitempty"`
	AccessKeyID string        `json:"accessKeyId,omitempty"`
	Profile     string        `json:"profile,omitempty"`
	RoleARN     string        `json:"roleArn,omitempty"`
	AsksCode    bool          `json:"asksCode,omitempty"`
	Reason      string        `json:"reason,omitempty"`
	From        *reading      `json:"from,omitempty"`
	Text        string        `json:"text,omitempty"` // what the SDK does, in words
}

// readBySDKs looks at the caller's AWS files: those are what SDKs in the same
// shell read. The daemon is not asked; it may read others. The environment is
// not looked at either: that is doctor's.
func (a *app) readBySDKs(profile string) readings {
	r := readings{Readings: []reading{}, Differences: []finding{}}
	files, err := a.AWSFiles()
	if err != nil {
		r.Problem = client.AsCoded(err).Message
		return r
	}
	all, err := awsconfig.ReadAsSDKs(files)
	if err != nil {
		r.Problem = client.AsCoded(err).Message
		return r
	}
	list := all.Of(profile)
	for _, one := range list {
		row := newReading(one)
		row.Text = one.Text(awsconfig.Pos.String)
		r.Readings = append(r.Readings, row)
	}
	for _, d := range all.Differences(profile) {
		r.Differences = append(r.Differences, finding{
			Level: levelNote, File: d.Pos.File, Line: d.Pos.Line, Profile: profile, Message: d.Text, Hint: d.Hint,
		})
	}
	r.Alike = awsconfig.Alike(list) && len(r.Differences) == 0
	return r
}

func newReading(r awsconfig.Reading) reading {
	row := reading{
		SDK: r.SDK, Source: r.Source, File: r.Pos.File, Line: r.Pos.Line, AccessKeyID: r.AccessKeyID,
		Profile: r.Profile, RoleARN: r.RoleARN, AsksCode: r.AsksCode, Reason: r.Reason,
	}
	if r.From != nil {
		from := newReading(*r.From)
		row.From = &from
	}
	return row
}

// asks reports whether an SDK asks broker for a profile.
func (r reading) asks(profile string) bool {
	return r.Source == awsconfig.SourceBroker && r.Profile == profile
}

// sdkTexts says what SDKs do with a profile: one line if all is as broker wants
// it, or if they are all alike.
func sdkTexts(x explained) []string {
	r := x.SDKs
	if r.Problem != "" {
		return []string{"not looked at: " + r.Problem}
	}
	if len(r.Readings) == 0 {
		return nil
	}
	same := func(o reading) bool { return o.Text == r.Readings[0].Text }
	var lines []string
	switch all := !slices.ContainsFunc(r.Readings, func(o reading) bool { return !same(o) }); {
	case all:
		lines = append(lines, "every SDK "+r.Readings[0].Text)
	default:
		for _, one := range r.Readings {
			lines = append(lines, one.SDK.Programs()+" "+one.Text)
		}
	}
	for _, d := range r.Differences {
		lines = append(lines, d.text()+"; "+d.Hint)
	}
	if advice := x.advice(); advice != "" {
		lines = append(lines, advice)
	}
	return lines
}

// advice is the command after which every SDK asks broker, "" if all do.
func (x explained) advice() string {
	ours := func(r reading) bool { return r.asks(x.Profile) }
	others := slices.DeleteFunc(slices.Clone(x.SDKs.Readings), ours)
	switch {
	case len(others) == 0:
		return ""
	case slices.ContainsFunc(others, func(r reading) bool { return r.Source == awsconfig.SourceKey }):
		return "so that all ask broker: broker import " + x.Profile + " --delete-source, then broker wire " + x.Profile
	}
	return "so that all ask broker: broker wire " + x.Profile
}
