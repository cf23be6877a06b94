// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"strings"
	"time"

	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

// plan is how one profile comes to credentials: GetSessionToken with a stored
// key, then AssumeRole for each role, the first one first.
type plan struct {
	profile      string
	owner        string        // the profile that owns the key
	key          record        // the stored key
	id           sessionID     // of the session at the root
	duration     time.Duration // of the root session
	roles        []roleStep
	aws          ipc.AWS       // without the clock offset
	command      []string      // mfa_command, or nil
	minRemaining time.Duration // see entry.fresh
	want         want
}

// roleStep is one AssumeRole of a plan.
type roleStep struct {
	profile   string
	accountID string // of the role
	chained   bool   // its caller is a role
	input     AssumeRoleInput
}

// planner holds what plans are made from. It is immutable.
type planner struct {
	aws      *awsconfig.Config
	settings awsconfig.Settings
	keys     map[string]record
	// tell is where each setting of a plan is noted as it is chosen. nil: nobody
	// has asked for an explanation.
	tell *ipc.Explanation
}

// plan makes the plan of a profile. A key stored under a profile counts
// everywhere as that profile's static keys. For each setting broker's own
// config comes before the AWS files.
func (pl *planner) plan(profile string) (*plan, error) {
	route, err := pl.aws.Route(profile, pl.hasKey)
	if err != nil {
		return nil, pl.unplanned(profile, coded(err))
	}
	owner := route.Owner().Profile
	key := pl.keys[owner]
	p := &plan{
		profile: profile, owner: owner, key: key,
		aws:          pl.endpoint(route, key),
		duration:     pl.sessionDuration(route.Profile()),
		minRemaining: pl.settings.Sessions.MinRemaining,
		command:      pl.command(route),
	}
	pl.noteSources(route)
	for i, on := range route.Roles {
		p.roles = append(p.roles, pl.role(on, key, i > 0))
	}
	if err := checkPartitions(p.roles, key); err != nil {
		return nil, err
	}
	serial, err := pl.serial(route, key)
	if err != nil {
		return nil, err
	}
	p.id = sessionID{key.AccessKeyID, serial}
	return p, nil
}

// unplanned adds what an empty index may mean to the reason why there is no
// plan: a state directory that was deleted leaves nothing that tells it from a
// new one, while a keyring still has every key.
func (pl *planner) unplanned(profile string, e *ipc.Error) *ipc.Error {
	if len(pl.keys) > 0 || !hasCode(e, ipc.CodeNoKey, ipc.CodeNoProfile) {
		return e
	}
	with := *e
	// The key that is missing may be another profile's, which the hint names.
	if _, known := pl.aws.Profile(profile); with.Hint == "" || !known && !strings.HasPrefix(with.Hint, "did you mean") {
		with.Hint = "broker add " + profile
	}
	with.Hint += "; or broker recover, if keys were stored here before"
	return &with
}

func (pl *planner) hasKey(profile string) (string, bool) {
	key, ok := pl.keys[profile]
	return key.AccessKeyID, ok
}

func (pl *planner) sessionDuration(on awsconfig.ProfileSettings) time.Duration {
	return choose(pl, on.Profile, "session_duration",
		own(on, "session_duration", pl.settings.Profile(on.Profile).SessionDuration),
		inFile(on, "session_duration", on.SessionDuration),
		general("sessions", "session_duration", pl.settings.Sessions.SessionDuration))
}

// command returns the mfa_command of the first profile of a route that has one.
func (pl *planner) command(route awsconfig.Route) []string {
	for _, on := range route.Path {
		if command := pl.settings.Profile(on.Profile).MFACommand; len(command) > 0 {
			// Its arguments may be for nobody's eyes.
			choose(pl, on.Profile, "mfa_command", own(on, "mfa_command", command[0]))
			return command
		}
	}
	return nil
}

