// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// listed is what broker list says of a key.
type listed struct {
	Profile, AccessKeyID, Level, LastUsedService string
	AddedAt                                      time.Time
	CreateDate, LastUsed, LearntAt, DueAt        *time.Time
	FactsError                                   *struct{ Code, Message string }
}

func (w *world) list(flags ...string) []listed {
	w.t.Helper()
	var list struct{ Keys []listed }
	if err := json.Unmarshal([]byte(w.must(w.run("broker", append([]string{"list", "--json"}, flags...)...)).stdout), &list); err != nil {
		w.t.Fatal(err)
	}
	return list.Keys
}

// settled waits until the daemon knows of its keys what it can learn without
// asking anybody, so that it does nothing by itself any more.
func (w *world) settled() {
	w.t.Helper()
	w.eventually("IAM has told of each key", func() error {
		for _, k := range w.list() {
			if k.LearntAt == nil {
				return fmt.Errorf("%+v", k)
			}
		}
		return nil
	})
}

// TestAgeIsLearnt: a session that is made for something else brings age and last
// use along, without another prompt; a key that is due is rotated with that very
// session, and is young at once.
func TestAgeIsLearnt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(append(quickly, "[nag]", "channels = off")...)
	w.set("policy=force-mfa", "now=+2400h")
	w.prime("dev")
	w.settled()
	due := w.list("--due")
	if len(due) != 1 || due[0].Level != "urgent" || due[0].CreateDate == nil || due[0].LastUsedService != "sts" || due[0].DueAt == nil {
		t.Fatalf("due: %+v", due)
	}
	if r := w.run("broker", "status", "--check"); r.status != 9 || !strings.Contains(r.stderr, due[0].AccessKeyID) {
		t.Errorf("status --check: %d, %s", r.status, r.stderr)
	}
	if r := w.must(w.run("broker", "status", "--short")); !strings.HasPrefix(r.stdout, "aws key of dev: overdue") {
		t.Errorf("status --short: %q", r.stdout)
	}
	r := w.must(w.run("broker", "rotate", "--due"))
	if k := w.list()[0]; k.AccessKeyID == due[0].AccessKeyID || k.CreateDate == nil || k.Level != "" || !strings.Contains(r.stdout, k.AccessKeyID) {
		t.Errorf("after rotate --due: %+v\n%s", k, r.stdout)
	}
	if s := w.status(); s.Prompts > 1 {
		t.Errorf("%d prompts", s.Prompts)
	}
	w.must(w.run("broker", "status", "--check"))
	w.killDaemon()
	if r := w.must(w.run("broker", "status", "--short")); r.stdout != "" || fileExists(w.socket()) && w.daemonPID() != 0 {
		t.Errorf("status --short has started a daemon, or said %q", r.stdout)
	}
}

// TestAgeWhereIAMIsSilent: the age is that since add, and list says why.
func TestAgeWhereIAMIsSilent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	w.set("policy=deny:iam:ListAccessKeys")
	w.prime("dev")
	w.eventually("IAM has refused", func() error {
		if k := w.list()[0]; k.FactsError == nil || !strings.HasPrefix(k.FactsError.Code, "aws_") {
			return fmt.Errorf("%+v", k)
		}
		return nil
	})
	k := w.list()[0]
	if k.CreateDate != nil || k.LearntAt != nil || k.DueAt == nil || !k.DueAt.Equal(k.AddedAt.Add(90*24*time.Hour)) {
		t.Errorf("%+v", k)
	}
	r := w.must(w.run("broker", "list"))
	if !strings.Contains(r.stdout, " -    -          -\n") || !strings.Contains(r.stdout, "\ndev: age since broker add, because IAM does not tell: ") || !strings.Contains(r.stdout, "ListAccessKeys") {
		t.Errorf("list:\n%s", r.stdout)
	}
	w.eventually("credentials go on", func() error {
		if w.credentials("dev").AccessKeyID == "" {
			return errors.New("none")
		}
		return nil
	})
}
