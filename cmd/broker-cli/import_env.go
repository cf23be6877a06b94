// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
)

// envSource is the key in the AWS_ variables of the caller.
type envSource struct {
	a       *app
	profile string
}

var _ importSource = envSource{}

func openEnvSource(a *app, o importOptions, _ *awsconfig.Config) (importSource, error) {
	profiles := o.profiles
	if name := a.Getenv("AWS_PROFILE"); len(profiles) == 0 && name != "" {
		if err := awsconfig.ValidProfileName(name); err != nil {
			return nil, err
		}
		profiles = []string{name}
	}
	switch {
	case len(profiles) != 1:
		err := client.Usagef("import --from env needs one profile to store the key for")
		err.Hint = "name it: broker import PROFILE --from env"
		return nil, err
	case o.deleteSource:
		err := client.Usagef("import cannot take variables out of the environment of your shell")
		err.Hint = "leave --delete-source away, then remove them yourself: unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY"
		return nil, err
	}
	return envSource{a, profiles[0]}, nil
}

// foundEnv reports a long-lived key in the environment.
func foundEnv(a *app) string {
	if isKeyID(a.Getenv("AWS_ACCESS_KEY_ID"), "AKIA") && a.Getenv("AWS_SESSION_TOKEN") == "" {
		return "AWS_ACCESS_KEY_ID of the environment"
	}
	return ""
}

func (s envSource) list(context.Context) ([]candidate, error) {
	id, err := s.a.envKeyID(s.profile)
	if err != nil {
		return nil, err
	}
	key := keyPair{AccessKeyID: id, SecretAccessKey: unseen()}
	if err := key.check(); err != nil {
		return nil, err
	}
	return []candidate{{profile: s.profile, accessKeyID: id, where: "the environment"}}, nil
}

func (s envSource) take(_ context.Context, c candidate) (takenKey, error) {
	key, err := s.a.keyFromEnv(s.profile)
	if err == nil {
		err = key.check()
	}
	return takenKey{c.accessKeyID, s.a.putPair(key, false)}, err
}

func (envSource) drop(context.Context, []string) ([]droppedKey, error) { return nil, nil }
