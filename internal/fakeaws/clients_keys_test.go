// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdkiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	sdksts "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// mfaSession is a session with MFA, by the machine's clock.
func (l live) mfaSession(name string) identity {
	l.t.Helper()
	code, err := l.Code(l.t.Context(), l.serial(name))
	if err != nil {
		l.t.Fatal(err)
	}
	out, err := l.sts(l.key(name)).GetSessionToken(l.t.Context(), &sdksts.GetSessionTokenInput{SerialNumber: aws.String(l.serial(name)), TokenCode: &code})
	if err != nil {
		l.t.Fatal(err)
	}
	return sdkIdentity(out.Credentials)
}

// A whole rotation by the AWS SDK, under the policy that forces MFA.
func TestGoSDKRotatesAKey(t *testing.T) {
	t.Parallel()
	l, ctx := newLive(t), t.Context()
	l.set("policy=force-mfa")
	name, old := aws.String("bob"), aws.String(l.key("bob").AccessKeyID)
	var refused smithy.APIError
	_, err := l.iam(l.key("bob")).CreateAccessKey(ctx, &sdkiam.CreateAccessKeyInput{UserName: name})
	if !errors.As(err, &refused) || refused.ErrorCode() != codeAccessDenied ||
		refused.ErrorMessage() != "User: arn:aws:iam::111122223333:user/dev/team/bob is not authorized to perform: iam:CreateAccessKey on resource: user bob with an explicit deny in an identity-based policy" {
		t.Fatalf("with the key alone: %v", err)
	}
	api := l.iam(l.mfaSession("bob"))
	made, err := api.CreateAccessKey(ctx, &sdkiam.CreateAccessKeyInput{UserName: name})
	if err != nil || made.AccessKey.Status != types.StatusTypeActive || time.Since(*made.AccessKey.CreateDate) > time.Minute || len(*made.AccessKey.SecretAccessKey) != 40 {
		t.Fatalf("CreateAccessKey: %+v, %v", made, err)
	}
	var limit *types.LimitExceededException
	if _, err := api.CreateAccessKey(ctx, &sdkiam.CreateAccessKeyInput{UserName: name}); !errors.As(err, &limit) || limit.ErrorMessage() != "Cannot exceed quota for AccessKeysPerUser: 2" {
		t.Errorf("a third key: %v", err)
	}
	fresh := identity{AccessKeyID: *made.AccessKey.AccessKeyId, SecretAccessKey: *made.AccessKey.SecretAccessKey}
	if _, err := l.sts(fresh).GetCallerIdentity(ctx, nil); err != nil {
		t.Errorf("the new key: %v", err)
	}
	if _, err := api.UpdateAccessKey(ctx, &sdkiam.UpdateAccessKeyInput{UserName: name, AccessKeyId: old, Status: types.StatusTypeInactive}); err != nil {
		t.Errorf("UpdateAccessKey: %v", err)
	}
	pages, seen := sdkiam.NewListAccessKeysPaginator(api, &sdkiam.ListAccessKeysInput{UserName: name, MaxItems: aws.Int32(1)}), ""
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil || len(page.AccessKeyMetadata) != 1 {
			t.Fatalf("ListAccessKeys: %+v, %v", page, err)
		}
		seen += *page.AccessKeyMetadata[0].AccessKeyId + " " + string(page.AccessKeyMetadata[0].Status) + "\n"
	}
	if want := *old + " Inactive\n" + fresh.AccessKeyID + " Active\n"; seen != want {
		t.Errorf("the keys are\n%swant\n%s", seen, want)
	}
	last, err := api.GetAccessKeyLastUsed(ctx, &sdkiam.GetAccessKeyLastUsedInput{AccessKeyId: &fresh.AccessKeyID})
	if u := last.AccessKeyLastUsed; err != nil || *last.UserName != "bob" || *u.ServiceName != "sts" || *u.Region != "eu-west-1" || u.LastUsedDate == nil {
		t.Errorf("GetAccessKeyLastUsed: %+v, %v", last, err)
	}
	if _, err := api.DeleteAccessKey(ctx, &sdkiam.DeleteAccessKeyInput{UserName: name, AccessKeyId: old}); err != nil {
		t.Errorf("DeleteAccessKey: %v", err)
	}
	var gone *types.NoSuchEntityException
	if _, err := api.DeleteAccessKey(ctx, &sdkiam.DeleteAccessKeyInput{UserName: name, AccessKeyId: old}); !errors.As(err, &gone) {
		t.Errorf("DeleteAccessKey again: %v", err)
	}
}

