// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// wireResult is the JSON of broker wire and broker unwire.
type wireResult struct {
	Profiles []wiredProfile `json:"profiles"`
	Files    []editedFile   `json:"files"`            // those that were changed
	Others   []string       `json:"others,omitempty"` // profiles that live on those that were named, and are not wired
	Tools    []toolNote     `json:"tools,omitempty"`  // what other programs make of it
	Diff     *string        `json:"diff,omitempty"`   // of --diff, which changes nothing
}

// edited does an edit, or shows it, and says what came of it.
func (a *app) edited(ctx context.Context, e *wireEdit, o wireOptions) error {
	result, err := e.result(ctx, o.diff)
	if o.json && result.Profiles != nil {
		if jerr := a.printJSON(result); jerr != nil {
			return jerr
		}
		return err
	}
	switch {
	case err != nil && (e.named || len(result.Profiles) == 0):
		return err
	case o.diff:
		fmt.Fprint(a.Stdout, *result.Diff) // lines of the file, which Diff has made fit to print
		a.printUnwired(a.Stderr, result.Profiles)
	default:
		a.printWired(e, result, err == nil)
	}
	return err
}

// result does the edit. Beside an error it holds what can be said of the
// profiles all the same.
func (e *wireEdit) result(ctx context.Context, diff bool) (wireResult, error) {
	if diff {
		return e.difference()
	}
	plan, files, err := e.run(ctx)
	if err != nil && len(files) == 0 { // nothing came of what was planned
		plan.profiles = slices.DeleteFunc(plan.profiles, func(p wiredProfile) bool { return p.State == stateWired || p.State == stateUnwired })
	}
	result := wireResult{Profiles: plan.profiles, Files: files}
	if files == nil {
		result.Files = []editedFile{}
	}
	if err == nil {
		result.Tools, result.Others = e.toolNotes(plan), plan.others
		err = plan.refusal(e.named)
	}
	return result, err
}

// difference is the result of --diff.
func (e *wireEdit) difference() (wireResult, error) {
	old, plan, err := e.preview()
	defer old.clear()
	defer plan.text.clear()
	if err != nil {
		return wireResult{}, err
	}
	text := ""
	for part := range old {
		text += awsconfig.Diff(e.path(part), old[part], plan.text[part])
	}
	result := wireResult{Profiles: plan.profiles, Files: []editedFile{}, Tools: e.toolNotes(plan), Others: plan.others, Diff: &text}
	return result, plan.refusal(e.named)
}

// printWired says what became of each profile, in their order; those that
// broker does not serve come last, and not all of them.
func (a *app) printWired(e *wireEdit, result wireResult, ok bool) {
	var already []string
	said := map[string]bool{}
	for _, p := range result.Profiles {
		switch {
		case p.State == stateAlready && p.Note == "":
			already = append(already, p.Profile)
			continue
		case p.State == stateAlready:
			a.printf("%s: from broker already\n", p.Profile)
		case p.State == stateWired:
			a.printf("%s: was %s; now from broker: %s\n", p.Profile, p.Was, p.Now)
		case p.State == stateUnwired:
			a.printf("%s\n", unwiredText(p))
		case p.State == stateNotWired:
			a.printf("%s: is not wired\n", p.Profile)
		}
		if p.Note != "" && !said[p.Note] {
			said[p.Note] = true // of what is wrong with a whole file once is enough
			a.printf("  note: %s\n", p.Note)
		}
	}
	if !e.wires && len(result.Profiles) == 0 {
		a.printf("no profile is wired\n")
	}
	if len(already) > 0 {
		a.printf("%s: from broker already\n", someOf(already))
	}
	a.printUnwired(a.Stdout, result.Profiles)
	for _, f := range result.Files {
		a.printf("changed %s", f.Path)
		if f.Backup != "" {
			a.printf(", as it was: %s", f.Backup)
		}
		a.printf("\n")
	}
	if n := len(result.Others); n > 0 {
		a.printf("not wired, though on the same keys: %s: broker wire --all\n", someOf(result.Others))
	}
	for _, t := range result.Tools {
		a.printf("%s: %s\n", t.Program, t.Note)
	}
	if next := nextAfterEdit(e, result.Profiles); ok && next != "" {
		a.printf("next: %s\n", next)
	}
}

// printUnwired writes why profiles are left as they are.
func (a *app) printUnwired(w io.Writer, profiles []wiredProfile) {
	unserved := 0
	for _, p := range profiles {
		switch {
		case p.State == stateRefused:
			fmt.Fprintf(w, "%s: not wired: %s\n", client.Printable(p.Profile), client.Printable(p.problem()))
			if p.Hint != "" {
				fmt.Fprintf(w, "  next: %s\n", client.Printable(p.Hint))
			}
		case p.State == stateUnserved && unserved < maxShown:
			fmt.Fprintf(w, "%s: not served: %s\n", client.Printable(p.Profile), client.Printable(p.problem()))
			unserved++
		case p.State == stateUnserved:
			unserved++
		}
	}
	if unserved > maxShown {
		fmt.Fprintf(w, "%d more are not served: broker wire --all --diff --json\n", unserved-maxShown)
	}
}

