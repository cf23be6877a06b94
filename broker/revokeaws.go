// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"credbroker/internal/ipc"
)

// denySlack is how far the time of the deny lies ahead: AWS's clock is known to
// the second, and the time at which a session was made is in whole seconds.
const denySlack = 2 * time.Second

// atAWS has IAM take keys out of use, user by user. The order within a user is
// what makes it work with the very keys that go:
//
//   - A session with MFA signs, where there is one: it survives its key. It makes
//     the keys Inactive, looks for a quarantine, and denies the older sessions of
//     the user last, because it is one of them.
//   - Without a device the key signs itself. The deny comes first, which does not
//     bind long-lived keys, then the other key of a rotation; the key makes
//     itself Inactive last, which works exactly once.
//
// Each call is harmless when it is done twice, and what may be there is on the
// disk before it is asked for: a revocation that was cut short is run again.
func (v *revoking) atAWS(ctx context.Context, users []*revokee) {
	slices.SortStableFunc(users, func(x, y *revokee) int { return cmp.Compare(v.codes(x), v.codes(y)) })
	for _, u := range users {
		w := &onUser{revoking: v, u: u, problems: map[string]error{}, dead: map[string]bool{}}
		w.revoke(ctx)
		v.report(w)
	}
}

// codes is how many codes a user costs, as far as that is known beforehand.
func (v *revoking) codes(u *revokee) int {
	if u.candidates[0].key.SerialNumber == "" || v.params.Using != "" || v.b.revoked.session(u.user).valid(v.b.opts.Clock) {
		return 0
	}
	return 1
}

// report adds what became of the keys of a user to the answer.
func (v *revoking) report(w *onUser) {
	now := v.b.opts.Clock.Now()
	for _, k := range w.u.keys {
		is, ok := v.b.revoked.of(k.AccessKeyID)
		if !ok {
			is = k
		}
		out := is.describe(now)
		if !ok {
			out.RevokedAt, out.Inactive, out.DeniedBefore = nil, false, nil
		}
		out.Quarantine = w.quarantine
		if err := w.problems[k.AccessKeyID]; err != nil {
			out.Problem = coded(err)
		}
		if w.denyErr != nil {
			out.DenyProblem = coded(w.denyErr)
		}
		v.out.Keys = append(v.out.Keys, out)
	}
	slices.SortStableFunc(v.out.Keys, func(x, y ipc.RevokedKey) int {
		return cmp.Compare(strings.Join(x.Profiles, " "), strings.Join(y.Profiles, " "))
	})
}

// onUser is what is done at IAM about one user.
type onUser struct {
	*revoking
	u          *revokee
	plans      []*plan // of the candidates
	userName   string
	dead       map[string]bool  // keys that AWS does not take
	problems   map[string]error // by access key ID
	denyErr    error
	quarantine []string
}

func (w *onUser) revoke(ctx context.Context) {
	err := w.prepare(ctx)
	if err == nil && (!w.kept().valid(w.b.opts.Clock) || slices.ContainsFunc(w.u.keys, func(k revocation) bool { return w.now(k).Inactive })) {
		err = w.look(ctx) // nobody is asked for the code of a key that is dead
	}
	need, open := w.need(), w.open()
	if len(need) == 0 && len(open) == 0 && !w.denyWanted() && err == nil {
		return
	}
	var s *signer
	if err == nil {
		s, err = w.signer(ctx)
	}
	if err != nil {
		for _, id := range need {
			if w.dead[id] { // by nobody's word but that of AWS, which is enough where nobody can do more
				w.remember(w.b.revoked.set(id, func(r *revocation) { r.Inactive = true }))
				continue
			}
			w.problems[id] = w.worksOn(err, id)
		}
		if w.denyWanted() {
			w.denyErr = w.goOn(err)
		}
		for _, j := range open {
			w.unfound(j, err)
		}
		return
	}
	for _, j := range open {
		w.findMade(ctx, s, j)
	}
	need = w.need()
	for _, id := range need {
		w.remember(w.b.revoked.set(id, func(r *revocation) { r.Inactive = false })) // whatever was believed
		if id != s.self {
			w.disable(ctx, s, id)
		}
	}
	w.lookForQuarantine(ctx, s)
	if w.denyWanted() {
		w.deny(ctx, s)
	}
	if slices.Contains(need, s.self) {
		w.disable(ctx, s, s.self)
	}
	w.explainQuarantine()
}

