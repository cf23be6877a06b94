// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// checkEnvironment looks for what SDKs prefer to any profile, or read in place
// of the files that brokerd reads. It shows no value but an access key ID.
func (d *doctor) checkEnvironment(context.Context) string {
	switch id := d.Getenv("AWS_ACCESS_KEY_ID"); {
	case id == "" && d.Getenv("AWS_SECRET_ACCESS_KEY") == "":
	case d.Getenv("AWS_SESSION_TOKEN") != "" && d.Getenv("AWS_VAULT") != "":
		d.note("this shell has temporary credentials of profile "+d.Getenv("AWS_VAULT")+": SDKs use them, whatever profile they are told",
			"leave it when they have expired: exit")
	default:
		d.problem("the environment has an access key"+keyID(id)+": SDKs use it before any profile",
			"store it (broker add PROFILE --from-env), unset AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and remove them from your shell's files")
	}
	for _, name := range []string{"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CREDENTIAL_FILE"} {
		if d.Getenv(name) != "" {
			d.problem(name+" is set: some SDKs take credentials from there", "unset "+name)
		}
	}
	d.checkPaths()
	return "nothing in it comes before a profile"
}

// checkPaths compares the caller's AWS files with those that brokerd reads.
func (d *doctor) checkPaths() {
	for _, f := range []struct{ variable, caller, key, daemon string }{
		{"AWS_CONFIG_FILE", d.files.Config, "config_file", client.OrText(d.settings.AWS.ConfigFile, d.places.AWSConfigFile)},
		{"AWS_SHARED_CREDENTIALS_FILE", d.files.Credentials, "credentials_file", client.OrText(d.settings.AWS.CredentialsFile, d.places.AWSCredentialsFile)},
	} {
		if !client.SamePath(f.caller, f.daemon) {
			d.problem(fmt.Sprintf("SDKs in this shell read %s, and brokerd reads %s", f.caller, f.daemon),
				fmt.Sprintf("unset %s, or name the file in [aws] of %s: %s = %s", f.variable, d.places.ConfigFile, f.key, f.caller))
		}
	}
}

// keyID returns " AKIA…" if a text is an access key ID, and nothing for any
// other text: it may be the secret, in the wrong place.
func keyID(text string) string {
	if len(text) < 16 || len(text) > 128 || !strings.HasPrefix(text, "A") || strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
		return ""
	}
	return " " + text
}

// checkEndpoint looks for what sends SDKs, or broker, to another place than
// AWS.
func (d *doctor) checkEndpoint(context.Context) string {
	for _, entry := range d.Env {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case value == "":
		case name == "AWS_ENDPOINT_URL" || strings.HasPrefix(name, "AWS_ENDPOINT_URL_"):
			d.problem("SDKs in this shell send requests to "+client.OrText(client.ShownURL(value), "a place that is no URL")+" ("+name+"), and broker does not",
				"unset "+name+", or set endpoint_url in [aws] of "+d.places.ConfigFile)
		case name == "AWS_CA_BUNDLE" && d.settings.AWS.CABundle == "":
			d.note("SDKs in this shell trust the certificates in "+value+" ("+name+"), and broker does not look at it",
				"if AWS is behind them, set ca_bundle in [aws] of "+d.places.ConfigFile)
		}
	}
	if proxy := d.ProxyVariable(); proxy != "" && d.settings.AWS.HTTPSProxy == "" {
		d.note("this shell goes through "+client.ShownProxy(proxy)+", and broker does not look at https_proxy",
			"if AWS is behind it, set https_proxy in [aws] of "+d.places.ConfigFile)
	}
	if own := client.OrText(d.settings.AWS.STSEndpointURL, d.settings.AWS.EndpointURL); own != "" {
		d.note("broker sends requests to "+client.OrText(client.ShownURL(own), "a place of its own")+", as "+d.places.ConfigFile+" says", "")
		return "broker's own"
	}
	return "AWS's own"
}

