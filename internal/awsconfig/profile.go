// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// The bounds of what STS hands out.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
const (
	MinSessionDuration = 900 * time.Second
	MaxSessionDuration = 129600 * time.Second
	MinRoleDuration    = 900 * time.Second
	MaxRoleDuration    = 43200 * time.Second
)

// ProfileSettings is what broker takes from a profile of the AWS config,
// checked. Zero fields are not set.
type ProfileSettings struct {
	Profile   string
	MFASerial string
	Region    string
	Role      Role
	// SessionDuration is broker_session_duration: how long a session of the key lasts.
	SessionDuration time.Duration
	MaxAge          time.Duration // broker_max_age: at which the key is due, or Off
	UseFIPS         bool
	UseDualStack    bool
	source          Profile
}

// Role is what AssumeRole is asked for. The zero Role is none.
type Role struct {
	ARN               string
	ExternalID        string
	SessionName       string
	SourceIdentity    string
	Duration          time.Duration // broker_role_duration, else duration_seconds
	Tags              []Tag         // in the order of the file
	TransitiveTagKeys []string
}

// Tag is a session tag.
type Tag struct{ Key, Value string }

// Where returns the place of a key of the profile, in its plain spelling, or
// of the profile when it lacks the key.
func (p ProfileSettings) Where(key string) Pos { return p.source.Where(key) }

// Get returns the value of a key of the profile as it stands in the file, in
// its plain spelling; "" when the profile lacks it. See Profile.Get.
func (p ProfileSettings) Get(key string) string { return p.source.Get(key) }

// folded returns a profile with what it includes and with the broker_ spellings
// in place of the plain ones. They are that before anything is included: what
// wire writes into a profile must not beat what another, which includes it, says
// itself.
func (c *Config) folded(name string) (Profile, error) { return c.includedAs(name, Profile.folded) }

// folded returns p with the broker_ spellings in place of the plain ones. An
// empty one hides what p includes, as the plain one does, and nothing else.
func (p Profile) folded() Profile {
	folded := Profile{Name: p.Name, Pos: p.Pos, props: slices.Clone(p.props)}
	for _, pr := range p.props {
		plain, ok := strings.CutPrefix(pr.key, parkedPrefix)
		// broker_was_ and broker_keep are for unwire alone.
		if ok && (pr.value != "" || p.index(plain) < 0) && !strings.HasPrefix(pr.key, unusedPrefix) && pr.key != keepKey {
			folded = folded.with(prop{plain, pr.value, pr.pos})
		}
	}
	return folded
}

// settings reads and checks what broker uses of a profile. The error is of
// CodeProfileInvalid and names the key.
func (p Profile) settings() (ProfileSettings, error) {
	r := settingsReader{profile: p}
	s := ProfileSettings{
		Profile:         p.Name,
		MFASerial:       r.text("mfa_serial", isSerial),
		Region:          r.text("region", isRegion),
		SessionDuration: r.duration("session_duration", MinSessionDuration, MaxSessionDuration),
		MaxAge:          r.age("max_age"),
		UseFIPS:         r.boolean("use_fips_endpoint"),
		UseDualStack:    r.boolean("use_dualstack_endpoint"),
		source:          p,
	}
	if p.Get("role_arn") != "" {
		s.Role = Role{
			ARN:               r.text("role_arn", isRoleARN),
			ExternalID:        r.text("external_id", isExternalID),
			SessionName:       r.text("role_session_name", isSessionName),
			SourceIdentity:    r.text("source_identity", isSessionName),
			Tags:              r.tags("session_tags"),
			TransitiveTagKeys: r.list("transitive_session_tags"),
		}
		if s.Role.Duration = r.duration("role_duration", MinRoleDuration, MaxRoleDuration); s.Role.Duration == 0 {
			s.Role.Duration = r.seconds("duration_seconds", MinRoleDuration, MaxRoleDuration)
		}
	}
	return s, r.err
}

// settingsReader turns values into types and keeps the first error.
type settingsReader struct {
	profile Profile
	err     error
}

func (r *settingsReader) fail(key, want string) {
	if r.err == nil {
		r.err = errorAt(r.profile.Where(key), CodeProfileInvalid, "profile %s: %s %s", show(r.profile.Name), key, want)
	}
}

func (r *settingsReader) text(key string, shape func(string) bool) string {
	v := r.profile.Get(key)
	if v != "" && !shape(v) {
		r.fail(key, "is not one that AWS takes")
		return ""
	}
	return v
}

func (r *settingsReader) boolean(key string) bool {
	switch strings.ToLower(r.profile.Get(key)) {
	case "true":
		return true
	case "", "false":
	default:
		r.fail(key, "must be true or false")
	}
	return false
}

func (r *settingsReader) duration(key string, least, most time.Duration) time.Duration {
	v := r.profile.Get(key)
	if v == "" {
		return 0
	}
	d, err := parseDuration(v, least, most)
	if err != nil {
		r.fail(key, err.Error())
	}
	return d
}

func (r *settingsReader) age(key string) time.Duration {
	v := r.profile.Get(key)
	if v == "" {
		return 0
	}
	d, err := parseAge(v)
	if err != nil {
		r.fail(key, err.Error())
	}
	return d
}

func (r *settingsReader) seconds(key string, least, most time.Duration) time.Duration {
	v := r.profile.Get(key)
	if v == "" {
		return 0
	}
	n, err := strconv.ParseUint(v, 10, 31)
	d := time.Duration(n) * time.Second
	if err != nil || d < least || d > most {
		r.fail(key, "must be a number of seconds from "+seconds(least)+" to "+seconds(most))
		return 0
	}
	return d
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

func (r *settingsReader) list(key string) []string {
	var items []string
	for item := range strings.SplitSeq(r.profile.Get(key), ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// tags reads "key=value,key=value", the spelling of aws-vault. At most 50 tags
// of 128 and 256 characters are what AWS takes.
func (r *settingsReader) tags(key string) []Tag {
	var tags []Tag
	for _, item := range r.list(key) {
		k, v, ok := strings.Cut(item, "=")
		k, v = strings.TrimSpace(k), strings.TrimSpace(v)
		if !ok || k == "" || !isTagText(k, 128) || !isTagText(v, 256) {
			r.fail(key, "must be key=value pairs with commas between them")
			return nil
		}
		tags = append(tags, Tag{k, v})
	}
	if len(tags) > 50 {
		r.fail(key, "has more than 50 tags")
	}
	return tags
}
