// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"credbroker/broker"
	"credbroker/credproc"
	"credbroker/internal/awsapi"
	"credbroker/internal/fakeaws"
	"credbroker/internal/ipc"
)

// account is a pretend AWS account with a session of its first user.
func account(t *testing.T) (*fakeaws.Server, ipc.AWS, credproc.Credentials) {
	t.Helper()
	server, err := fakeaws.New(fakeaws.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(server)
	t.Cleanup(front.Close)
	to := ipc.AWS{Region: "eu-west-1", STSEndpointURL: front.URL, IAMEndpointURL: front.URL}
	client, err := dial(to)
	if err != nil {
		t.Fatal(err)
	}
	key := server.Users()[0].AccessKeys[0]
	session, err := client.LongLived(awsapi.Keys{AccessKeyID: key.AccessKeyID, Secret: key.SecretAccessKey}).
		GetSessionToken(t.Context(), awsapi.SessionTokenInput{DurationSeconds: 3600})
	if err != nil {
		t.Fatal(err)
	}
	return server, to, session
}

func TestAssumeRole(t *testing.T) {
	server, to, session := account(t)
	var role fakeaws.Role
	for _, r := range server.Roles() {
		if !r.RequireMFA && r.ExternalID == "" && r.AccountID == server.AccountID() && strings.HasSuffix(r.Trusts, ":root") {
			role = r
			break
		}
	}
	if role.ARN == "" {
		t.Fatal("the pretend account has no role that trusts everybody in it")
	}
	in := broker.AssumeRoleInput{RoleARN: role.ARN, RoleSessionName: "ann", DurationSeconds: 900, Tags: map[string]string{"b": "2", "a": "1"}}
	got, err := awsSTS{newCalls()}.AssumeRole(t.Context(), to, session, in)
	if err != nil {
		t.Fatal(err)
	}
	if got.AccountID != role.AccountID || !strings.HasPrefix(got.AccessKeyID, "ASIA") || time.Until(got.Expiration) > 16*time.Minute {
		t.Errorf("credentials are %+v", got)
	}
	in.DurationSeconds = 43200
	_, err = awsSTS{newCalls()}.AssumeRole(t.Context(), to, got, in)
	if !errors.Is(err, &ipc.Error{Code: ipc.CodeAWSDuration}) && !errors.Is(err, &ipc.Error{Code: ipc.CodeRoleDenied}) {
		t.Errorf("12 hours from a role: %v", err)
	}
	in.RoleARN = "arn:aws:iam::" + server.AccountID() + ":role/nowhere"
	_, err = awsSTS{newCalls()}.AssumeRole(t.Context(), to, session, in)
	if !errors.Is(err, &ipc.Error{Code: ipc.CodeRoleDenied}) {
		t.Errorf("a role that does not exist: %v", err)
	}
}

func TestReachAndSettings(t *testing.T) {
	server, to, session := account(t)
	if err := server.Set("now=+2h"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	offset, err := awsSTS{newCalls()}.Reach(t.Context(), to)
	if err != nil || (offset-2*time.Hour).Abs() > 2*time.Second+time.Since(began) {
		t.Errorf("offset is %v (%v), want about 2h", offset, err)
	}
	for name, bad := range map[string]ipc.AWS{
		string(ipc.CodeAWSRegion):    {Region: "evil.example/"},
		string(ipc.CodeConfigBroken): {Region: "eu-west-1", CABundle: filepath.Join(t.TempDir(), "none.pem")},
	} {
		_, err := awsSTS{newCalls()}.Reach(t.Context(), bad)
		if !errors.Is(err, &ipc.Error{Code: ipc.Code(name)}) {
			t.Errorf("Reach with %+v: %v, want code %s", bad, err, name)
		}
		_, err = awsSTS{newCalls()}.AssumeRole(t.Context(), bad, session, broker.AssumeRoleInput{})
		if !errors.Is(err, &ipc.Error{Code: ipc.Code(name)}) {
			t.Errorf("AssumeRole with %+v: %v, want code %s", bad, err, name)
		}
	}
}

func TestCodedNamesTheCure(t *testing.T) {
	err := coded(&awsapi.Error{Code: "config_broken", Message: "ca_bundle: none"})
	var e *ipc.Error
	if !errors.As(err, &e) || e.Code != ipc.CodeConfigBroken || !strings.Contains(e.Hint, "[aws]") {
		t.Errorf("error is %+v", err)
	}
	if coded(nil) != nil {
		t.Error("no error became one")
	}
}

func TestBootClockGoesOn(t *testing.T) {
	a := clock{}.Boot()
	if b := (clock{}).Boot(); a <= 0 || b < a {
		t.Errorf("boot clock went from %v to %v", a, b)
	}
}