// role makes one step. AWS gives a role whose caller is a role one hour at
// most, so our own default is cut to that; a length that the user wrote is
// asked for as written, see assume.
func (pl *planner) role(on awsconfig.ProfileSettings, key record, chained bool) roleStep {
	r := on.Role
	unsaid := pl.settings.Sessions.RoleDuration
	if chained {
		unsaid = min(unsaid, hourOnly)
	}
	inAWS := inFile(on, "role_duration", r.Duration)
	if on.Get("role_duration") == "" {
		inAWS = inFile(on, "duration_seconds", r.Duration)
	}
	d := choose(pl, on.Profile, "role_duration",
		own(on, "role_duration", pl.settings.Profile(on.Profile).RoleDuration), inAWS,
		general("sessions", "role_duration", unsaid))
	pl.noteRole(on)
	if chained && d > hourOnly {
		remark(pl.tell, "%s is asked for %s; AWS gives a role whose source is a role 1h at most, and broker asks again for that",
			r.ARN, awsconfig.FormatLife(d))
	}
	step := roleStep{profile: on.Profile, chained: chained, input: AssumeRoleInput{
		RoleARN: r.ARN,
		RoleSessionName: roleSessionName(choose(pl, on.Profile, "role_session_name",
			inFile(on, "role_session_name", r.SessionName), ofKey(key, key.UserName), unset(anySessionName))),
		ExternalID:        r.ExternalID,
		SourceIdentity:    r.SourceIdentity,
		TransitiveTagKeys: r.TransitiveTagKeys,
		DurationSeconds:   int(d / time.Second),
	}}
	if a, ok := parseARN(r.ARN); ok {
		step.accountID = a.account
	}
	for _, t := range r.Tags {
		if step.input.Tags == nil {
			step.input.Tags = map[string]string{}
		}
		step.input.Tags[t.Key] = t.Value
	}
	return step
}

// checkPartitions refuses a role that lies in another partition than the key:
// AWS knows no way from one to the other.
func checkPartitions(roles []roleStep, key record) error {
	owner, ok := parseARN(key.ARN)
	if !ok {
		return nil
	}
	for _, r := range roles {
		if role, ok := parseARN(r.input.RoleARN); ok && role.partition != owner.partition {
			return fail(ipc.CodeProfileInvalid, "use a key of partition "+role.partition+" as its source, or correct role_arn",
				"profile %s: role %s is in partition %s, key %s is in %s", r.profile, r.input.RoleARN, role.partition, key.AccessKeyID, owner.partition)
		}
	}
	return nil
}

// endpoint says how to reach AWS for the profile at the head of a route.
func (pl *planner) endpoint(route awsconfig.Route, key record) ipc.AWS {
	s := pl.settings.AWS
	to := ipc.AWS{
		STSEndpointURL: choose(pl, "", "endpoint_url",
			general("aws", "sts_endpoint_url", s.STSEndpointURL), general("aws", "endpoint_url", s.EndpointURL)),
		IAMEndpointURL: firstOf(s.IAMEndpointURL, s.EndpointURL), CloudTrailEndpointURL: s.EndpointURL,
		CABundle:     s.CABundle,
		HTTPSProxy:   s.HTTPSProxy,
		UseFIPS:      route.Profile().UseFIPS,
		UseDualStack: route.Profile().UseDualStack,
	}
	of, region := pl.region(route)
	to.Region = choose(pl, of, "region", region, ofKey(key, key.Region), general("aws", "region", s.Region), unset("us-east-1"))
	// A key of aws-cn means nothing in us-east-1: the ARN decides. What is not
	// verified yet has none, but a device and a role are of the same partition.
	known := []string{key.ARN, key.SerialNumber}
	for _, on := range route.Path {
		known = append(known, pl.serialOf(on).value, on.Role.ARN)
	}
	for _, text := range known {
		if a, ok := parseARN(text); ok {
			to.Partition = a.partition
			break
		}
	}
	return to
}

// region returns the first profile of a route that names a Region, with it.
func (pl *planner) region(route awsconfig.Route) (profile string, region candidate[string]) {
	for _, on := range route.Path {
		region = first(own(on, "region", pl.settings.Profile(on.Profile).Region), inFile(on, "region", on.Region))
		if region.value != "" {
			return on.Profile, region
		}
	}
	return "", candidate[string]{}
}