// checkProfiles says of each profile whether broker serves it, and why not.
func (d *doctor) checkProfiles(context.Context) string {
	if d.config == nil {
		return "not looked at"
	}
	if name := d.Getenv("AWS_PROFILE"); name != "" {
		if _, ok := d.config.Profile(name); !ok {
			d.problem("AWS_PROFILE names profile "+name+", which is in no AWS file: SDKs refuse to start", "unset AWS_PROFILE, or list the profiles: broker config list")
		}
	}
	served := 0
	gaps := map[string]int{} // missing source → its finding
	for _, name := range d.config.Profiles() {
		p, _ := d.config.Profile(name)
		d.checkHelper(p)
		switch _, err := d.config.Route(name, client.Lookup(d.keys)); {
		case d.unlisted && err != nil && client.AsCoded(err).Code == ipc.CodeNoKey: // nobody knows
		case err == nil:
			served++
		case p.Get("aws_access_key_id") == "" && !d.pairs[placeOf(err)]: // else checkKeys has said so
			d.unserved(p, err, gaps)
		}
	}
	if d.unlisted {
		return "not looked at without the index of stored keys"
	}
	return fmt.Sprintf("%d of %d are served", served, len(d.config.Profiles()))
}

// placeOf returns the line that a failure of the AWS files is about, or zero.
func placeOf(err error) awsconfig.Pos {
	var e *awsconfig.Error
	if !errors.As(err, &e) {
		return awsconfig.Pos{}
	}
	return awsconfig.Pos{File: e.File, Line: e.Line}
}

// unserved is a problem where the files contradict themselves, or send SDKs to
// broker for what it does not have. That a profile gets its credentials
// elsewhere is none. A source that is missing is one thing to mend, however many
// profiles need it: gaps has the finding of each.
func (d *doctor) unserved(p awsconfig.Profile, err error, gaps map[string]int) {
	coded, _ := client.Failure(err)
	var e *awsconfig.Error
	if errors.As(err, &e) && e.Missing != "" {
		if i, again := gaps[e.Missing]; again {
			d.findings[i].add(p.Name)
			return
		}
		gaps[e.Missing] = len(d.findings)
	}
	level := levelNote
	_, asked, ours := awsconfig.HelperCommand(p.Get("credential_process"))
	if coded.Code == ipc.CodeProfileLoop || coded.Code == ipc.CodeProfileInvalid || coded.Code == ipc.CodeNoProfile || ours && asked == p.Name {
		level = levelProblem
	}
	d.findings = append(d.findings, finding{Level: level, Profile: p.Name, Message: coded.Message, Hint: coded.Hint})
}

// checkHelper looks at a credential_process that runs broker.
func (d *doctor) checkHelper(p awsconfig.Profile) {
	program, _, ours := awsconfig.HelperCommand(p.Get("credential_process"))
	if !ours {
		return
	}
	f := finding{Level: levelProblem, Profile: p.Name}
	exe, err := d.Sibling("broker")
	_, lerr := d.Program()
	_, versioned := client.ReleasedAt(program, d.places.Home)
	switch {
	case !filepath.IsAbs(program):
		f.Message = fmt.Sprintf("profile %s runs %s, which is looked for in PATH: what runs there differs between a shell and a desktop", p.Name, program)
		f.Hint = "write the path of this one: broker wire " + p.Name
	case client.Gone(program):
		f.Message = fmt.Sprintf("profile %s runs %s, which is not there", p.Name, program)
		f.Hint = "write the path of this one: broker wire " + p.Name
	case err == nil && !client.SamePath(program, exe):
		f.Level = levelNote
		f.Message = fmt.Sprintf("profile %s runs %s, and this is %s", p.Name, program, exe)
		f.Hint = "if this is the newer one, write its path: broker wire " + p.Name
	case versioned && lerr == nil:
		f.Level = levelNote
		f.Message = fmt.Sprintf("profile %s runs %s, a path that ends with the next upgrade", p.Name, program)
		f.Hint = "write the path that stays: broker wire " + p.Name
	default:
		return
	}
	d.at(p.Where("credential_process"), f)
}
