// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"credbroker/internal/atomicfile"
)

// Settings is broker's own config. Use DefaultSettings for a value with nothing
// set; the zero value has durations of 0.
type Settings struct {
	Vault    VaultSettings
	Sessions SessionSettings
	MFA      MFASettings
	Rotation RotationSettings
	Nag      NagSettings
	AWS      AWSSettings
	Profiles map[string]Override // by profile name; may be nil

	places map[place]Pos // what is set, and where
}

// place names a key of a section.
type place struct{ section, key string }

// VaultSettings is the section [vault].
type VaultSettings struct {
	Backend          string // "keychain", "secret-service", "wincred", "file" or "pass"; empty before `broker init`
	PassphraseFile   string // absolute path; for file
	Keychain         string // name of the keychain; for keychain
	PassProgram      string // absolute path; for pass
	PasswordStoreDir string // absolute path; for pass
	GnuPGHome        string // absolute path, or empty; for pass
}

// SessionSettings is the section [sessions].
type SessionSettings struct {
	SessionDuration time.Duration // of GetSessionToken; 12h
	RoleDuration    time.Duration // of AssumeRole; 1h
	MinRemaining    time.Duration // what is handed out lasts at least this long; 20m
}

// MFASettings is the section [mfa].
type MFASettings struct {
	Surfaces   []string      // of command, terminal, dialog and tty, the first to try first
	Timeout    time.Duration // after which a flight without a code ends; 5m
	HelperWait time.Duration // how long the helper waits for `broker mfa`; 50s
}

// RotationSettings is the section [rotation].
type RotationSettings struct {
	MaxAge       time.Duration // at which a key is due; 90d, or Off
	WarnBefore   time.Duration // how long before that its user hears of it; 14d
	UnusedAfter  time.Duration // without use a key is to be deleted rather than replaced; 60d, or Off
	RefuseAfter  time.Duration // the age from which on no session is made with a key; Off
	KeepDisabled time.Duration // how long the old key stays Inactive before it is deleted; 24h
	VerifyFor    time.Duration // how long the new key must work without a failure; 10s
	OnRotate     []string      // a program with an absolute path, and its arguments; nil is none
}

// NagSettings is the section [nag].
type NagSettings struct {
	Channels []string      // of desktop and cli; empty is none
	Quiet    QuietHours    // 22:00-08:00
	Repeat   time.Duration // at least between two notices about one key; 24h
}

// QuietHours is a part of each day, by the local clock: minutes after midnight.
// End comes before Begin when it lasts past midnight. Two that are equal, as in
// the zero value, are no part at all.
type QuietHours struct{ Begin, End int }

// Off is an age that no key reaches.
const Off time.Duration = -1

// AWSSettings is the section [aws]. Empty fields leave it to the defaults of
// AWS. URLs are https, or http to this machine.
type AWSSettings struct {
	ConfigFile      string // absolute path
	CredentialsFile string // absolute path
	Region          string
	EndpointURL     string
	STSEndpointURL  string
	IAMEndpointURL  string
	CABundle        string // absolute path of a PEM file
	HTTPSProxy      string
}

// Override is a section [profile NAME] of broker's own config. It comes before
// what the AWS config says about the profile. Zero fields are not set.
type Override struct {
	MFACommand      []string // a program with an absolute path, and its arguments
	MFASerial       string
	SessionDuration time.Duration
	RoleDuration    time.Duration
	MaxAge          time.Duration // Off is said, 0 is not set
	Region          string
}

// DefaultSettings returns the settings of an empty config.
func DefaultSettings() Settings {
	return Settings{
		Sessions: SessionSettings{SessionDuration: 12 * time.Hour, RoleDuration: time.Hour, MinRemaining: 20 * time.Minute},
		MFA:      MFASettings{Surfaces: surfaces(), Timeout: 5 * time.Minute, HelperWait: 50 * time.Second},
		Rotation: RotationSettings{
			MaxAge: 90 * day, WarnBefore: 14 * day, UnusedAfter: 60 * day, RefuseAfter: Off, KeepDisabled: day, VerifyFor: 10 * time.Second,
		},
		Nag: NagSettings{Channels: channels(), Quiet: QuietHours{22 * 60, 8 * 60}, Repeat: day},
	}
}

// surfaces are the places where a code can be asked for, in the default order.
func surfaces() []string { return []string{"command", "terminal", "dialog", "tty"} }

// channels are the ways in which a user hears of a key that is due.
func channels() []string { return []string{"desktop", "cli"} }

// maxSettings is the largest config of broker's own, in bytes.
const maxSettings = 1 << 20

// LoadSettings reads broker's own config. A file that does not exist is empty;
// one that another user could have written is refused. The error is an Error
// of CodeConfigBroken.
func LoadSettings(path string) (Settings, error) {
	data, err := atomicfile.Read(path, maxSettings)
	if errors.Is(err, fs.ErrNotExist) {
		return DefaultSettings(), nil
	}
	if err != nil {
		return Settings{}, &Error{Code: CodeConfigBroken, Message: err.Error()}
	}
	return ParseSettings(path, data)
}

