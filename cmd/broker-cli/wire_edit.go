// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
	"credbroker/internal/secret"
)

// wireEdit is one wire or unwire of the caller's AWS files.
//
// Where both files change they do so one after the other, the config first when
// wiring and last when unwiring. Between the two, and for good if the machine
// stops there, a profile has our line in the config and its role keys in the
// credentials file: botocore and JavaScript use the role as before, Go refuses
// to choose, and nobody gets another identity. Either command, run again, goes
// on from there.
type wireEdit struct {
	*app
	files awsconfig.Files
	how   awsconfig.RewriteOptions
	plan  func(awsText) (wirePlan, error)
	named bool
	wires bool
}

// newWireEdit prepares a wire of the profiles, nil for all. add is a profile
// whose key is about to be stored.
func (a *app) newWireEdit(profiles []string, add *string) (*wireEdit, error) {
	e, err := a.newEdit(profiles)
	if err != nil {
		return nil, err
	}
	keys, err := a.StoredKeys()
	if err != nil {
		return nil, err
	}
	if add != nil && keys[*add] == "" {
		keys[*add] = "" // of an ID that nobody knows yet
	}
	program, err := a.Program()
	if err != nil {
		return nil, err
	}
	e.plan = wireRules{files: e.files, names: profiles, keys: keys, program: program, windows: client.ProgramSuffix != ""}.plan
	e.wires = true
	return e, nil
}

// newUnwireEdit prepares an unwire of the profiles, nil for all.
func (a *app) newUnwireEdit(profiles []string) (*wireEdit, error) {
	e, err := a.newEdit(profiles)
	if err != nil {
		return nil, err
	}
	keys, _ := a.StoredKeys() // without the index, only the files know profiles
	e.plan = unwireRules{files: e.files, names: profiles, known: func(profile string) bool { return keys[profile] != "" }}.plan
	return e, nil
}

// newEdit finds the files. They must be those that brokerd reads: it would not
// see what becomes of any others.
func (a *app) newEdit(profiles []string) (*wireEdit, error) {
	p, err := a.Places()
	if err != nil {
		return nil, err
	}
	files, err := a.AWSFiles()
	if err != nil {
		return nil, err
	}
	settings, err := awsconfig.LoadSettings(p.ConfigFile)
	if err != nil {
		return nil, err
	}
	for _, pair := range []struct{ variable, caller, daemon string }{
		{"AWS_CONFIG_FILE", files.Config, client.OrText(settings.AWS.ConfigFile, p.AWSConfigFile)},
		{"AWS_SHARED_CREDENTIALS_FILE", files.Credentials, client.OrText(settings.AWS.CredentialsFile, p.AWSCredentialsFile)},
	} {
		if !client.SamePath(pair.caller, pair.daemon) {
			return nil, client.OtherFile("SDKs here read", pair.variable, pair.caller, pair.daemon)
		}
	}
	if files.Config == files.Credentials || client.SamePath(files.Config, files.Credentials) && !errors.Is(stat(files.Config), fs.ErrNotExist) {
		return nil, &ipc.Error{
			Code: ipc.CodeRefused, Message: "the AWS config and the credentials file are one file, " + files.Config,
			Hint: "give each a file of its own",
		}
	}
	// The credentials file may hold keys, and is read as it is.
	if err := secret.HideProcess(); err != nil {
		return nil, err
	}
	how, err := a.editOptions()
	return &wireEdit{app: a, files: files, how: how, named: profiles != nil}, err
}

func stat(path string) error {
	_, err := os.Stat(path)
	return err
}

// preview plans on the files as they are and changes nothing. The caller wipes
// both texts.
func (e *wireEdit) preview() (old awsText, plan wirePlan, err error) {
	for part := range old {
		if old[part], err = awsconfig.ReadFile(e.path(part)); err != nil {
			return old, plan, err
		}
	}
	plan, err = e.plan(old)
	return old, plan, err
}

func (e *wireEdit) path(part int) string {
	if part == theConfig {
		return e.files.Config
	}
	return e.files.Credentials
}

