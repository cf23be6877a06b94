// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"credbroker/broker/rotation"
	"credbroker/internal/ipc"
)

const (
	// trailDays is how far back CloudTrail's LookupEvents looks.
	trailDays = 90 * 24 * time.Hour
	// trailPages bounds what is read of one Region: 500 events, the newest.
	trailPages = 10
	// trailRegions bounds how many Regions are asked.
	trailRegions = 8
	// trailPause is the pause between two calls in one Region: AWS answers two a
	// second, for the whole account.
	trailPause = 550 * time.Millisecond
	// trailTries is how often a page is asked for that CloudTrail has no time for.
	trailTries = 5
)

// inquiry is one answer to opUsage while it comes about.
type inquiry struct {
	b     *Broker
	plan  *plan // of the key, without roles
	by    *plan // of the key that signs, which is another one if the user says so
	hands hands
	asker caller
	signs ipc.IAMParams
	ipc.Usage
}

// opUsage tells what IAM and CloudTrail know of a key. Each part stands for
// itself: what one policy forbids does not hide the rest.
func (b *Broker) opUsage(ctx context.Context, r ipc.Request, c conversation) (any, error) {
	var params ipc.UsageParams
	if err := c.Decode(&params); err != nil {
		return nil, err
	}
	if err := b.opened(); err != nil {
		return nil, wrap(err, "look at the use of the key of profile %s", params.Profile)
	}
	asker := callerOf(r, c)
	asker.answers = true
	p, err := b.keyPlan(ctx, params.Profile, asker)
	if err != nil {
		return nil, err
	}
	by, err := b.askedBy(ctx, params, p, asker)
	if err != nil {
		return nil, err
	}
	if asker.sit != nil {
		if err := asker.sit(); err != nil {
			return nil, err
		}
	}
	j := rotation.Journal{UserName: p.key.UserName, Old: p.key.AccessKeyID, Places: []rotation.Place{{Profile: p.owner}}}
	if by != p {
		j.Maker = &rotation.Maker{Using: by.owner}
	}
	q := &inquiry{
		b: b, plan: p, by: by, asker: asker, hands: hands{b, &rotator{b: b, journal: j, askers: []*caller{&asker}}},
		Usage: ipc.Usage{
			Profile: p.owner, AccessKeyID: p.key.AccessKeyID, UserName: p.key.UserName, ARN: p.key.ARN,
			Rotating: b.rotating(p.key.AccessKeyID) != nil, Revoked: b.servable(p) != nil,
			Keys: []ipc.KeyState{}, Services: []ipc.ServiceUse{}, Events: []ipc.EventGroup{},
			Regions: []string{}, Cut: []string{}, Gaps: []ipc.UsageGap{},
		},
	}
	if q.signs, err = q.hands.signer(ctx, j); err != nil {
		return nil, err
	}
	told := q.keys(ctx)
	told = q.services(ctx) || told
	told = q.events(ctx) || told
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !told { // then the first reason says it all
		return nil, &q.Gaps[0].Error
	}
	return q.Usage, nil
}

// askedBy returns the plan of the key that signs the questions about that of p.
// A revoked key signs nothing, which is when its use is wanted most: then the
// hint names a stored key of the account.
func (b *Broker) askedBy(ctx context.Context, params ipc.UsageParams, p *plan, c caller) (*plan, error) {
	if params.Using != "" {
		by, err := b.keyPlan(ctx, params.Using, c)
		if err == nil && by.key.AccountID != p.key.AccountID {
			err = fail(ipc.CodeUsage, "", "profile %s has a key of account %s: it cannot ask about key %s, which is of account %s", by.owner, by.key.AccountID, p.key.AccessKeyID, p.key.AccountID)
		}
		return by, err
	}
	err := b.servable(p)
	if err == nil {
		return p, nil
	}
	keys, kerr := b.keys()
	if kerr != nil {
		return nil, kerr
	}
	e := *coded(err)
	e.Hint = "look for it in the event history of the CloudTrail console, by AWS access key; or store another key of the account: broker add PROFILE, then: broker usage " + p.owner + " --using PROFILE"
	for _, profile := range slices.Sorted(maps.Keys(keys)) {
		if key := keys[profile]; key.AccountID == p.key.AccountID && b.notRevoked(profile, key.AccessKeyID) == nil {
			e.Hint = "ask with another key of the account, if its user may: broker usage " + p.owner + " --using " + profile
			break
		}
	}
	return nil, &e
}

// keyPlan returns how the key that a profile begins at comes to a session, and
// whose it is.
func (b *Broker) keyPlan(ctx context.Context, profile string, c caller) (*plan, error) {
	pl, err := b.planner()
	if err != nil {
		return nil, err
	}
	p, err := pl.ofKey(profile)
	if err != nil { // it stands on another's key
		through, err := pl.plan(profile)
		if err != nil {
			return nil, err
		}
		if p, err = pl.ofKey(through.owner); err != nil {
			return nil, err
		}
	}
	if p.key.AccountID == "" {
		if p, err = b.identify(ctx, p, c); err != nil {
			return nil, err
		}
		p.roles = nil
	}
	return p, nil
}

// keys fills in both places of the user.
func (q *inquiry) keys(ctx context.Context) bool {
	j := q.hands.r.journal
	states, err := q.b.opts.Worker.ListKeys(ctx, q.signs)
	if q.hands.refused(j, err); hasCode(err, ipc.CodeAWSExpired) { // the session is dropped: once more with a new one
		if q.signs, err = q.hands.signer(ctx, j); err == nil {
			states, err = q.b.opts.Worker.ListKeys(ctx, q.signs)
		}
	}
	if err != nil {
		return q.missing(ipc.PartKeys, "", "iam:ListAccessKeys", err)
	}
	q.Keys = append(q.Keys, states.Keys...)
	for _, k := range q.Keys {
		if k.LastUsedError != nil {
			q.missing(ipc.PartLastUsed, "", "iam:GetAccessKeyLastUsed", k.LastUsedError)
			break // of the other one there is nothing else to say
		}
	}
	return true
}