func TestGoSDKReadsPoliciesAndReports(t *testing.T) {
	t.Parallel()
	l, ctx := newLive(t), t.Context()
	api, name, policy := l.iam(l.key("ann")), aws.String("ann"), aws.String("Revoke")
	document := denySessions(time.Now().Add(-time.Hour))
	if _, err := api.PutUserPolicy(ctx, &sdkiam.PutUserPolicyInput{UserName: name, PolicyName: policy, PolicyDocument: &document}); err != nil {
		t.Fatal(err)
	}
	got, err := api.GetUserPolicy(ctx, &sdkiam.GetUserPolicyInput{UserName: name, PolicyName: policy})
	if err != nil {
		t.Fatal(err)
	}
	if text, err := url.PathUnescape(*got.PolicyDocument); err != nil || text != document {
		t.Errorf("GetUserPolicy: %s, %v", text, err)
	}
	if _, err := api.DeleteUserPolicy(ctx, &sdkiam.DeleteUserPolicyInput{UserName: name, PolicyName: policy}); err != nil {
		t.Errorf("DeleteUserPolicy: %v", err)
	}
	var malformed *types.MalformedPolicyDocumentException
	if _, err := api.PutUserPolicy(ctx, &sdkiam.PutUserPolicyInput{UserName: name, PolicyName: policy, PolicyDocument: aws.String("{}")}); !errors.As(err, &malformed) {
		t.Errorf("PutUserPolicy of {}: %v", err)
	}
	l.set("policy=quarantine")
	attached, err := api.ListAttachedUserPolicies(ctx, &sdkiam.ListAttachedUserPoliciesInput{UserName: name})
	if err != nil || len(attached.AttachedPolicies) != 2 || *attached.AttachedPolicies[0].PolicyArn != "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3" {
		t.Errorf("ListAttachedUserPolicies: %+v, %v", attached, err)
	}
	job, err := api.GenerateServiceLastAccessedDetails(ctx, &sdkiam.GenerateServiceLastAccessedDetailsInput{Arn: aws.String("arn:aws:iam::111122223333:user/ann")})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []types.JobStatusType{types.JobStatusTypeInProgress, types.JobStatusTypeCompleted} {
		report, err := api.GetServiceLastAccessedDetails(ctx, &sdkiam.GetServiceLastAccessedDetailsInput{JobId: job.JobId})
		if err != nil || report.JobStatus != want {
			t.Fatalf("GetServiceLastAccessedDetails: %+v, %v", report, err)
		}
		if done := want == types.JobStatusTypeCompleted; done && (len(report.ServicesLastAccessed) != 4 || report.ServicesLastAccessed[1].LastAuthenticated == nil) {
			t.Errorf("the report is %+v", report.ServicesLastAccessed)
		}
	}
}

func TestAWSCLIReadsKeysAndTrail(t *testing.T) {
	t.Parallel()
	l := newLive(t)
	c := newCLI(t, l.url)
	c.who = l.mfaSession("ann")
	old := l.key("ann").AccessKeyID
	must := func(want string, args ...string) string {
		t.Helper()
		out, err := c.run(args...)
		if err != nil || want != "*" && out != want {
			t.Errorf("%s: %v: %q, want %q", strings.Join(args[:2], " "), err, out, want)
		}
		return out
	}
	fresh := must("*", "iam", "create-access-key", "--user-name", "ann", "--query", "AccessKey.AccessKeyId")
	must(old+"\tActive\n"+fresh+"\tActive", "iam", "list-access-keys", "--user-name", "ann", "--page-size", "1", "--query", "AccessKeyMetadata[].[AccessKeyId,Status]")
	must("", "iam", "update-access-key", "--user-name", "ann", "--access-key-id", fresh, "--status", "Inactive")
	must("ann\tNone\tN/A\tN/A", "iam", "get-access-key-last-used", "--access-key-id", fresh,
		"--query", "[UserName,AccessKeyLastUsed.LastUsedDate,AccessKeyLastUsed.ServiceName,AccessKeyLastUsed.Region]")
	must("", "iam", "delete-access-key", "--user-name", "ann", "--access-key-id", fresh)
	must("", "iam", "put-user-policy", "--user-name", "bob", "--policy-name", "Revoke", "--policy-document", denySessions(time.Now()))
	must("Deny", "iam", "get-user-policy", "--user-name", "bob", "--policy-name", "Revoke", "--query", "PolicyDocument.Statement[0].Effect")
	l.set("policy=quarantine")
	must("AWSCompromisedKeyQuarantineV3\tAWSCompromisedKeyQuarantineV2", "iam", "list-attached-user-policies", "--user-name", "ann", "--query", "AttachedPolicies[].PolicyName")
	job := must("*", "iam", "generate-service-last-accessed-details", "--arn", "arn:aws:iam::111122223333:user/ann", "--query", "JobId")
	must("IN_PROGRESS", "iam", "get-service-last-accessed-details", "--job-id", job, "--query", "JobStatus")
	must("COMPLETED\tiam", "iam", "get-service-last-accessed-details", "--job-id", job, "--query", "[JobStatus,ServicesLastAccessed[1].ServiceNamespace]")

	if out, err := c.run("cloudtrail", "lookup-events"); err == nil || !strings.Contains(out, "(AccessDeniedException)") || !strings.Contains(out, "cloudtrail:LookupEvents with an explicit deny") {
		t.Errorf("lookup-events in quarantine: %v: %s", err, out)
	}
	l.set("policy=none", "last_used_lag=0s")
	session := "AttributeKey=AccessKeyId,AttributeValue=" + c.who.AccessKeyID
	must("CreateAccessKey\tann\tiam.amazonaws.com\tfalse", "cloudtrail", "lookup-events", "--lookup-attributes", session, "--start-time", "2020-01-01T00:00:00Z",
		"--query", "reverse(Events)[0].[EventName,Username,EventSource,ReadOnly]")
	out := must("*", "cloudtrail", "lookup-events", "--region", "eu-west-1", "--lookup-attributes", "AttributeKey=AccessKeyId,AttributeValue="+old, "--max-results", "1", "--query", "Events[0].CloudTrailEvent")
	var record struct{ EventName, AWSRegion string }
	if err := json.Unmarshal([]byte(out), &record); err != nil || record.EventName != "GetSessionToken" || record.AWSRegion != "eu-west-1" {
		t.Errorf("the record is %s, %v", out, err)
	}
}
