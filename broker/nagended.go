// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"credbroker/broker/nag"
	"credbroker/broker/rotation"
	"credbroker/internal/ipc"
)

// tell shows a notice that its user waits for, whatever the time. It takes the
// place of the one that was answered.
func (b *Broker) tell(ctx context.Context, n nag.Notice) {
	ctx, stop := context.WithTimeout(ctx, showLimit)
	defer stop()
	if _, err := b.opts.Notifier.Notify(ctx, n); err != nil && ctx.Err() == nil {
		b.opts.Log.LogAttrs(ctx, slog.LevelInfo, "notice not shown", slog.String("access_key_id", n.AccessKeyID), slog.Any("error", err))
	}
}

// asksNowhere reports whether the rotation of a profile's key needs a code, and
// nothing on this machine can ask for it.
func (b *Broker) asksNowhere(profile string) bool {
	pl, err := b.planner()
	if err != nil {
		return false
	}
	p, err := pl.ofKey(profile)
	if err != nil || p.id.serial == "" || p.command != nil || b.opts.Dialog != nil && b.opts.Dialog.Ready() {
		return false
	}
	_, there := b.quietSigner(p)
	return !there
}

// needsCode says where the code goes that nothing can ask for.
func needsCode(n nag.Notice) nag.Notice {
	return nag.Notice{
		AccessKeyID: n.AccessKeyID, Profile: n.Profile, Channel: nag.Desktop,
		Title: "An MFA code, please", Text: "the rotation of key " + n.AccessKeyID + " of " + n.Profile + " needs one: type it in a terminal",
		Next: "broker mfa",
	}
}

// ended says how a rotation went that began with a notice.
func (b *Broker) ended(n nag.Notice, rot ipc.Rotation, err error) nag.Notice {
	out := nag.Notice{AccessKeyID: n.AccessKeyID, Profile: n.Profile, Channel: nag.Desktop}
	whose := n.Profile
	if len(rot.Profiles) > 0 {
		whose = strings.Join(rot.Profiles, ", ")
	}
	switch {
	case err != nil && strings.HasPrefix(string(coded(err).Code), "mfa_"):
		out.Title = "Rotation of the AWS key of " + whose + " waits"
		out.Text = "it needs an MFA code, and key " + n.AccessKeyID + " is in use until then"
		out.Next = "broker rotate " + n.Profile + " --resume"
	case err != nil:
		e := coded(err)
		out.Title = "AWS key of " + whose + " is not replaced"
		out.Text, out.Next = e.Message, e.Hint
	case rot.State == string(rotation.Undone):
		out.Title = "Rotation of the AWS key of " + whose + " is taken back"
		out.Text = "key " + rot.Old + " serves on, and no new one is left"
		out.Next = "broker rotate " + n.Profile
	case rot.Waiting == string(rotation.Held):
		out.Title = "AWS key of " + whose + " has a successor"
		out.Text = "key " + rot.New + " is in use, and " + rot.Old + " still works, as you asked"
		out.Next = "broker rotate " + n.Profile + " --resume"
	default:
		out.Title = "AWS key of " + whose + " is replaced"
		out.Text = "key " + rot.New + " is in use, and " + rot.Old + " is deleted"
		if rot.Until != nil {
			out.Text = "key " + rot.New + " is in use; " + rot.Old + " is switched off, and will be deleted " + b.in(*rot.Until)
			out.Next = "to take it back: broker rotate " + n.Profile + " --undo"
		}
	}
	return out
}

// in says when something will be.
func (b *Broker) in(at time.Time) string {
	if left := at.Sub(b.opts.Clock.Now()).Round(time.Hour); left >= time.Hour {
		return "in " + nag.Days(left)
	}
	return "soon"
}