// now returns what is known of a key by now.
func (w *onUser) now(k revocation) revocation {
	is, ok := w.b.revoked.of(k.AccessKeyID)
	if !ok {
		return k
	}
	return is
}

// profile is the one that the user names to have the same done again.
func (w *onUser) profile() string { return firstOf(w.params.Profile, w.u.candidates[0].profile) }

func (w *onUser) kept() *entry { return w.b.revoked.session(w.u.user) }

func (w *onUser) denyWanted() bool {
	return w.params.DenySessions && slices.ContainsFunc(w.u.keys, func(k revocation) bool { return w.owns(k) && !w.now(k).Denied })
}

// owns reports whether a key is of the user itself: one that it is making may be
// somebody else's.
func (w *onUser) owns(k revocation) bool {
	return k.UserName == "" || k.UserName == w.u.candidates[0].key.UserName
}

// about has a call be about a key.
func (w *onUser) about(p ipc.IAMParams, id string) ipc.TargetParams {
	for _, k := range w.u.keys {
		if k.AccessKeyID == id && k.UserName != "" {
			p.UserName = k.UserName
		}
	}
	return ipc.TargetParams{IAMParams: p, Target: id}
}

// need returns the keys that are to be made Inactive. That AWS does not take a
// key is not enough: one that is new may be on its way still. A key with which
// nothing can be asked is as it was written down.
func (w *onUser) need() (ids []string) {
	for _, k := range w.u.keys {
		if w.asks(k.AccessKeyID) && !w.dead[k.AccessKeyID] || !w.now(k).Inactive {
			ids = append(ids, k.AccessKeyID)
		}
	}
	return ids
}

// asks reports whether AWS is asked with a key whether it takes it: see look.
func (w *onUser) asks(id string) bool {
	return slices.ContainsFunc(w.u.candidates, func(c ownKey) bool { return c.key.AccessKeyID == id })
}

// prepare plans how the keys sign, and makes sure that AWS is there.
func (w *onUser) prepare(ctx context.Context) error {
	pl, err := w.b.planner()
	if err != nil {
		return err
	}
	for _, c := range w.u.candidates {
		p, err := pl.ofKey(c.profile)
		if err != nil {
			return err
		}
		of := *p
		of.key, of.id.accessKeyID = c.key, c.key.AccessKeyID
		of.want = want{insists: true, revokes: true}
		w.plans = append(w.plans, &of)
	}
	w.userName = w.u.candidates[0].key.UserName
	if w.userName == "" {
		return w.look(ctx)
	}
	return w.b.reach(ctx, w.plans[0])
}

// look asks AWS of each key whether it takes it. A key that cannot be asked with
// counts as alive; the error is that of the last one if none could be.
func (w *onUser) look(ctx context.Context) error {
	var failed error
	asked := false
	for _, p := range w.plans {
		id, err := w.b.opts.Worker.CallerIdentity(context.WithoutCancel(ctx), w.b.item(p))
		switch {
		case hasCode(err, ipc.CodeAWSKeyUnknown, ipc.CodeKeyGone):
			w.dead[p.key.AccessKeyID] = true
		case err != nil:
			failed = err
			continue
		default:
			w.userName = firstOf(w.userName, id.UserName)
		}
		asked = true
	}
	if asked || w.kept().valid(w.b.opts.Clock) || w.params.Using != "" {
		return nil
	}
	return failed
}