// someOf lists names, not too many of them.
func someOf(names []string) string {
	if len(names) <= maxShown {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:maxShown], ", ") + fmt.Sprintf(" and %d more", len(names)-maxShown)
}

// problem is why a profile is not wired, with the place.
func (p wiredProfile) problem() string {
	if p.File == "" {
		return p.Message
	}
	return awsconfig.Pos{File: p.File, Line: p.Line}.String() + ": " + p.Message
}

// nextAfterEdit is what to type now: nothing, if what was to be unwired was not wired.
func nextAfterEdit(e *wireEdit, profiles []wiredProfile) string {
	for _, state := range []string{stateWired, stateAlready, stateUnwired} {
		for _, p := range profiles {
			switch {
			case p.State != state:
			case e.wires:
				return "aws sts get-caller-identity --profile " + p.Profile
			default:
				return "broker exec " + p.Profile + " -- aws sts get-caller-identity"
			}
		}
	}
	switch {
	case e.wires:
		return e.firstKey()
	case len(profiles) > 0:
		return ""
	}
	return "broker wire --all"
}

// sourceText says where SDKs take the credentials of a profile from.
func sourceText(config *awsconfig.Config, name string) string {
	p, _ := config.Profile(name)
	role, source, process := p.Get("role_arn"), p.Get("source_profile"), p.Get("credential_process")
	program, asked, ours := awsconfig.HelperCommand(process)
	switch {
	case p.Get("aws_access_key_id") != "":
		return "a key in the AWS files"
	case role != "" && source != "":
		return "role " + role + " through " + source
	case role != "":
		return "role " + role
	case p.Get("sso_session") != "" || p.Get("sso_start_url") != "":
		return "IAM Identity Center"
	case p.Get("login_session") != "":
		return "aws login"
	case ours && asked == name:
		return "broker at " + program
	case ours:
		return "broker, asked for " + asked
	case process != "":
		return "a credential_process of its own"
	case source != "":
		return "on the credentials of " + source + ", which SDKs do not know without a role"
	}
	return noSource
}

// noSource is where a profile takes its credentials from that has none.
const noSource = "without credentials in the AWS files"

// unwiredText says what unwire did to a profile. One whose key went from the
// files into the vault has none there now, which it was not before wire either.
func unwiredText(p wiredProfile) string {
	if p.Now == noSource {
		return p.Profile + ": from broker no more; SDKs find no credentials for it in the AWS files, broker exec has its key if one is stored"
	}
	return p.Profile + ": is " + p.Now + " again"
}

// servedText says what broker makes the credentials of a profile from.
func servedText(config *awsconfig.Config, route awsconfig.Route, keys map[string]string) string {
	own, _ := config.Profile(route.Profile().Profile)
	through := ""
	if owner := route.Owner().Profile; owner != route.Profile().Profile {
		through = " through " + owner
	}
	role := route.Profile().Role.ARN
	switch {
	case len(route.Roles) > 0 && role != "" && role == own.Get("role_arn"):
		return "the same role" + through
	case len(route.Roles) > 0 && role != "":
		return "role " + role + through
	}
	return "a session of key " + keys[route.Owner().Profile] + through
}

// printNextAfterAdd says how to send a profile to broker, how to use it if it is
// sent there, or why it cannot be.
func (a *app) printNextAfterAdd(profile string) {
	e, err := a.newWireEdit([]string{profile}, nil)
	var plan wirePlan
	if err == nil {
		var old awsText
		old, plan, err = e.preview()
		old.clear()
		plan.text.clear()
	}
	if err != nil || len(plan.profiles) != 1 {
		a.printf("next: broker exec %s -- aws sts get-caller-identity\n", profile)
		return
	}
	switch p := plan.profiles[0]; {
	case p.State == stateWired:
		a.printf("next: broker wire %s\n", profile)
	case p.State == stateAlready:
		a.printf("next: aws sts get-caller-identity --profile %s\n", profile)
	default:
		a.printf("note: %s\n", p.problem())
		a.printf("next: %s\n", client.OrText(p.Hint, "broker exec "+profile+" -- aws sts get-caller-identity"))
	}
}

// checkWire refuses add --wire before the secret is asked for, where the
// profile could not be wired afterwards.
func (a *app) checkWire(profile string) error {
	e, err := a.newWireEdit([]string{profile}, &profile)
	if err != nil {
		return err
	}
	old, plan, err := e.preview()
	old.clear()
	plan.text.clear()
	if err != nil {
		return err
	}
	return plan.refusal(true)
}

// wireAdded wires the profile of a key that was just stored. The key stays
// stored whatever comes of it.
func (a *app) wireAdded(ctx context.Context, profile string) (*wireEdit, wireResult, error) {
	e, err := a.newWireEdit([]string{profile}, nil)
	var result wireResult
	if err == nil {
		result, err = e.result(ctx, false)
	}
	if err != nil {
		coded := client.AsCoded(err)
		return e, result, &ipc.Error{
			Code: coded.Code, Message: "the key is stored; wire profile " + profile + ": " + coded.Message,
			Hint: client.OrText(coded.Hint, "try again") + ", then: broker wire " + profile,
		}
	}
	return e, result, nil
}
