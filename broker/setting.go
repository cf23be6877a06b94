// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"fmt"
	"net/url"
	"time"

	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

// candidate is a value that a setting of a plan may take, and who says so. The
// zero value of T is none.
type candidate[T comparable] struct {
	value T
	from  origin
}

// origin is where a value stands. The zero origin is a default of broker.
type origin struct {
	file    awsconfig.Pos // in the AWS files
	section string        // of broker's own config
	profile string        // of whose section in broker's own config
	key     string        // in that section
	record  string        // with the stored key of this access key ID
}

// own is what [profile NAME] of broker's config says.
func own[T comparable](on awsconfig.ProfileSettings, key string, v T) candidate[T] {
	return candidate[T]{v, origin{profile: on.Profile, key: key}}
}

// inFile is what the AWS files say of a profile.
func inFile[T comparable](on awsconfig.ProfileSettings, key string, v T) candidate[T] {
	return candidate[T]{v, origin{file: on.Where(key)}}
}

// general is what another section of broker's config says, or its default.
func general[T comparable](section, key string, v T) candidate[T] {
	return candidate[T]{v, origin{section: section, key: key}}
}

// ofKey is what is recorded with the key.
func ofKey[T comparable](r record, v T) candidate[T] {
	return candidate[T]{v, origin{record: r.AccessKeyID}}
}

// unset is what holds where nobody says anything.
func unset[T comparable](v T) candidate[T] { return candidate[T]{value: v} }

// first returns the first candidate that says something.
func first[T comparable](candidates ...candidate[T]) candidate[T] {
	var none T
	for _, c := range candidates {
		if c.value != none {
			return c
		}
	}
	return candidate[T]{}
}

// choose settles a setting of a plan: the first candidate that says something.
// What is chosen and what is explained are the same thing for that reason.
func choose[T comparable](pl *planner, profile, name string, candidates ...candidate[T]) T {
	c := first(candidates...)
	var none T
	if pl.tell != nil && c.value != none {
		pl.tell.Settings = append(pl.tell.Settings,
			ipc.Setting{Profile: profile, Name: name, Value: settingText(c.value), From: pl.place(c.from)})
	}
	return c.value
}

func settingText(v any) string {
	if d, ok := v.(time.Duration); ok {
		return awsconfig.FormatLife(d)
	}
	return fmt.Sprint(v)
}

// place says where an origin is: "file:line", "key AKIA…" or "default".
func (pl *planner) place(o origin) string {
	if o.profile != "" {
		o.section = "profile " + o.profile
	}
	if o.section != "" {
		o.file = pl.settings.Where(o.section, o.key)
	}
	switch {
	case o.file != (awsconfig.Pos{}):
		return o.file.String()
	case o.record != "":
		return "key " + o.record
	}
	return ipc.FromDefault
}

// noteSources notes what leads from the profile to its key, and how AWS is
// reached beside its Region.
func (pl *planner) noteSources(route awsconfig.Route) {
	if pl.tell == nil {
		return
	}
	for _, on := range route.Path[:len(route.Path)-1] {
		choose(pl, on.Profile, "source_profile", inFile(on, "source_profile", on.Get("source_profile")))
	}
	head, s := route.Profile(), pl.settings.AWS
	choose(pl, head.Profile, "use_fips_endpoint", inFile(head, "use_fips_endpoint", head.UseFIPS))
	choose(pl, head.Profile, "use_dualstack_endpoint", inFile(head, "use_dualstack_endpoint", head.UseDualStack))
	choose(pl, "", "ca_bundle", general("aws", "ca_bundle", s.CABundle))
	choose(pl, "", "https_proxy", general("aws", "https_proxy", withoutUser(s.HTTPSProxy)))
}

// noteRole notes what one AssumeRole is made from, beside what is chosen.
func (pl *planner) noteRole(on awsconfig.ProfileSettings) {
	if pl.tell == nil {
		return
	}
	for _, key := range []string{"role_arn", "external_id", "source_identity", "session_tags", "transitive_session_tags"} {
		choose(pl, on.Profile, key, inFile(on, key, on.Get(key)))
	}
}

// withoutUser returns a URL without the name and the password in it.
func withoutUser(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.User == nil {
		return text
	}
	u.User = nil
	return u.String()
}