// ParseSettings is LoadSettings for the content of a file; path is for errors.
func ParseSettings(path string, data []byte) (Settings, error) {
	file, err := parse(path, data)
	if err != nil {
		return Settings{}, err
	}
	s := DefaultSettings()
	for _, sec := range file.sections() {
		if err := s.section(path, sec); err != nil {
			return Settings{}, err
		}
	}
	return s, nil
}

func (s *Settings) section(path string, sec section) error {
	at := Pos{path, sec.line}
	if sec.prefix == "profile" {
		return s.profile(path, sec)
	}
	name := sec.header()
	keys := map[string]setting{}
	for _, k := range settingTable() {
		if k.section == name {
			keys[k.key] = k
		}
	}
	if len(keys) == 0 {
		names := []string{"profile NAME"}
		for _, k := range settingTable() {
			names = append(names, k.section)
		}
		return errorAt(at, CodeConfigBroken, "unknown section [%s]", printable(name)).
			hint("did you mean [%s]?", nearest(name, names))
	}
	for _, pr := range sec.props {
		k, ok := keys[pr.key]
		if !ok {
			return unknownKey(pr, name, slices.Collect(maps.Keys(keys)))
		}
		if err := setValue(pr, func(v string) error { return k.set(s, v) }); err != nil {
			return err
		}
		s.put(name, pr)
	}
	return nil
}

func (s *Settings) profile(path string, sec section) error {
	name := sec.name
	if err := ValidProfileName(name); err != nil {
		return errorAt(Pos{path, sec.line}, CodeConfigBroken, "%s", err.Error())
	}
	o := s.Profiles[name]
	keys := overrideTable()
	for _, pr := range sec.props {
		i := slices.IndexFunc(keys, func(k override) bool { return k.key == pr.key })
		if i < 0 {
			var names []string
			for _, k := range keys {
				names = append(names, k.key)
			}
			return unknownKey(pr, "profile "+name, names)
		}
		if err := setValue(pr, func(v string) error { return keys[i].set(&o, v) }); err != nil {
			return err
		}
		s.put("profile "+name, pr)
	}
	if s.Profiles == nil {
		s.Profiles = map[string]Override{}
	}
	s.Profiles[name] = o
	return nil
}

// put notes where a key is set.
func (s *Settings) put(section string, pr prop) {
	if pr.value == "" {
		return
	}
	if s.places == nil {
		s.places = map[place]Pos{}
	}
	s.places[place{section, pr.key}] = pr.pos
}

// Where returns the line that sets a key of a section, which is "profile NAME"
// for a profile; the zero Pos where none does.
func (s Settings) Where(section, key string) Pos { return s.places[place{section, key}] }

// setValue checks and stores one value. An empty one leaves the default.
func setValue(pr prop, set func(string) error) error {
	if pr.value == "" {
		return nil
	}
	err := errors.New("must stand on one line")
	if !strings.Contains(pr.value, "\n") {
		err = set(pr.value)
	}
	if err != nil {
		return errorAt(pr.pos, CodeConfigBroken, "%s %s", pr.key, err.Error())
	}
	return nil
}

func unknownKey(pr prop, section string, keys []string) error {
	return errorAt(pr.pos, CodeConfigBroken, "unknown key %s in [%s]", printable(pr.key), section).
		hint("did you mean %s?", nearest(pr.key, keys))
}

// Profile returns what broker's own config says about a profile; zero when it
// says nothing.
func (s Settings) Profile(name string) Override { return s.Profiles[name] }

// Render writes settings as a file that ParseSettings reads back as they are.
// Values that are the default are left out. The error is of CodeUsage: a value
// that ParseSettings would refuse.
func Render(s Settings) ([]byte, error) {
	var buf bytes.Buffer
	buf.WriteString("# Config of broker. The syntax is that of ~/.aws/config.\n")
	section, defaults := "", DefaultSettings()
	for _, k := range settingTable() {
		value := k.get(s)
		if value == k.get(defaults) {
			continue
		}
		if k.section != section {
			section = k.section
			fmt.Fprintf(&buf, "\n[%s]\n", section)
		}
		fmt.Fprintf(&buf, "%s = %s\n", k.key, value)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Profiles)) {
		fmt.Fprintf(&buf, "\n[profile %s]\n", name)
		for _, k := range overrideTable() {
			if value := k.get(s.Profiles[name]); value != "" {
				fmt.Fprintf(&buf, "%s = %s\n", k.key, value)
			}
		}
	}
	if _, err := ParseSettings("config", buf.Bytes()); err != nil {
		return nil, &Error{Code: CodeUsage, Message: "write config: " + err.Error()}
	}
	return buf.Bytes(), nil
}
