// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// importReport is the JSON of broker import.
type importReport struct {
	From   string        `json:"from"`
	DryRun bool          `json:"dryRun,omitempty"`
	Keys   []importedKey `json:"keys"`
	// Plans are the profiles that live on keys of this import.
	Plans   []profilePlan `json:"plans"`
	Deleted []droppedKey  `json:"deleted,omitempty"` // with --delete-source
	// Offers are settings that broker does not follow unless the user says so.
	Offers []offeredSetting `json:"offers,omitempty"`
	// Others are sources of other kinds that are there.
	Others []otherSource `json:"others,omitempty"`
	Wire   *wireResult   `json:"wire,omitempty"` // with --wire
	// Rotate are profiles whose keys broker rotate should replace, one for each key.
	Rotate []string `json:"rotate,omitempty"`
	Next   string   `json:"next,omitempty"` // the command to go on with
}

// otherSource is a source that was not asked for.
type otherSource struct {
	From    string `json:"from"`
	Where   string `json:"where"`
	Command string `json:"command"` // that takes it over
}

// enter adds a key to the report and tells of it.
func (r *importing) enter(k importedKey) {
	r.report.Keys = append(r.report.Keys, k)
	switch k.State {
	case keyStored:
		r.say("stored %s of %s for profile %s\n", k.AccessKeyID, client.OrText(k.ARN, "an unverified owner"), k.Profile)
		switch {
		case k.NoMFA:
			r.say("  sessions are made without MFA\n")
		case k.SerialNumber != "":
			r.say("  MFA device: %s\n", k.SerialNumber)
		}
	case keyAlready:
		r.say("%s is stored for profile %s already\n", k.AccessKeyID, k.Profile)
	case keyFound:
		r.say("would store %s for profile %s, from %s\n", client.OrText(k.AccessKeyID, "the key"), k.Profile, k.Where)
	case keyLeft:
		r.say("left alone: profile %s, %s: %s\n", k.Profile, k.Where, k.Error.Message)
	case keyUntried:
		r.say("not tried: profile %s, %s\n", k.Profile, k.Where)
	}
	if k.Note != "" {
		r.say("  %s\n", k.Note)
	}
}

// say prints for people.
func (r *importing) say(format string, args ...any) {
	if !r.o.json {
		r.a.printf(format, args...)
	}
}

// end finishes the source, tells the plans, and what comes next.
func (r *importing) end(ctx context.Context) error {
	if r.failed > 0 {
		return r.partial(ctx)
	}
	err := r.explain()
	if err == nil && r.o.deleteSource {
		err = r.askToWire(ctx)
	}
	if err == nil && r.o.deleteSource {
		err = r.dropAll(ctx)
	}
	if err == nil {
		err = r.offer(ctx)
	}
	if err == nil {
		err = r.wire(ctx)
	}
	r.tell()
	return err
}

// explain tells the plans.
func (r *importing) explain() error {
	config, err := r.a.AWSConfig()
	if err != nil {
		config = r.config // it was readable a moment ago
	}
	r.report.Plans = r.plans(config)
	for _, g := range groupPlans(r.report.Plans) {
		r.say("plan of %s\n  before  %s\n  after   %s\n", strings.Join(g.profiles, ", "), g.before, g.after)
	}
	return err
}

// partial ends an import in which a key was not stored.
func (r *importing) partial(ctx context.Context) error {
	if r.o.json {
		if err := r.a.printJSON(r.report); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return cmp.Or(r.worst, err)
	}
	if len(r.report.Keys) == 1 {
		return r.errs[0]
	}
	for _, err := range r.errs {
		client.Report(r.a.Stderr, err)
	}
	stored := r.profiles()
	end := &ipc.Error{
		Code:    client.AsCoded(r.worst).Code,
		Message: fmt.Sprintf("import: %d of %d keys are not stored, and their source is as it was", r.failed, r.failed+len(stored)),
		Hint:    "correct that, then import again, which takes only the rest: " + r.o.line(),
	}
	if len(stored) > 0 && (r.o.deleteSource || r.o.wire) {
		without := r.o
		without.profiles = stored
		end.Hint += "; or go on without them: " + without.line()
	}
	return &client.StatusError{Status: exitStatusOf(r.worst), Err: end}
}

// tell prints what else there is to import and the next command.
func (r *importing) tell() {
	r.report.Others = r.others()
	r.report.Rotate = r.toRotate()
	r.report.Next = r.next()
	a := r.a
	if r.o.json {
		_ = a.printJSON(r.report) // a broken standard output is noticed by run
		return
	}
	if len(r.profiles()) == 0 {
		a.printf("there is no key to import\n")
	}
	for _, other := range r.report.Others {
		a.printf("also found: %s: %s\n", other.Where, other.Command)
	}
	if r.kind.after != "" && !r.o.dryRun && len(r.profiles()) > 0 {
		a.printf("%s\n", r.kind.after)
	}
	if rotate := r.report.Rotate; len(rotate) > 0 {
		command := "broker rotate " + rotate[0]
		if len(rotate) > 1 {
			command = "broker rotate PROFILE, for " + strings.Join(rotate, ", ")
		}
		a.printf("the secrets were held elsewhere: when the profiles are wired and work, replace the keys: %s\n", command)
	}
	if unwired := r.unwiredNames(); r.o.deleteSource && len(r.profiles()) > 0 && len(unwired) > 0 {
		a.printf("until they are wired, SDKs find no credentials for %s\n", strings.Join(unwired, ", "))
	}
	if r.report.Next != "" {
		a.printf("next: %s\n", r.report.Next)
	}
}

// toRotate returns a profile for each key that was held elsewhere: rotate gives
// all profiles of a key the new one.
func (r *importing) toRotate() []string {
	if r.o.dryRun {
		return nil
	}
	var profiles []string
	seen := map[string]bool{}
	for _, name := range r.profiles() {
		if id := r.stored[name].AccessKeyID; !seen[id] {
			seen[id] = true
			profiles = append(profiles, name)
		}
	}
	return profiles
}

// others returns the sources of other kinds that are there, if the user did not
// choose one.
func (r *importing) others() []otherSource {
	var others []otherSource
	for _, kind := range importKinds() {
		if r.o.from != "" || kind.found == nil {
			continue
		}
		if where := kind.found(r.a); where != "" {
			others = append(others, otherSource{kind.name, where, kind.command})
		}
	}
	return others
}

// profiles returns the profiles whose keys are stored, or would be.
func (r *importing) profiles() []string {
	var names []string
	for _, k := range r.report.Keys {
		if k.State == keyStored || k.State == keyAlready || k.State == keyFound {
			names = append(names, k.Profile)
		}
	}
	return names
}