// editedFile is what became of one file.
type editedFile struct {
	Path   string `json:"path"`
	Backup string `json:"backup,omitempty"`
}

// run edits the files. The plan is that of what was done, or of what was
// refused.
func (e *wireEdit) run(ctx context.Context) (plan wirePlan, files []editedFile, err error) {
	old, first, err := e.preview()
	defer old.clear()
	defer first.text.clear()
	if err == nil && e.named {
		err = first.refusal(true)
	}
	if err != nil {
		return first, nil, err
	}
	again := func(text awsText) (wirePlan, error) {
		if !text.equal(old) {
			return e.plan(text)
		}
		same := first
		same.text = awsText{bytes.Clone(first.text[theConfig]), bytes.Clone(first.text[theCredentials])}
		return same, nil
	}
	plan = first
	next := first
	for _, part := range e.order() {
		if !next.changes[part] {
			awsconfig.SweepEdits(ctx, e.path(part), e.how)
			continue
		}
		half := len(files) > 0
		file, err := e.rewrite(ctx, part, again, &next)
		if !half { // a second one plans on what the first has done already
			plan = next
		}
		if file.Path != "" {
			files = append(files, file)
		}
		switch {
		case err != nil && file.Path != "": // the disk does not confirm it: more writing would not help
			return wirePlan{}, files, fmt.Errorf("%w; nothing is lost: the same command, run again, goes on from there", err)
		case err != nil: // and what was planned has not come about
			return wirePlan{}, files, e.takeBack(ctx, half, plan, err)
		}
	}
	return plan, files, nil
}

// order is the order of the files: see wireEdit.
func (e *wireEdit) order() []int {
	if e.wires {
		return []int{theConfig, theCredentials}
	}
	return []int{theCredentials, theConfig}
}

// rewrite changes one of the two files by a new plan, made on what both are in
// that moment. The zero editedFile is one that was not changed; one that was may
// come with an error all the same.
func (e *wireEdit) rewrite(ctx context.Context, part int, again func(awsText) (wirePlan, error), plan *wirePlan) (editedFile, error) {
	how := e.how
	how.Backup = true
	done, err := awsconfig.Rewrite(ctx, e.path(part), how, func(own []byte) ([]byte, error) {
		beside, err := awsconfig.ReadFile(e.path(1 - part))
		if err != nil {
			return nil, err
		}
		defer clear(beside)
		text := awsText{own, beside}
		if part == theCredentials {
			text = awsText{beside, own}
		}
		next, err := again(text)
		defer clear(next.text[1-part])
		if err == nil && e.named {
			err = next.refusal(true)
		}
		*plan = next
		return next.text[part], err
	})
	if !done.Changed {
		return editedFile{}, err
	}
	return editedFile{Path: done.Path, Backup: done.Backup}, err
}

// takeBack undoes the first half of a wire whose second half failed, so that
// profiles are wired all or not at all. It returns cause, and what is left to do.
func (e *wireEdit) takeBack(ctx context.Context, half bool, plan wirePlan, cause error) error {
	if !half {
		return cause
	}
	goOn := func() error {
		return fmt.Errorf("%w; %s is changed already, and nothing is lost: the same command, run again, goes on from there", cause, e.path(e.order()[0]))
	}
	if !e.wires {
		return goOn()
	}
	done, err := awsconfig.Rewrite(context.WithoutCancel(ctx), e.files.Config, e.how, func(own []byte) ([]byte, error) {
		config, err := awsconfig.ParseDocument(e.files.Config, awsconfig.ConfigFile, own)
		if err != nil {
			return nil, err
		}
		defer config.Wipe()
		for _, p := range plan.profiles {
			if p.State != stateWired || !p.fresh {
				continue
			}
			if _, err := config.Unwire(p.Profile); err != nil {
				return nil, err
			}
		}
		return config.Bytes(), nil
	})
	if err != nil && !done.Changed {
		return goOn()
	}
	return fmt.Errorf("%w; %s is as it was before", cause, e.files.Config)
}
