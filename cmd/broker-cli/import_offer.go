// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
)

// offeredSetting is something of the AWS files that broker passes over by
// itself, and would follow if it were written where broker reads it.
type offeredSetting struct {
	Profiles []string `json:"profiles"`
	Setting  string   `json:"setting"`         // mfa_command or broker_role_arn
	From     string   `json:"from"`            // file and line
	Value    string   `json:"value,omitempty"` // the role; of a command the program, its arguments may be for nobody's eyes
	File     string   `json:"file"`            // where it would stand
	Written  bool     `json:"written"`
	Why      string   `json:"why,omitempty"` // it cannot be taken as it is

	header func(profile string) string
	value  string // what is written
	check  func(path string, data []byte) error
}

// offers finds the settings of profiles that live on imported keys.
func (r *importing) offers() ([]offeredSetting, error) {
	p, err := r.a.Places()
	if err != nil {
		return nil, err
	}
	settings, err := awsconfig.LoadSettings(p.ConfigFile)
	if err != nil {
		return nil, err
	}
	var offers []offeredSetting
	for _, name := range r.profiles() {
		if arn, at := r.inheritedRole(name); arn != "" {
			offers = append(offers, offeredSetting{
				Profiles: []string{name}, Setting: "broker_role_arn", From: at.String(), Value: arn, value: arn, File: r.config.Files().Config,
				header: awsHeader,
			})
		}
	}
	for _, plan := range r.report.Plans {
		process, at := r.mfaProcess(plan.Profile)
		if process == "" || len(settings.Profile(plan.Profile).MFACommand) > 0 {
			continue
		}
		if i := sameCommand(offers, at.String()); i >= 0 {
			offers[i].Profiles = append(offers[i].Profiles, plan.Profile)
			continue
		}
		offers = append(offers, commandOffer(plan.Profile, process, at, p.ConfigFile))
	}
	return offers, nil
}

// mfaProcess returns the mfa_process of a profile as aws-vault has it, who
// looks for what a profile lacks in those that it includes, else in [default].
func (r *importing) mfaProcess(name string) (string, awsconfig.Pos) {
	p, err := r.config.Resolved(name)
	if err == nil && p.Get("mfa_process") == "" && p.Get("include_profile") == "" {
		p, _ = r.config.Profile(awsconfig.DefaultProfile)
	}
	return p.Get("mfa_process"), p.Where("mfa_process")
}

func sameCommand(offers []offeredSetting, from string) int {
	for i, o := range offers {
		if o.Setting == "mfa_command" && o.From == from {
			return i
		}
	}
	return -1
}

// commandOffer makes an mfa_command of an mfa_process. Nothing is run: the
// program is looked up, and must be one that is started without a shell.
func commandOffer(profile, process string, at awsconfig.Pos, file string) offeredSetting {
	o := offeredSetting{
		Profiles: []string{profile}, Setting: "mfa_command", From: at.String(), File: file,
		header: func(profile string) string { return "profile " + profile },
		check: func(path string, data []byte) error {
			_, err := awsconfig.ParseSettings(path, data)
			return err
		},
	}
	words, err := awsconfig.WithoutShell(process)
	if err != nil {
		o.Why = "it " + err.Error()
		return o
	}
	if words[0], err = absoluteProgram(words[0]); err != nil {
		o.Why = err.Error()
		return o
	}
	o.Value, o.value = words[0], awsconfig.CommandLine(words)
	return o
}

// absoluteProgram returns the absolute path of a program, by the PATH of the user.
func absoluteProgram(name string) (string, error) {
	if filepath.IsAbs(name) {
		return name, nil
	}
	if strings.ContainsRune(name, filepath.Separator) {
		return "", errors.New("its program is a path that depends on the directory that it is started in")
	}
	path, err := exec.LookPath(name)
	if err != nil || !filepath.IsAbs(path) {
		return "", errors.New("its program is not in PATH")
	}
	return path, nil
}

// awsHeader is the header of a profile's section in the AWS config.
func awsHeader(profile string) string {
	if profile == awsconfig.DefaultProfile {
		return profile
	}
	return "profile " + profile
}

// offer shows each setting, asks for it on a terminal, and writes what the user
// takes. Nothing is taken unasked.
func (r *importing) offer(ctx context.Context) error {
	offers, err := r.offers()
	if err != nil {
		return err
	}
	r.report.Offers = offers
	for i := range offers {
		o := &offers[i]
		r.say("%s\n", o.text())
		if o.Why == "" && !r.o.dryRun && !r.o.json && canAsk() {
			yes, err := r.a.confirm(ctx, o.question())
			if err != nil {
				return err
			}
			if yes {
				if err := r.write(ctx, o); err != nil {
					return err
				}
				r.say("  written to %s\n", o.File)
				continue
			}
		}
		r.say("  %s\n", o.byHand())
	}
	return nil
}

// canAsk reports whether there is a terminal to ask on.
func canAsk() bool {
	t, ok := client.OpenTerminal()
	if ok {
		_ = t.TTY.Close() // it was only looked at
	}
	return ok
}

func (o *offeredSetting) text() string {
	names := strings.Join(o.Profiles, ", ")
	if o.Setting == "mfa_command" {
		return fmt.Sprintf("mfa_process, %s, would give the codes of %s; broker does not run it", o.From, names)
	}
	return fmt.Sprintf("profile %s was given the role %s of [default], %s; SDKs and broker give it none", names, o.Value, o.From)
}

func (o *offeredSetting) question() string {
	names := strings.Join(o.Profiles, ", ")
	if o.Setting == "mfa_command" {
		return "Have " + o.Value + " give the codes of " + names + " from now on?"
	}
	return "Have profile " + names + " assume that role?"
}

// byHand says how the user gets the setting without import.
func (o *offeredSetting) byHand() string {
	names := strings.Join(o.Profiles, ", ")
	switch {
	case o.Why != "":
		return fmt.Sprintf("it cannot be taken over, because %s: put it into a script, and write into %s, below [profile NAME] for %s: mfa_command = /path/of/the/script", o.Why, o.File, names)
	case o.Setting == "mfa_command":
		return fmt.Sprintf("to have it, write into %s, below [profile NAME] for %s: mfa_command = %s, with its arguments", o.File, names, o.Value)
	}
	return fmt.Sprintf("to have it, write into %s, below [%s]: broker_role_arn = %s", o.File, awsHeader(o.Profiles[0]), o.Value)
}

// write enters a setting into its file.
func (r *importing) write(ctx context.Context, o *offeredSetting) error {
	options, err := r.a.editOptions()
	if err != nil {
		return err
	}
	options.Backup = true
	_, err = awsconfig.Rewrite(ctx, o.File, options, func(old []byte) ([]byte, error) {
		doc, err := awsconfig.ParseDocument(o.File, awsconfig.ConfigFile, old)
		if err != nil {
			return nil, err
		}
		defer doc.Wipe()
		for _, profile := range o.Profiles {
			if err := doc.Set(o.header(profile), o.Setting, o.value); err != nil {
				return nil, err
			}
		}
		data, err := heldTo(doc, awsconfig.ConfigFile)
		if err == nil && o.check != nil {
			err = o.check(o.File, data)
		}
		return data, err
	})
	if err != nil {
		return fmt.Errorf("write %s: %w", o.Setting, err)
	}
	o.Written = true
	return nil
}
