// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"fmt"
	"time"

	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

// opExplain tells the plan that a caller of credentials would get, made by the
// planner that serves. It calls nobody, asks nobody and changes nothing.
func (b *Broker) opExplain(ctx context.Context, _ ipc.Request, c conversation) (any, error) {
	var params ipc.ExplainParams
	if err := c.Decode(&params); err != nil {
		return nil, err
	}
	pl, err := b.planner()
	if err != nil {
		return nil, err
	}
	files := b.files.current().files
	x := &ipc.Explanation{
		Profile: params.Profile, AWSConfigFile: files.Config, AWSCredentialsFile: files.Credentials,
		Calls: []ipc.PlannedCall{}, Cannot: []string{}, Notes: []string{}, Settings: []ipc.Setting{},
	}
	pl.tell = x
	p, err := pl.plan(params.Profile)
	if err != nil {
		return nil, err
	}
	for _, problem := range b.files.current().problems() {
		remark(x, "%s: until that is mended, this is by what the file said before", problem.Message)
	}
	_, x.Wired = pl.aws.Helper(p.profile)
	if source, pos, found := pl.aws.SourceInCredentials(p.profile); found {
		x.Outranked = pos.String()
		remark(x, "%s: %s outranks broker: SDKs use it, and broker exec refuses but with --mode env", pos, source)
	}
	x.Key = p.key.key(p.owner)
	if is, ok := b.revoked.of(p.key.AccessKeyID); ok {
		described := is.describe(b.opts.Clock.Now())
		x.Key.Revoked = &described
	}
	x.Cannot = append(x.Cannot, p.limits()...)
	b.explainCalls(ctx, p, x)
	b.explainNow(p, x)
	b.explainNotes(p, x)
	return x, nil
}

// explainCalls lists the calls to STS, and what each brought before.
func (b *Broker) explainCalls(ctx context.Context, p *plan, x *ipc.Explanation) {
	region, url := b.opts.STS.Endpoint(ctx, p.aws)
	add := func(c ipc.PlannedCall, e *entry) {
		c.Region, c.Endpoint = region, url
		if e.valid(b.opts.Clock) {
			s := e.describe()
			c.Session = &s
		}
		x.Calls = append(x.Calls, c)
	}
	if p.key.AccountID == "" {
		add(ipc.PlannedCall{Action: "GetCallerIdentity", Profile: p.owner}, nil)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	root := b.sessions[p.id]
	add(ipc.PlannedCall{
		Action: "GetSessionToken", Profile: p.owner,
		DurationSeconds: int(p.duration / time.Second), SerialNumber: p.id.serial,
	}, root)
	var rootID string
	if root.valid(b.opts.Clock) {
		rootID = root.creds.AccessKeyID
	}
	keys, families := roleKeys(p, rootID)
	for i, r := range p.roles {
		in := r.input
		if b.short[families[i]] {
			in.DurationSeconds = min(in.DurationSeconds, int(hourOnly/time.Second))
			remark(x, "AWS gave %s 1h at most when it was asked for more: it is asked for 1h as long as this brokerd runs", in.RoleARN)
		}
		e := b.roles[keys[i]]
		if i == len(p.roles)-1 && !e.valid(b.opts.Clock) {
			e = b.lastValidLocked(p) // it may outlive its source
		}
		add(ipc.PlannedCall{
			Action: "AssumeRole", Profile: r.profile, DurationSeconds: in.DurationSeconds,
			RoleARN: in.RoleARN, RoleSessionName: in.RoleSessionName, ExternalID: in.ExternalID,
			SourceIdentity: in.SourceIdentity, Tags: in.Tags, TransitiveTagKeys: in.TransitiveTagKeys,
		}, e)
	}
}

// explainNow says what memory would serve now, and whether somebody would be
// asked for a code.
func (b *Broker) explainNow(p *plan, x *ipc.Explanation) {
	served := b.ready(p)
	e, renewed := served, false
	if e == nil {
		e, renewed = b.lastValid(p), true
	}
	if e != nil {
		x.Now = &ipc.PlannedEntry{Session: e.describe(), Renewed: renewed}
	}
	surfaces := b.surfacesOf(p) // which looks at the disk
	b.mu.Lock()
	defer b.mu.Unlock()
	x.Code = ipc.PlannedCode{When: ipc.CodeNow, SerialNumber: p.id.serial, Surfaces: []string{}}
	if p.id.serial == "" || x.Key.Revoked != nil { // who is refused is asked for nothing
		x.Code.When = ipc.CodeNever
		return
	}
	spares := served
	if root := b.sessions[p.id]; root.valid(b.opts.Clock) {
		spares = root
	}
	if spares != nil {
		end := spares.creds.Expiration.UTC()
		x.Code.When, x.Code.NotBefore = ipc.CodeLater, &end
	}
	x.Code.Pending = b.flights[p.id] != nil
	x.Code.Surfaces = surfaces
	if p.command != nil {
		x.Code.Command = p.command[0]
	}
}

// surfacesOf returns where a flight for p would ask, in the order of
// chooseLocked when everybody is there.
func (b *Broker) surfacesOf(p *plan) []string {
	list := []string{}
	for _, name := range b.files.current().settings.MFA.Surfaces {
		switch name {
		case surfaceCommand:
			if p.command != nil {
				list = append(list, name)
			}
		case surfaceDialog:
			if b.opts.Dialog != nil && b.opts.Dialog.Ready() {
				list = append(list, name)
			}
		case surfaceTerminal, surfaceTTY:
			list = append(list, name)
		}
	}
	return append(list, surfaceWait)
}

// explainNotes says what else to know of a plan.
func (b *Broker) explainNotes(p *plan, x *ipc.Explanation) {
	if p.key.AccountID == "" {
		remark(x, "AWS has not been asked yet whose key %s is: that comes first, once", p.key.AccessKeyID)
	}
	if p.key.NoMFA {
		remark(x, "key %s was stored with --no-mfa", p.key.AccessKeyID)
	}
	if p.id.serial != "" && p.id.serial != p.key.SerialNumber {
		remark(x, "the MFA device is not the one recorded with the key: IAM is asked first whether it is the user's")
	}
	if !x.Wired && x.Outranked == "" {
		remark(x, "the AWS config does not send SDKs to broker for profile %s: broker exec does", p.profile)
	}
}

// remark adds a note to an explanation, if there is one.
func remark(x *ipc.Explanation, format string, args ...any) {
	if x != nil {
		x.Notes = append(x.Notes, fmt.Sprintf(format, args...))
	}
}

// limits says what AWS does not let the credentials of p do, whatever their
// policies allow: each completes "they cannot".
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_sts-comparison.html
func (p *plan) limits() []string {
	switch n := len(p.roles); {
	case n == 0 && p.id.serial == "":
		return []string{
			"call IAM, or do what a policy allows with MFA only: they are made without a code",
			"call STS, except AssumeRole and GetCallerIdentity",
			"sign in to the console: that takes a role",
		}
	case n == 0:
		return []string{
			"call STS, except AssumeRole and GetCallerIdentity",
			"sign in to the console: that takes a role",
		}
	case p.roles[n-1].chained:
		return []string{
			"last longer than " + awsconfig.FormatLife(hourOnly) + ": the source of the role is a role",
			"call GetSessionToken or GetFederationToken",
		}
	}
	return []string{
		"assume a further role for longer than " + awsconfig.FormatLife(hourOnly),
		"call GetSessionToken or GetFederationToken",
	}
}
