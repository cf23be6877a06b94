// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"slices"

	"credbroker/credproc"
	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

// ExecName is the command exec.
const ExecName = "exec"

// The ways in which the child is given its credentials.
const (
	ModeProfile = "profile" // it asks for them itself, again and again
	ModeEnv     = "env"     // in its environment, once
)

// ExecVerb is the command line of exec.
func ExecVerb() Verb {
	return Verb{Name: ExecName, Flags: []FlagNames{
		{Names: []string{"profile", "p"}}, {Names: []string{"mode"}}, {Names: []string{"duration", "d"}},
	}}
}

// execOptions is what a command line asks of exec.
type execOptions struct {
	profile string
	mode    string
	life    Lifespan
	argv    []string
}

// execOptions reads a line of exec.
func (a *App) execOptions(l Line) (opts execOptions, err error) {
	opts = execOptions{mode: ModeProfile, argv: l.Child}
	if len(opts.argv) == 0 {
		opts.argv = []string{shell(a.Getenv)}
	}
	named, given := l.value("profile")
	if opts.profile, err = a.ChosenProfile(ExecName, named, given, l.Words); err != nil {
		return opts, err
	}
	if text, given := l.value("duration"); given {
		if opts.life, err = ParseLife(text, true); err != nil {
			return opts, err
		}
	}
	if mode, given := l.value("mode"); given {
		opts.mode = mode
	}
	if opts.mode != ModeProfile && opts.mode != ModeEnv {
		return opts, WithHint(Usagef("exec has no mode %q", opts.mode), "the modes: "+ModeProfile+", "+ModeEnv)
	}
	return opts, nil
}

// ParseExec reads the command line of exec, if args is one that is in order. What is
// wrong with any other, and the help, is for broker-cli to say, which knows every
// command.
func (a *App) ParseExec(args []string) (Line, bool) {
	if len(args) == 0 || args[0] != ExecName {
		return Line{}, false
	}
	l, err := LineParser{Commands: []Verb{ExecVerb()}, IsProfile: a.IsProfile}.Parse(args)
	return l, err == nil && !l.Has("help")
}

// RunExec is broker exec: it becomes the child. It returns only if that fails, with
// an error that is ready for Report.
func (a *App) RunExec(ctx context.Context, l Line) error {
	opts, err := a.execOptions(l)
	if err == nil && opts.mode == ModeEnv {
		err = a.execEnv(ctx, opts)
	} else if err == nil {
		err = a.exec(ctx, opts)
	}
	return HelpOf(execStatus(a.WithProxy(perhapsOther(l, err))), ExecName)
}

// perhapsOther adds to a failure what the user may have meant: a word that stands
// alone is a profile, and may have been meant as a command; the first of several is
// the command if it names no profile, and may have been meant as one.
func perhapsOther(l Line, err error) error {
	var own *StatusError
	switch {
	case err == nil:
	case len(l.Words) == 1 && len(l.Child) == 0:
		if _, lerr := exec.LookPath(l.Words[0]); lerr == nil && AsCoded(err).Code == ipc.CodeNoProfile {
			coded := AsCoded(err)
			coded.Hint = "to run the command of that name: broker exec -- " + l.Words[0]
			return coded
		}
	case l.Bare && len(l.Words) == 0 && !l.Has("profile"):
		hint := l.Child[0] + " is no profile, so it was taken for the command; the profiles: broker config list"
		if errors.As(err, &own) && own.Status == ExitExecNotFound {
			coded := AsCoded(own.Err)
			coded.Hint = hint
			return &StatusError{own.Status, coded}
		}
		if AsCoded(err).Code == ipc.CodeNoProfile {
			coded := AsCoded(err)
			coded.Hint = hint
			return coded
		}
	}
	return err
}

// execStatus gives an error of exec its exit status: exec's own statuses must not
// be taken for the child's.
func execStatus(err error) error {
	var own *StatusError
	if err == nil || errors.As(err, &own) {
		return err
	}
	if _, status := Failure(err); status == ExitUsage || status == ExitInterrupted {
		return err
	}
	return &StatusError{Status: ExitExecFailed, Err: err}
}

