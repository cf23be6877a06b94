// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// setting is one key of broker's own config.
type setting struct {
	section, key string
	set          func(*Settings, string) error // never called with ""
	get          func(Settings) string         // "" when it is not set
}

// override is one key of a section [profile NAME].
type override struct {
	key string
	set func(*Override, string) error
	get func(Override) string
}

const day = 24 * time.Hour

// settingTable is every key outside [profile NAME], in the order of Render.
func settingTable() []setting {
	return []setting{
		textSetting("vault", "backend", func(s *Settings) *string { return &s.Vault.Backend }, checkBackend),
		textSetting("vault", "passphrase_file", func(s *Settings) *string { return &s.Vault.PassphraseFile }, checkPath),
		textSetting("vault", "keychain", func(s *Settings) *string { return &s.Vault.Keychain }, checkText),
		textSetting("vault", "pass_program", func(s *Settings) *string { return &s.Vault.PassProgram }, checkPath),
		textSetting("vault", "password_store_dir", func(s *Settings) *string { return &s.Vault.PasswordStoreDir }, checkPath),
		textSetting("vault", "gnupg_home", func(s *Settings) *string { return &s.Vault.GnuPGHome }, checkPath),
		lengthSetting("sessions", "session_duration", func(s *Settings) *time.Duration { return &s.Sessions.SessionDuration }, MinSessionDuration, MaxSessionDuration),
		lengthSetting("sessions", "role_duration", func(s *Settings) *time.Duration { return &s.Sessions.RoleDuration }, MinRoleDuration, MaxRoleDuration),
		lengthSetting("sessions", "min_remaining", func(s *Settings) *time.Duration { return &s.Sessions.MinRemaining }, 0, MaxRoleDuration),
		{
			"mfa", "surfaces",
			func(s *Settings, v string) (err error) { s.MFA.Surfaces, err = parseSurfaces(v); return err },
			func(s Settings) string { return strings.Join(s.MFA.Surfaces, " ") },
		},
		lengthSetting("mfa", "timeout", func(s *Settings) *time.Duration { return &s.MFA.Timeout }, time.Second, day),
		lengthSetting("mfa", "helper_wait", func(s *Settings) *time.Duration { return &s.MFA.HelperWait }, 0, time.Hour),
		ageSetting("max_age", func(s *Settings) *time.Duration { return &s.Rotation.MaxAge }),
		lengthSetting("rotation", "warn_before", func(s *Settings) *time.Duration { return &s.Rotation.WarnBefore }, 0, maxAge),
		ageSetting("unused_after", func(s *Settings) *time.Duration { return &s.Rotation.UnusedAfter }),
		ageSetting("refuse_after", func(s *Settings) *time.Duration { return &s.Rotation.RefuseAfter }),
		lengthSetting("rotation", "keep_disabled", func(s *Settings) *time.Duration { return &s.Rotation.KeepDisabled }, 0, 30*day),
		lengthSetting("rotation", "verify_for", func(s *Settings) *time.Duration { return &s.Rotation.VerifyFor }, 0, 10*time.Minute),
		{
			"rotation", "on_rotate",
			func(s *Settings, v string) (err error) { s.Rotation.OnRotate, err = parseCommand(v); return err },
			func(s Settings) string { return joinWords(s.Rotation.OnRotate) },
		},
		{
			"nag", "channels",
			func(s *Settings, v string) (err error) { s.Nag.Channels, err = parseChannels(v); return err },
			func(s Settings) string { return formatChannels(s.Nag.Channels) },
		},
		{
			"nag", "quiet_hours",
			func(s *Settings, v string) (err error) { s.Nag.Quiet, err = parseQuietHours(v); return err },
			func(s Settings) string { return s.Nag.Quiet.String() },
		},
		lengthSetting("nag", "repeat", func(s *Settings) *time.Duration { return &s.Nag.Repeat }, day, 30*day),
		textSetting("aws", "config_file", func(s *Settings) *string { return &s.AWS.ConfigFile }, checkPath),
		textSetting("aws", "credentials_file", func(s *Settings) *string { return &s.AWS.CredentialsFile }, checkPath),
		textSetting("aws", "region", func(s *Settings) *string { return &s.AWS.Region }, checkRegion),
		textSetting("aws", "endpoint_url", func(s *Settings) *string { return &s.AWS.EndpointURL }, checkEndpoint),
		textSetting("aws", "sts_endpoint_url", func(s *Settings) *string { return &s.AWS.STSEndpointURL }, checkEndpoint),
		textSetting("aws", "iam_endpoint_url", func(s *Settings) *string { return &s.AWS.IAMEndpointURL }, checkEndpoint),
		textSetting("aws", "ca_bundle", func(s *Settings) *string { return &s.AWS.CABundle }, checkPath),
		textSetting("aws", "https_proxy", func(s *Settings) *string { return &s.AWS.HTTPSProxy }, checkProxy),
	}
}

