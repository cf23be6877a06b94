// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// places are two endpoints to ask.
var places = []string{"eu-west-1", "us-east-1"}

// sees asks each place as often as there are letters in its word, in turn, and
// returns what it sees: + for a key that works.
func (r *rig) sees(who identity, times int) []string {
	r.t.Helper()
	words := make([]string, len(places))
	for range times {
		for i, region := range places {
			if a := r.do(ask{who: who, params: params("GetCallerIdentity"), region: region}); a.code == "" {
				words[i] += "+"
			} else if a.code == codeInvalidToken {
				words[i] += "-"
			} else {
				r.t.Fatalf("%s: %s", a.code, a.message)
			}
		}
	}
	return words
}

func TestKnobPropagation(t *testing.T) {
	t.Parallel()
	// What the two places see of a change on its way to a key, and after it.
	update := func(status string) func(*rig, identity, identity) {
		return func(r *rig, who, key identity) {
			r.call(who, nil, "UpdateAccessKey", "UserName", "eve", "AccessKeyId", key.AccessKeyID, "Status", status)
		}
	}
	remove := func(r *rig, who, key identity) {
		r.call(who, nil, "DeleteAccessKey", "UserName", "eve", "AccessKeyId", key.AccessKeyID)
	}
	for _, tt := range []struct {
		name, value string
		change      func(r *rig, who, key identity) // nil: make the key
		during      []string
		after       string
	}{
		{"made", "15s", nil, []string{"----", "----"}, "++++"},
		{"made", "15s:flap", nil, []string{"+-+-", "-+-+"}, "++++"},
		{"made", "none", nil, []string{"++++", "++++"}, "++++"},
		{"disabled", "15s", update(StatusInactive), []string{"++++", "++++"}, "----"},
		{"disabled", "15s:flap", update(StatusInactive), []string{"-+-+", "+-+-"}, "----"},
		{"deleted", "15s", remove, []string{"++++", "++++"}, "----"},
		{"deleted", "15s:flap", remove, []string{"-+-+", "+-+-"}, "----"},
		{"left alone", "15s:flap", update(StatusActive), []string{"++++", "++++"}, "++++"},
	} {
		t.Run(tt.name+" "+tt.value, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			who, key := r.key("ann"), r.key("eve")
			if tt.change == nil {
				r.set("propagation=" + tt.value)
				key = r.newKey(who, "eve")
			} else {
				r.set("propagation=" + tt.value)
				tt.change(r, who, key)
			}
			if got := r.sees(key, 4); !slices.Equal(got, tt.during) {
				t.Errorf("on the way: %v, want %v", got, tt.during)
			}
			r.clock.advance(15*time.Second - time.Millisecond)
			if got := r.sees(key, 2); !slices.Equal(got, []string{tt.during[0][:2], tt.during[1][:2]}) {
				t.Errorf("still on the way: %v", got)
			}
			r.clock.advance(time.Millisecond)
			if got := r.sees(key, 4); got[0] != tt.after || got[1] != tt.after {
				t.Errorf("after that: %v, want %s", got, tt.after)
			}
		})
	}
}

// IAM itself knows of a change at once, and a change on top of one that is
// still on its way counts from itself.
func TestPropagationOfTwoChanges(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.set("propagation=10s")
	who := r.key("ann")
	key := r.newKey(who, "eve")
	if got := r.keysOf(who, "eve"); len(got) != 2 || got[1] != key.AccessKeyID+" Active" {
		t.Errorf("IAM lists %v", got)
	}
	r.clock.advance(6 * time.Second)
	r.call(who, nil, "UpdateAccessKey", "UserName", "eve", "AccessKeyId", key.AccessKeyID, "Status", "Inactive")
	for _, want := range []string{"-", "+", "-"} { // not known yet; known; known to be inactive
		if got := r.sees(key, 1); got[0] != want {
			t.Errorf("at %s: %v, want %s", r.Now().Sub(epoch), got, want)
		}
		r.clock.advance(5 * time.Second)
	}
}

// The sandbox's own hand on a key is felt everywhere at once.
func TestKnobKeyDoesNotPropagate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.set("propagation=1h:flap")
	fresh := r.newKey(r.key("ann"), "eve")
	for _, tt := range []struct{ status, want string }{{StatusActive, "+++"}, {StatusInactive, "---"}, {StatusActive, "+++"}, {statusDeleted, "---"}} {
		r.set("key." + fresh.AccessKeyID + "=" + tt.status)
		if got := r.sees(fresh, 3); got[0] != tt.want || got[1] != tt.want {
			t.Errorf("%s: %v", tt.status, got)
		}
	}
	if got := r.keysOf(r.key("ann"), "eve"); len(got) != 1 {
		t.Errorf("IAM lists %v", got)
	}
}

// A reset takes back what was made and brings back what was deleted.
func TestResetOfKeysAndPolicies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ann, eve := r.key("ann"), r.key("eve")
	session := r.session("ann")
	fresh := r.newKey(ann, "eve")
	r.call(ann, nil, "DeleteAccessKey", "UserName", "eve", "AccessKeyId", eve.AccessKeyID)
	r.call(ann, nil, "PutUserPolicy", "UserName", "ann", "PolicyName", "Stop", "PolicyDocument", denyAll)
	r.set("key."+session.AccessKeyID+"=Inactive", "propagation=1h", "last_used_lag=1h")
	r.refused(ann, "GetUser")
	r.Reset()
	r.arnOf(eve)
	r.arnOf(session)
	r.call(ann, nil, "GetUser")
	r.refused(fresh, "GetCallerIdentity").want(t, codeInvalidToken, 403, known[codeInvalidToken].message)
	if got := r.keysOf(ann, "eve"); !slices.Equal(got, []string{eve.AccessKeyID + " Active"}) {
		t.Errorf("the keys are %v", got)
	}
	if got := strings.Join(r.sees(r.newKey(ann, "eve"), 1), ""); got != "++" {
		t.Errorf("propagation is still on: %s", got)
	}
}
