// SPDX-License-Identifier: Apache-2.0

package main

import (
	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

// sdkCheck holds an edit against what the SDKs themselves would read: a line of
// broker's is of no use below a header that one of them takes for none, or
// above a second credential_process that only one of them finds.
type sdkCheck struct {
	before, after func() *awsconfig.Readings
	lured         map[string]awsconfig.Reading // by the edit: see Readings.Lured
}

// newSDKCheck reads what an edit makes of two files.
func newSDKCheck(files awsconfig.Files, old, edited awsText) sdkCheck {
	read := func(text awsText) func() *awsconfig.Readings {
		var r *awsconfig.Readings // most edits need that of before for nothing
		return func() *awsconfig.Readings {
			if r == nil {
				r = awsconfig.ReadBytesAsSDKs(files, text[theConfig], text[theCredentials])
			}
			return r
		}
	}
	c := sdkCheck{before: read(old), after: read(edited)}
	if c.lured = c.after().Lured(); len(c.lured) > 0 {
		for profile := range c.before().Lured() {
			delete(c.lured, profile) // not by this edit
		}
	}
	return c
}

// judge refuses a wired profile that an SDK would not ask broker for, or would
// ask for in the name of another one. What was so before is noted: the line is
// there already, or the SDK got nothing out of the profile before, either. own
// is the profile before the edit.
func (c sdkCheck) judge(t *wiredProfile, own awsconfig.Profile) error {
	t.Note = ""
	if lured, ok := c.lured[t.Profile]; ok {
		return sdkRefusal(own, lured.SDK, awsconfig.Reading{}, "takes broker's line for one of another profile")
	}
	strays := c.after().Strays(t.Profile)
	if len(strays) == 0 {
		return nil
	}
	before := map[awsconfig.SDK]awsconfig.Reading{}
	for _, was := range c.before().Of(t.Profile) {
		before[was.SDK] = was
	}
	for _, is := range strays {
		was := before[is.SDK]
		same := was.Source == is.Source && was.Reason == is.Reason
		if same {
			is = was // with the place where it stands in the file now
		} else {
			is.Pos = awsconfig.Pos{}
		}
		text := is.Text(awsconfig.Pos.String)
		nothing := is.Source == awsconfig.SourceRefused || is.Source == awsconfig.SourceNone
		if t.fresh && (!same || !nothing) {
			return sdkRefusal(own, is.SDK, is, text)
		}
		t.Note = is.SDK.Programs() + " " + text
	}
	return nil
}

func sdkRefusal(own awsconfig.Profile, who awsconfig.SDK, is awsconfig.Reading, does string) error {
	at := is.Pos
	if at == (awsconfig.Pos{}) {
		at = own.Pos
	}
	return &awsconfig.Error{
		Code: string(ipc.CodeRefused), File: at.File, Line: at.Line,
		Message: "profile " + own.Name + " would not be from broker everywhere: with broker's line in it, " + who.Programs() + " " + does,
		Hint:    "broker doctor names the line that SDKs read differently, and what to write there",
	}
}