// ageSetting is an age of a key in [rotation], or "off".
func ageSetting(key string, field func(*Settings) *time.Duration) setting {
	return setting{
		"rotation", key,
		func(s *Settings, v string) (err error) { *field(s), err = parseAge(v); return err },
		func(s Settings) string { return formatAge(*field(&s)) },
	}
}

func textSetting(section, key string, field func(*Settings) *string, check func(string) error) setting {
	return setting{
		section, key,
		func(s *Settings, v string) error { *field(s) = v; return check(v) },
		func(s Settings) string { return *field(&s) },
	}
}

func lengthSetting(section, key string, field func(*Settings) *time.Duration, least, most time.Duration) setting {
	return setting{
		section, key,
		func(s *Settings, v string) (err error) { *field(s), err = parseDuration(v, least, most); return err },
		func(s Settings) string { return formatDuration(*field(&s)) },
	}
}

// overrideTable is every key of a section [profile NAME].
func overrideTable() []override {
	return []override{
		{
			"mfa_command",
			func(o *Override, v string) (err error) { o.MFACommand, err = parseCommand(v); return err },
			func(o Override) string { return joinWords(o.MFACommand) },
		},
		textOverride("mfa_serial", func(o *Override) *string { return &o.MFASerial }, checkSerial),
		lengthOverride("session_duration", func(o *Override) *time.Duration { return &o.SessionDuration }, MinSessionDuration, MaxSessionDuration),
		lengthOverride("role_duration", func(o *Override) *time.Duration { return &o.RoleDuration }, MinRoleDuration, MaxRoleDuration),
		{
			"max_age",
			func(o *Override, v string) (err error) { o.MaxAge, err = parseAge(v); return err },
			func(o Override) string {
				if o.MaxAge == 0 {
					return ""
				}
				return formatAge(o.MaxAge)
			},
		},
		textOverride("region", func(o *Override) *string { return &o.Region }, checkRegion),
	}
}

func textOverride(key string, field func(*Override) *string, check func(string) error) override {
	return override{
		key,
		func(o *Override, v string) error { *field(o) = v; return check(v) },
		func(o Override) string { return *field(&o) },
	}
}

func lengthOverride(key string, field func(*Override) *time.Duration, least, most time.Duration) override {
	return override{
		key,
		func(o *Override, v string) (err error) { *field(o), err = parseDuration(v, least, most); return err },
		func(o Override) string {
			if *field(&o) == 0 {
				return ""
			}
			return formatDuration(*field(&o))
		},
	}
}

func checkBackend(v string) error {
	backends := []string{"keychain", "secret-service", "wincred", "file", "pass"}
	if !slices.Contains(backends, v) {
		return errors.New("must be one of " + strings.Join(backends, ", "))
	}
	return nil
}

func checkRegion(v string) error {
	if !isRegion(v) {
		return errors.New("must be a Region such as eu-west-1")
	}
	return nil
}

func checkSerial(v string) error {
	if !isSerial(v) {
		return errors.New("must be a serial number such as arn:aws:iam::111122223333:mfa/ann")
	}
	return nil
}

func parseSurfaces(v string) ([]string, error) { return parseNames(v, surfaces()) }

func parseNames(v string, known []string) ([]string, error) {
	names := strings.Fields(strings.ReplaceAll(v, ",", " "))
	for i, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("may name %s", strings.Join(known, ", "))
		}
		if slices.Contains(names[:i], name) {
			return nil, fmt.Errorf("names %s twice", name)
		}
	}
	return names, nil
}

// parseCommand splits a command for exec, which looks nothing up: a name
// without its path would be found through PATH, and brokerd has none.
func parseCommand(v string) ([]string, error) {
	words, err := splitWords(v)
	if err != nil {
		return nil, err
	}
	if len(words) == 0 || checkPath(words[0]) != nil {
		return nil, errors.New("must start with the absolute path of a program")
	}
	return words, nil
}
