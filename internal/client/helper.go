// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"credbroker/credproc"
	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

// HelperName is the command credential-process.
const HelperName = "credential-process"

// helperWait is how long the helper tells the daemon it will wait, in seconds,
// and helperLimit when it ends whatever happens: the SDKs for Go stop waiting
// after 60 s.
const (
	helperWait  = 50
	helperLimit = 54 * time.Second
)

// CredentialProcess is the helper. It writes standard output once and whole,
// or not at all, and never reads standard input: SDKs leave it closed, idle or
// to somebody else.
func (a *App) CredentialProcess(ctx context.Context, args []string) int {
	document, err := a.document(ctx, args)
	if err != nil {
		return reportLine(a.Stderr, a.WithProxy(err))
	}
	if _, err := a.Stdout.Write(document); err != nil {
		return reportLine(a.Stderr, err)
	}
	return ExitOK
}

func (a *App) document(ctx context.Context, args []string) ([]byte, error) {
	profile, life, err := parseHelper(args)
	if err != nil {
		return nil, WithHint(err, "write credential_process = …/broker credential-process PROFILE")
	}
	ctx, cancel := context.WithTimeout(ctx, helperLimit)
	defer cancel()
	req := ipc.Request{Op: ipc.OpCredentials, Deadline: helperWait}
	var surface ipc.Surface
	if s, ok := OpenTerminal(); ok {
		req.Ask, surface = ipc.AskTTY, s
	}
	raw, err := a.Converse(ctx, req, ipc.CredentialsParams{Profile: profile, DurationSeconds: life.seconds()}, surface)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, Errorf(ipc.CodeMFARequired, "credentials for %s: no answer in %d s", profile, int(helperLimit.Seconds()))
	}
	if err != nil {
		return nil, err
	}
	return checkDocument(raw, profile)
}

// checkDocument lets nothing out that an SDK would misread. SDKs put what they
// cannot parse into their error text, secrets included.
func checkDocument(raw json.RawMessage, profile string) ([]byte, error) {
	if len(raw) >= credproc.MaxSize {
		return nil, Errorf(ipc.CodeInternal, "credentials for %s: the daemon's document has %d bytes", profile, len(raw))
	}
	c, err := credproc.Parse(raw)
	if err != nil {
		return nil, Errorf(ipc.CodeInternal, "credentials for %s: %v", profile, err)
	}
	return c.Encode()
}

// parseHelper reads the helper's command line: one profile, as a word or as
// --profile, and a duration, the last one if there are several. "--" is allowed
// anywhere, because users write it last to keep SDKs from stripping the quotes of
// the whole line.
func parseHelper(args []string) (profile string, life Lifespan, err error) {
	var profiles []string
	for i := 0; i < len(args); i++ {
		if args[i] == "--" {
			continue
		}
		if !isFlag(args[i]) {
			profiles = append(profiles, args[i])
			continue
		}
		name, value, hasValue := strings.Cut(args[i], "=")
		isProfile := slices.Contains([]string{"--profile", "-profile", "-p"}, name)
		switch {
		case !isProfile && !slices.Contains([]string{"--duration", "-duration", "-d"}, name):
			return "", 0, Usagef("unknown flag %s", args[i])
		case !hasValue && i+1 == len(args):
			return "", 0, Usagef("flag %s needs a value", args[i])
		case !hasValue:
			i++
			value = args[i]
		}
		if isProfile {
			profiles = append(profiles, value)
		} else if life, err = ParseLife(value, true); err != nil {
			return "", 0, err
		}
	}
	switch len(profiles) {
	case 0:
		return "", 0, Usagef("credential-process needs its profile")
	case 1:
		return profiles[0], life, awsconfig.ValidProfileName(profiles[0])
	}
	return "", 0, Usagef("credential-process takes one profile")
}
