// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
)

// checkKeys looks for long-lived keys in the AWS files: whoever reads the file
// has them, and most SDKs prefer them to broker.
func (d *doctor) checkKeys(context.Context) string {
	config, err := awsconfig.Load(d.files)
	if err != nil {
		d.failed(levelProblem, err)
		return ""
	}
	readings, err := awsconfig.ReadAsSDKs(d.files)
	if err != nil {
		d.failed(levelProblem, err)
		return ""
	}
	d.config, d.pairs = config, map[awsconfig.Pos]bool{}
	for _, name := range config.Profiles() {
		p, _ := config.Profile(name)
		id := p.Get("aws_access_key_id")
		if id == "" {
			continue
		}
		f := finding{Level: levelProblem, Profile: name, Hint: client.KeyPairHint(p, d.keys[name])}
		takers := keyTakers(readings.Of(name))
		switch stored, ok := d.keys[name]; {
		case p.Get("aws_secret_access_key") == "":
			f.Message = fmt.Sprintf("profile %s has half a key pair: %s", name, halfTakers(readings.Of(name)))
		case p.Get("aws_session_token") != "":
			f.Level = levelNote
			f.Message = fmt.Sprintf("profile %s has temporary credentials in this file; %s, expired or not", name, takers)
		case ok && stored == id:
			f.Message = fmt.Sprintf("profile %s has its key%s in this file too: %s and pass broker by", name, keyID(id), takers)
		case ok:
			f.Message = fmt.Sprintf("profile %s has another key%s in this file than the stored one: %s and pass broker by", name, keyID(id), takers)
		default:
			f.Message = fmt.Sprintf("profile %s has a key%s in plain text", name, keyID(id))
		}
		at := p.Where("aws_access_key_id")
		d.pairs[at] = true
		d.at(at, f)
	}
	return "none in the AWS files"
}

// keyTakers says which SDKs use the access key of a profile.
func keyTakers(list []awsconfig.Reading) string {
	names := whoCome(list, awsconfig.SourceKey)
	switch len(names) {
	case len(list), 0: // where all come to something else, nobody relies on it
		return "SDKs use it"
	case 1:
		return names[0] + " uses it"
	}
	return strings.Join(names, " and ") + " use it"
}

// halfTakers says what becomes of half a pair.
func halfTakers(list []awsconfig.Reading) string {
	switch names := whoCome(list, awsconfig.SourceRefused); len(names) {
	case 0:
		return "no SDK uses it"
	case 1:
		return names[0] + " refuses the profile"
	default:
		return strings.Join(names, " and ") + " refuse the profile"
	}
}

// whoCome returns the SDKs that come to a source.
func whoCome(list []awsconfig.Reading, source string) []string {
	var names []string
	for _, r := range list {
		if r.Source == source {
			names = append(names, r.SDK.String())
		}
	}
	return names
}

// checkShapes looks for what SDKs read differently.
func (d *doctor) checkShapes(context.Context) string {
	if d.config == nil {
		return "not looked at"
	}
	found, err := awsconfig.Disagreements(d.files)
	if err != nil {
		d.failed(levelProblem, err)
		return ""
	}
	asks := -1 // the finding of the first profile that SDKs refuse because of its MFA device
	for _, f := range found {
		p, _ := d.config.Profile(f.Profile)
		if f.Sources && p.Get("aws_access_key_id") != "" {
			continue // checkKeys has said who takes the key
		}
		level := levelProblem
		if f.Harmless {
			level = levelNote
		}
		if f.Sources && d.served(f.Profile) {
			f.Hint = "let every SDK ask broker: broker wire " + f.Profile
		}
		switch {
		case f.AsksCode && asks >= 0: // the same advice for each would be a page of it
			d.likewise(&d.findings[asks], f.Profile, level)
			continue
		case f.AsksCode:
			asks = len(d.findings)
		}
		d.at(f.Pos, finding{Level: level, Profile: f.Profile, Message: f.Message, Hint: f.Hint})
	}
	return "every SDK reads the AWS files alike"
}

// likewise counts a profile in to a finding that is of its MFA device, too.
func (d *doctor) likewise(first *finding, profile, level string) {
	first.add(profile)
	if level == levelProblem {
		first.Level = level
	}
	if d.served(profile) {
		first.Hint = "let every SDK ask broker: broker wire --all"
	}
}

// served reports whether broker has the key at the end of a profile's chain.
func (d *doctor) served(profile string) bool {
	_, err := d.config.Route(profile, client.Lookup(d.keys))
	return err == nil
}
