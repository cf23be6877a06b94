// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"time"

	"credbroker/internal/awsconfig"
)

// editing returns the median times of n edits of a config file, as `broker wire
// --all` makes them, and of n readings of it, in turn. No disk is in either.
func editing(n int, data []byte) (edit, read time.Duration, err error) {
	var times [2][]time.Duration
	for range n {
		for i, work := range []func([]byte) error{wireAll, readAll} {
			began := time.Now()
			if err := work(data); err != nil {
				return 0, 0, err
			}
			times[i] = append(times[i], time.Since(began))
		}
	}
	return median(times[0]), median(times[1]), nil
}

func readAll(data []byte) error {
	_, err := awsconfig.LoadBytes(awsconfig.Files{Config: "config"}, data, nil)
	return err
}

func wireAll(data []byte) error {
	files := awsconfig.Files{Config: "config", Credentials: "credentials"}
	c, err := awsconfig.LoadBytes(files, data, nil)
	if err != nil {
		return err
	}
	config, err := awsconfig.ParseDocument(files.Config, awsconfig.ConfigFile, data)
	if err != nil {
		return err
	}
	credentials, err := awsconfig.ParseDocument(files.Credentials, awsconfig.CredentialsFile, nil)
	if err != nil {
		return err
	}
	credentials.Beside(config)
	for _, name := range c.Profiles() {
		line, err := awsconfig.HelperLine("/usr/local/bin/broker", name, 0)
		if err != nil {
			return err
		}
		if err := config.Wire(name, line); err != nil {
			return err
		}
		if err := credentials.Park(name); err != nil {
			return err
		}
	}
	hasKey := func(profile string) (string, bool) { return "AKIAIOSFODNN7EXAMPLE", profile == "main" }
	return awsconfig.Verify(files, hasKey, config, credentials)
}