// execEnv becomes a child that has the credentials in its environment, which
// every SDK reads first: what the AWS files say of the profile no longer counts.
// It returns only if that fails.
func (a *App) execEnv(ctx context.Context, opts execOptions) error {
	path, err := lookPath(opts.argv[0])
	if err != nil {
		return err
	}
	handed, err := a.HandOver(ctx, opts.profile, opts.life)
	if err != nil {
		return err
	}
	files, err := a.AWSFiles()
	if err != nil {
		return err
	}
	env := handed.Environ()
	if given := a.Getenv("AWS_CONFIG_FILE"); given != "" && given != files.Config {
		env = append(env, "AWS_CONFIG_FILE="+files.Config) // the overlay of an exec around this one ends here
	}
	a.Nag(ctx)
	return notRun(opts.argv[0], a.become(path, opts.argv, childEnv(a.Env, env)))
}

// exec becomes the child. It returns only if that fails.
func (a *App) exec(ctx context.Context, opts execOptions) error {
	profile, argv := opts.profile, opts.argv
	// One conversation is enough when the session is there. For one of a length
	// of its own it is not: at a terminal that may cost a code first.
	var about any
	if opts.life == 0 {
		about = ipc.CredentialsParams{Profile: profile}
	}
	var serves ipc.Serves
	if err := a.Call(ctx, ipc.OpServes, about, &serves); err != nil {
		return err
	}
	config, err := a.sharedConfig(serves)
	if err != nil {
		return err
	}
	if !slices.Contains(serves.Profiles, profile) {
		return a.unserved(config, profile)
	}
	if err := a.checkOutranked(config, profile); err != nil {
		return err
	}
	path, err := lookPath(argv[0])
	if err != nil {
		return err
	}
	if !serves.Ready {
		if _, err := a.prime(ctx, profile, opts.life); err != nil {
			return err
		}
	}
	file, err := a.overlay(config, serves, profile, opts.life)
	if err != nil {
		return err
	}
	if file == "" && a.Getenv("AWS_CONFIG_FILE") != "" {
		file = config.Files().Config // the overlay of an exec around this one ends here
	}
	a.Nag(ctx)
	err = a.become(path, argv, childEnv(a.Env, profileEnv(profile, file)))
	return notRun(argv[0], err)
}

// prime gets credentials in the foreground, where a code can be asked for: the
// child's helper may have no terminal.
func (a *App) prime(ctx context.Context, profile string, life Lifespan) (credproc.Credentials, error) {
	req := ipc.Request{Op: ipc.OpCredentials, Ask: ipc.AskTTY}
	var surface ipc.Surface = Bystander{a.Stderr}
	t, ok := OpenTerminal()
	if ok {
		req.Ask = ipc.AskTerminal
	}
	params := ipc.CredentialsParams{Profile: profile, DurationSeconds: life.seconds(), RemainingSeconds: life.remaining()}
	var raw json.RawMessage
	err := a.Unlocked(ctx, func() (err error) {
		if ok {
			p := t.Patient(profile) // it falls silent while a passphrase is asked for
			defer p.Stop()
			surface = p
		}
		raw, err = a.Converse(ctx, req, params, surface)
		return err
	})
	if err != nil {
		return credproc.Credentials{}, err
	}
	credentials, err := credproc.Parse(raw)
	if err != nil {
		return credproc.Credentials{}, Errorf(ipc.CodeInternal, "credentials for %s: %v", profile, err)
	}
	return credentials, nil
}

// unserved says why broker has no credentials for a profile.
func (a *App) unserved(config *awsconfig.Config, profile string) error {
	keys, err := a.StoredKeys()
	if err != nil {
		return err
	}
	if _, err := config.Route(profile, Lookup(keys)); err != nil {
		return err
	}
	return Errorf(ipc.CodeNoKey, "no key is stored for profile %s", profile)
}

// lookPath finds the child's program as execvp(3) does.
func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil || errors.Is(err, exec.ErrDot) {
		return path, nil
	}
	return "", notRun(name, err)
}

// notRun is the failure to start the child, with the status that shells give it.
func notRun(name string, err error) error {
	var inner *exec.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return &StatusError{Status: ExitExecNotFound, Err: fmt.Errorf("run %s: command not found", name)}
	}
	return &StatusError{Status: ExitExecNotRun, Err: fmt.Errorf("run %s: %w", name, err)}
}
