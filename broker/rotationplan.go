// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"slices"

	"credbroker/broker/rotation"
	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

// impossibleKey is an access key ID that no key can have: AWS uses the letters
// of base32, which has no 0 and no 1. IAM looks at permissions first, so asking
// for its deletion, or a change of its status, tells whether one would be allowed.
const impossibleKey = "AKIA0101010101010101"

// rotationPlan says what a rotation would do, and changes nothing: IAM is asked
// for what it would be asked for, in ways that have no effect.
func (b *Broker) rotationPlan(ctx context.Context, key record, asker caller) (any, error) {
	j := rotation.Journal{
		UserName: key.UserName, AccountID: key.AccountID, ARN: key.ARN, Old: key.AccessKeyID,
	}
	keys, err := b.keys()
	if err != nil {
		return nil, err
	}
	for profile, k := range keys {
		if k.AccessKeyID == key.AccessKeyID {
			j.Places = append(j.Places, rotation.Place{Profile: profile, OldItem: k.Item})
		}
	}
	s := b.files.current().settings.Rotation
	out := ipc.RotationPlan{
		Profiles: j.Profiles(), UserName: key.UserName, Old: key.AccessKeyID, Keys: []ipc.KeyState{}, Missing: []string{},
		Unknown: []string{"iam:CreateAccessKey"}, KeepDisabled: awsconfig.FormatLife(s.KeepDisabled),
	}
	slices.Sort(out.Profiles)
	if len(s.OnRotate) > 0 {
		out.OnRotate = s.OnRotate[0]
	}
	h := hands{b, &rotator{b: b, journal: j, askers: []*caller{&asker}}}
	signed, err := h.signer(ctx, j)
	if err != nil {
		return nil, err
	}
	states, err := b.opts.Worker.ListKeys(ctx, signed)
	switch {
	case denied(err):
		out.Missing, out.Obstacle = append(out.Missing, "iam:ListAccessKeys"), coded(err)
		return out, nil
	case err != nil:
		return nil, err
	}
	out.Keys = append(out.Keys, states.Keys...)
	out.Obstacle = obstacle(j, keysOf(states, keys))
	return out, b.probePermissions(ctx, signed, &out)
}

// probePermissions finds which actions IAM does not allow.
func (b *Broker) probePermissions(ctx context.Context, signed ipc.IAMParams, out *ipc.RotationPlan) error {
	for _, k := range out.Keys {
		if k.LastUsedError != nil && denied(k.LastUsedError) && !slices.Contains(out.Missing, "iam:GetAccessKeyLastUsed") {
			out.Missing = append(out.Missing, "iam:GetAccessKeyLastUsed")
		}
	}
	target := ipc.TargetParams{IAMParams: signed, Target: impossibleKey}
	for _, probe := range []struct {
		action string
		err    error
	}{
		{"iam:UpdateAccessKey", b.opts.Worker.SetKeyStatus(ctx, ipc.KeyStatusParams{TargetParams: target})},
		{"iam:DeleteAccessKey", b.opts.Worker.DeleteKey(ctx, target)},
	} {
		switch {
		case denied(probe.err):
			out.Missing = append(out.Missing, probe.action)
		case probe.err != nil && !hasCode(probe.err, ipc.CodeKeyGone):
			return probe.err
		}
	}
	if len(out.Missing) > 0 && out.Obstacle == nil {
		out.Obstacle = fail(ipc.CodeAWSDenied, "have the policy of the user allow it, on the user itself", "IAM does not allow %s", out.Missing[0])
	}
	return nil
}

// obstacle returns what would stop a rotation before it has begun.
func obstacle(j rotation.Journal, keys []rotation.Key) *ipc.Error {
	var e *rotation.Error
	if errors.As(rotation.Free(j, keys), &e) {
		return fail(ipc.Code(e.Code), e.Hint, "%v", e)
	}
	return nil
}

func denied(err error) bool {
	return hasCode(err, ipc.CodeAWSDenied, ipc.CodeAWSExplicitDeny, ipc.CodeAWSQuarantined)
}

// keysOf says of each key at IAM which profile has it here, if one has.
func keysOf(states ipc.KeyStates, stored map[string]record) []rotation.Key {
	profiles := map[string]string{}
	for profile, k := range stored {
		if first, twice := profiles[k.AccessKeyID]; !twice || profile < first {
			profiles[k.AccessKeyID] = profile
		}
	}
	var keys []rotation.Key
	for _, k := range states.Keys {
		keys = append(keys, rotation.Key{
			AccessKeyID: k.AccessKeyID, Profile: profiles[k.AccessKeyID], Active: k.Active, CreateDate: k.CreateDate,
			LastUsed: k.LastUsed, ServiceName: k.ServiceName, Region: k.Region,
		})
	}
	return keys
}

// onLoopback reports whether a URL is one of this machine.
func onLoopback(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	ip, _ := netip.ParseAddr(u.Hostname()) // the zero Addr is not loopback
	return u.Hostname() == "localhost" || ip.IsLoopback()
}
