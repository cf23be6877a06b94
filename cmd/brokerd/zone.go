// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"time"
)

// zoneFile is where Unix keeps the time zone of the machine, which follows its
// user around the world; the one that Go read at the start does not.
const zoneFile = "/etc/localtime"

// zone returns the time zone of the user's clock as it is now: that of TZ where
// it is set, else that of the file, else the one of the program's start.
func zone(tz string, set bool, file string) *time.Location {
	if set {
		if tz == "" {
			return time.UTC
		}
		if l, err := time.LoadLocation(tz); err == nil {
			return l
		}
		return time.Local
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return time.Local
	}
	l, err := time.LoadLocationFromTZData("Local", data)
	if err != nil {
		return time.Local
	}
	return l
}

// zoneNow is zone by this process's environment.
func zoneNow() *time.Location {
	tz, set := os.LookupEnv("TZ")
	return zone(tz, set, zoneFile)
}
