// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"
	"time"

	"credbroker/credproc"
	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

// Lifespan is how long credentials are to live; 0 leaves it to the profile.
type Lifespan time.Duration

// ParseLife reads the flag, if it was given.
func ParseLife(text string, given bool) (Lifespan, error) {
	if !given {
		return 0, nil
	}
	d, err := awsconfig.ParseLife(text)
	if err != nil {
		return 0, Usagef("duration %q %v", text, err)
	}
	return Lifespan(d), nil
}

// seconds is d on the wire.
func (d Lifespan) seconds() int { return int(time.Duration(d) / time.Second) }

// remaining is how much of d must be left, in seconds, of credentials that are
// there already: a tenth less, or two commands in a row would cost two codes.
func (d Lifespan) remaining() int { return d.seconds() / 10 * 9 }

// Handed is what a program gets that will not ask again.
type Handed struct {
	Profile     string
	Credentials credproc.Credentials
	Region      string
}

// Environ returns the variables of a program in the name of the profile.
func (h Handed) Environ() []string {
	return append(h.Credentials.Environ(h.Region), "AWS_VAULT="+h.Profile)
}

// HandOver gets credentials out of the daemon, for an environment or a file. A
// code is asked for in the foreground.
func (a *App) HandOver(ctx context.Context, profile string, life Lifespan) (Handed, error) {
	x, err := a.Explanation(ctx, profile)
	if err != nil {
		return Handed{}, err
	}
	if err := a.checkOneProfile(x); err != nil {
		return Handed{}, err
	}
	credentials, err := a.prime(ctx, profile, life)
	return Handed{profile, credentials, a.regionOf(x)}, err
}

// regionOf returns the Region for a program that will not read the AWS config
// for it: the one that was chosen for the profile, else the caller's own, else
// the default that the sessions were made in.
func (a *App) regionOf(x ipc.Explanation) string {
	region, _ := x.Setting("region")
	if region.From != ipc.FromDefault {
		return region.Value
	}
	own := OrText(a.Getenv("AWS_REGION"), a.Getenv("AWS_DEFAULT_REGION"))
	if own == "" && len(x.Calls) > 0 {
		own = x.Calls[0].Region
	}
	return own
}

// checkOneProfile refuses a profile of which there are two. Credentials in an
// environment need no AWS config, so the caller's may be another than brokerd's,
// /dev/null for one; but if a file of the caller's own has the profile too, it
// may be another account's, and brokerd cannot tell which of the two is meant.
func (a *App) checkOneProfile(x ipc.Explanation) error {
	files, err := a.AWSFiles()
	if err != nil {
		return err
	}
	own, variable, file := files, "AWS_SHARED_CREDENTIALS_FILE", files.Credentials
	if SamePath(files.Credentials, x.AWSCredentialsFile) {
		own.Credentials = ""
	}
	if SamePath(files.Config, x.AWSConfigFile) {
		own.Config = ""
	} else {
		variable, file = "AWS_CONFIG_FILE", files.Config
	}
	if own == (awsconfig.Files{}) {
		return nil
	}
	config, err := awsconfig.Load(own)
	if err != nil {
		return err
	}
	if _, there := config.Profile(x.Profile); !there {
		return nil
	}
	return &ipc.Error{
		Code:    ipc.CodeRefused,
		Message: fmt.Sprintf("there are two profiles %s: one of %s, and brokerd's of %s", x.Profile, file, x.AWSConfigFile),
		Hint:    "unset " + variable + ", or name your file in [aws] of broker's config",
	}
}

// Explanation asks the daemon for the plan of a profile.
func (a *App) Explanation(ctx context.Context, profile string) (ipc.Explanation, error) {
	var x ipc.Explanation
	err := a.Call(ctx, ipc.OpExplain, ipc.ExplainParams{Profile: profile}, &x)
	return x, err
}