// disable makes a key Inactive. One that is gone is as good.
func (w *onUser) disable(ctx context.Context, s *signer, id string) {
	err := s.call(ctx, func(ctx context.Context, p ipc.IAMParams) error {
		return w.b.opts.Worker.SetKeyStatus(ctx, ipc.KeyStatusParams{TargetParams: w.about(p, id)})
	})
	if err != nil && !hasCode(err, ipc.CodeKeyGone) {
		w.problems[id] = w.worksOn(err, id)
		return
	}
	w.remember(w.b.revoked.set(id, func(r *revocation) { r.Inactive = true }))
	w.b.opts.Log.LogAttrs(ctx, slog.LevelWarn, "key made Inactive", slog.String("access_key_id", id))
}

// lookForQuarantine asks whether AWS has acted on its own. Not to be allowed to
// ask is no answer.
func (w *onUser) lookForQuarantine(ctx context.Context, s *signer) {
	err := s.call(ctx, func(ctx context.Context, p ipc.IAMParams) (err error) {
		w.quarantine, err = w.b.opts.Worker.Quarantines(ctx, p)
		return err
	})
	if err != nil {
		w.b.opts.Log.LogAttrs(ctx, slog.LevelDebug, "policies not listed", slog.String("user", w.u.user), slog.Any("error", err))
	}
}

// deny denies everything to the sessions that the user has by now. What is in
// memory of them is of no use any more, also of keys that are not revoked.
func (w *onUser) deny(ctx context.Context, s *signer) {
	before := w.b.opts.Clock.Now().Add(w.b.clockOffset() + denySlack).UTC().Truncate(time.Second)
	each := func(f func(*revocation)) {
		for _, k := range w.u.keys {
			if w.owns(k) {
				w.remember(w.b.revoked.set(k.AccessKeyID, f))
			}
		}
	}
	each(func(r *revocation) { r.DenyBefore = &before })
	err := s.call(ctx, func(ctx context.Context, p ipc.IAMParams) error {
		return w.b.opts.Worker.DenySessions(ctx, ipc.DenyParams{IAMParams: p, Before: before})
	})
	if err != nil {
		w.denyErr = w.goOn(err)
		return
	}
	each(func(r *revocation) { r.Denied = true })
	w.b.revoked.keep(w.u.user, nil)
	keys, err := w.b.index.snapshot()
	if err != nil {
		return
	}
	for _, key := range keys {
		if key.ARN != "" && key.ARN == w.u.user {
			w.b.forget(key.AccessKeyID, byRevoke)
		}
	}
}

// worksOn says that a key is not out of use at AWS, and how it gets there.
func (w *onUser) worksOn(err error, id string) error {
	may := "may work on"
	if denied(err) {
		may = "works on"
	}
	e := wrap(err, "key %s %s at AWS", id, may)
	again := "broker revoke " + w.profile()
	switch {
	case denied(err):
		e.Hint = "make it Inactive in the IAM console, or as somebody who may: " + again + " --using PROFILE"
	case strings.HasPrefix(string(e.Code), "mfa_"):
		e.Hint = "make it Inactive in the IAM console, or try again with a code: " + again
	case e.Code == ipc.CodeKeychainLocked: // its own hint opens it
	default:
		e.Hint = "make it Inactive in the IAM console, or try again: " + again
	}
	return e
}

// goOn says that the sessions of the user go on, and how they end.
func (w *onUser) goOn(err error) error {
	e := wrap(err, "the sessions of IAM user %s go on at AWS", firstOf(w.userName, w.u.user))
	e.Hint = "as somebody who may: broker revoke " + w.profile() + " --deny-sessions --using PROFILE"
	return e
}

// explainQuarantine gives a refusal its reason, where that is a quarantine.
func (w *onUser) explainQuarantine() {
	for id, err := range w.problems {
		w.problems[id] = w.quarantined(err)
	}
	if w.denyErr != nil {
		w.denyErr = w.quarantined(w.denyErr)
	}
}

func (w *onUser) quarantined(err error) error {
	e := *coded(err)
	if len(w.quarantine) == 0 || e.Code != ipc.CodeAWSExplicitDeny && e.Code != ipc.CodeAWSQuarantined {
		return err
	}
	e.Code = ipc.CodeAWSQuarantined
	e.Message += "; AWS has found a key of this user in public, and attached " + strings.Join(w.quarantine, " and ")
	return &e
}
