// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os/exec"
	"slices"
	"strings"
)

// toolNote is what a program that is installed makes of wired profiles.
type toolNote struct {
	Program string `json:"program"`
	Path    string `json:"path"`
	Note    string `json:"note"`
}

// tool is a program that takes credentials from the AWS config by rules of its
// own, and so sees something else once keys are renamed. What only asks an SDK
// (Terraform, boto3, kubectl's plugins) sees no difference and is not here.
type tool struct {
	name     string
	programs []string // any of them in PATH
	note     string
	// always is set if it makes a difference also to a profile without a key
	// that was renamed.
	always bool
	// blank is said in addition if the path of broker has a blank.
	blank string
}

var tools = []tool{
	{
		// A stored key, source_profile, SSO and web identity come before
		// credential_process, in this order, and the role is role_arn's:
		// GetProviderForProfile in vault/vault.go of ByteNess/aws-vault
		// (baf800b) and of 99designs/aws-vault (e22aea1).
		name: "aws-vault", programs: []string{"aws-vault"}, always: true,
		note: "runs broker for a wired profile; but a key that it holds under that name still comes first, now without the role and without MFA: " +
			"take it out with aws-vault remove PROFILE",
	},
	{
		// A profile with credential_process is of that type before any other,
		// and only a line that starts with "granted" means its own store:
		// LoadInitialisedProfile in pkg/cfaws/profiles.go and
		// assumer_aws_credential_process.go of fwdcloudsec/granted (4a52c35).
		name: "granted", programs: []string{"granted", "assumego"},
		note: "runs broker for a wired profile, and neither assumes a role nor asks for a code by itself; --duration counts for nothing then",
	},
	{
		// credential_process comes before role_arn, is cut at every blank, and
		// the list looks for role_arn and mfa_serial: get_credentials_handler
		// and get_credentials_process_target_and_arguments in
		// awsumepy/default_plugins.py, format_aws_profiles in lib/profile.py of
		// trek10inc/awsume (2597f00).
		name: "awsume", programs: []string{"awsume", "awsumepy"},
		note:  "runs broker for a wired profile; its list shows neither the role nor the MFA device any more",
		blank: "; it cannot, as long as broker's path has a blank",
	},
	{
		// Only keys and role_arn make a profile: addProfileCredentials in
		// lib/plugins/aws/provider.js of serverless/serverless (0060b60).
		name: "serverless", programs: []string{"serverless", "sls"},
		note: "knows no credential_process in its releases up to 3, and does not find a wired profile: run it with broker exec --mode env PROFILE --",
	},
}

// toolNotes returns what the installed programs make of the profiles that are
// wired now, if they see a difference.
func (e *wireEdit) toolNotes(plan wirePlan) []toolNote {
	wired := func(p wiredProfile) bool { return p.State == stateWired }
	renamed := func(p wiredProfile) bool { return wired(p) && p.renamed }
	if !slices.ContainsFunc(plan.profiles, wired) {
		return nil
	}
	program, _ := e.Program() // it was found when the edit was prepared
	var notes []toolNote
	for _, t := range tools {
		if !t.always && !slices.ContainsFunc(plan.profiles, renamed) {
			continue
		}
		for _, name := range t.programs {
			path, err := exec.LookPath(name)
			if err != nil {
				continue
			}
			note := toolNote{Program: t.name, Path: path, Note: t.note}
			if strings.Contains(program, " ") {
				note.Note += t.blank
			}
			notes = append(notes, note)
			break
		}
	}
	return notes
}