// services fills in what the user has used.
func (q *inquiry) services(ctx context.Context) bool {
	used, err := q.b.opts.Worker.ServicesUsed(ctx, ipc.ServicesUsedParams{IAMParams: q.signs, ARN: q.ARN})
	switch {
	case err != nil:
		return q.missing(ipc.PartServices, "", "iam:GenerateServiceLastAccessedDetails", err)
	case used.Unread != nil:
		return q.missing(ipc.PartServices, "", "iam:GetServiceLastAccessedDetails", used.Unread)
	}
	q.Services = append(q.Services, used.Services...)
	slices.SortStableFunc(q.Services, func(x, y ipc.ServiceUse) int { return y.LastUsed.Compare(x.LastUsed) })
	return true
}

// missing notes what could not be told. It returns false.
func (q *inquiry) missing(part, region, permission string, err error) bool {
	if !denied(err) {
		permission = ""
	}
	q.Gaps = append(q.Gaps, ipc.UsageGap{Part: part, Region: region, Permission: permission, Error: *coded(err)})
	return false
}

// events fills in what CloudTrail has of the key, of all Regions where the key
// may have been used. The session need not have MFA: CloudTrail is not IAM.
func (q *inquiry) events(ctx context.Context) (told bool) {
	now := q.hands.Now()
	q.EventsSince = now.Add(-trailDays).UTC()
	e, err := q.session(ctx)
	if err != nil {
		return q.missing(ipc.PartEvents, "", "", err)
	}
	groups := map[ipc.EventGroup]*ipc.EventGroup{}
	for _, region := range q.regions() {
		cut, err := q.eventsIn(ctx, region, e, groups)
		switch {
		case err != nil:
			q.missing(ipc.PartEvents, region, "cloudtrail:LookupEvents", err)
		case cut:
			q.Cut = append(q.Cut, region)
		}
		if err == nil {
			q.Regions, told = append(q.Regions, region), true
		}
	}
	for _, g := range groups {
		q.Events = append(q.Events, *g)
	}
	slices.SortFunc(q.Events, func(x, y ipc.EventGroup) int {
		return cmp.Or(y.Last.Compare(x.Last), cmp.Compare(x.EventSource+x.EventName, y.EventSource+y.EventName),
			cmp.Compare(x.SourceIP+x.UserAgent, y.SourceIP+y.UserAgent), cmp.Compare(x.Region, y.Region))
	})
	return told
}

// session returns one that may call CloudTrail.
func (q *inquiry) session(ctx context.Context) (*entry, error) {
	if q.by.id.serial != "" {
		return q.hands.session(ctx, q.by)
	}
	return q.b.root(ctx, q.by, q.asker)
}

// regions returns where to look: where IAM and STS write their events, where the
// profile is, and where the key or its user was seen.
func (q *inquiry) regions() []string {
	to := q.b.awsOf(q.plan)
	regions := []string{q.b.opts.Trail.Home(to), to.Region}
	for _, k := range q.Keys {
		if k.AccessKeyID == q.AccessKeyID {
			regions = append(regions, k.Region)
		}
	}
	for _, s := range q.Services {
		regions = append(regions, s.Region)
	}
	var list []string
	for _, r := range regions {
		if strings.Contains(r, "-") && !slices.Contains(list, r) && len(list) < trailRegions { // "global" is none
			list = append(list, r)
		}
	}
	return list
}

// eventsIn reads the events of one Region into groups, and reports whether there
// are more.
func (q *inquiry) eventsIn(ctx context.Context, region string, e *entry, groups map[ipc.EventGroup]*ipc.EventGroup) (cut bool, err error) {
	to, in := q.b.awsOf(q.plan), LookupInput{AccessKeyID: q.AccessKeyID, Since: q.EventsSince}
	to.Region = region
	for page := range trailPages {
		if page > 0 {
			if err := sleep(ctx, trailPause); err != nil {
				return false, err
			}
		}
		events, next, err := q.lookup(ctx, to, e, in)
		if err != nil {
			return false, err
		}
		for _, e := range events {
			count(groups, region, e)
		}
		if next == "" {
			return false, nil
		}
		in.Next = next
	}
	return true, nil
}

// lookup reads one page. Whoever else of the account looks at CloudTrail has a
// part of the same two calls a second: that is waited for.
func (q *inquiry) lookup(ctx context.Context, to ipc.AWS, e *entry, in LookupInput) (events []TrailEvent, next string, err error) {
	for range trailTries {
		events, next, err = q.b.opts.Trail.LookupEvents(ctx, to, e.creds, in)
		if !hasCode(err, ipc.CodeAWSThrottled) {
			break
		}
		if serr := sleep(ctx, 2*trailPause); serr != nil {
			return nil, "", serr
		}
	}
	return events, next, err
}

// count adds an event to the group of those that are like it.
func count(groups map[ipc.EventGroup]*ipc.EventGroup, region string, e TrailEvent) {
	like := ipc.EventGroup{EventSource: e.EventSource, EventName: e.EventName, SourceIP: e.SourceIP, UserAgent: e.UserAgent, Region: region}
	g := groups[like]
	if g == nil {
		own := like
		own.First, own.Last = e.At, e.At
		g = &own
		groups[like] = g
	}
	g.Count++
	if e.Refused {
		g.Refused++
	}
	if e.At.Before(g.First) {
		g.First = e.At
	}
	if e.At.After(g.Last) {
		g.Last = e.At
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