func (pl *planner) serialOf(on awsconfig.ProfileSettings) candidate[string] {
	return first(own(on, "mfa_serial", pl.settings.Profile(on.Profile).MFASerial), inFile(on, "mfa_serial", on.MFASerial))
}

// serial returns the serial number that primes the session at the root of a
// route: that of the first role, of the sources between it and the key, or the
// one recorded with the key. AWS cannot check a code on a role whose source is a role: the one that
// primed the chain counts as met there, and another one is an error.
//
// A key stored with --no-mfa goes without, whatever the profile that owns it
// says: that was explicit. A role that names a device still gets its session.
func (pl *planner) serial(route awsconfig.Route, key record) (string, error) {
	owner := route.Owner()
	of := func(on awsconfig.ProfileSettings) candidate[string] {
		if key.NoMFA && on.Profile == owner.Profile {
			if passed := pl.serialOf(on); passed.value != "" {
				remark(pl.tell, "mfa_serial of profile %s (%s) is passed over: its key needs no code", on.Profile, pl.place(passed.from))
			}
			return candidate[string]{}
		}
		return pl.serialOf(on)
	}
	head := route.Profile()
	if len(route.Roles) > 0 {
		head = route.Roles[0]
	}
	var chosen candidate[string]
	from, reached := owner.Profile, false
	for _, on := range route.Path {
		if reached = reached || on.Profile == head.Profile; reached && chosen.value == "" {
			chosen, from = of(on), on.Profile
		}
	}
	chosen = first(chosen, ofKey(key, key.SerialNumber))
	for i, on := range route.Roles {
		other := of(on).value
		if i > 0 && other != "" {
			remark(pl.tell, "profile %s names an MFA device, which AWS cannot check on a role whose source is a role: the code at the start of the chain counts", on.Profile)
		}
		if chosen.value == "" && other != "" {
			chosen, from = of(on), on.Profile
		}
		if i > 0 && other != "" && other != chosen.value {
			return "", fail(ipc.CodeMFASerial, "remove mfa_serial from profile "+on.Profile,
				"profile %s names MFA device %s, but its source is a role and the chain starts with %s", on.Profile, other, chosen.value)
		}
	}
	serial := choose(pl, from, "mfa_serial", chosen)
	if serial == "" && !key.NoMFA {
		return "", fail(ipc.CodeMFAUnknown, "set mfa_serial in the profile, or store the key again: broker add "+owner.Profile+" --replace",
			"the MFA device of key %s (profile %s) is not known", key.AccessKeyID, owner.Profile)
	}
	return serial, pl.checkSerial(serial, from, key)
}

// checkSerial refuses a serial number that cannot work with key, before any
// code is asked for.
func (pl *planner) checkSerial(serial, profile string, key record) error {
	if strings.Contains(serial, ":u2f/") {
		return fail(ipc.CodeMFAPasskey, "add a virtual MFA device beside it, or sign in with aws login",
			"profile %s: MFA device %s is a passkey, which STS cannot use", profile, serial)
	}
	device, ok := parseARN(serial)
	if ok && key.AccountID != "" && device.account != key.AccountID {
		return fail(ipc.CodeMFASerial, "name a device of the user that owns the key",
			"profile %s: MFA device %s is of account %s, key %s is of account %s", profile, serial, device.account, key.AccessKeyID, key.AccountID)
	}
	if owner, known := parseARN(key.ARN); ok && known && device.partition != owner.partition {
		return fail(ipc.CodeMFASerial, "name a device of the user that owns the key",
			"profile %s: MFA device %s is in partition %s, key %s is in %s", profile, serial, device.partition, key.AccessKeyID, owner.partition)
	}
	for _, other := range pl.keys {
		if serial != "" && serial != key.SerialNumber && other.SerialNumber == serial && key.ARN != "" && other.ARN != "" && other.ARN != key.ARN {
			return fail(ipc.CodeMFASerial, "name a device of the user that owns the key",
				"profile %s: MFA device %s is of %s, key %s is of %s", profile, serial, other.ARN, key.AccessKeyID, key.ARN)
		}
	}
	return nil
}
