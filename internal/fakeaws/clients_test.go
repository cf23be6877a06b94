// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdkiam "github.com/aws/aws-sdk-go-v2/service/iam"
	sdksts "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"
)

// live is a Server on a socket, by the machine's clock.
type live struct {
	*rig
	url string
}

func newLive(t *testing.T) live {
	t.Helper()
	s, err := New(Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Set("totp_step=1s"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return live{&rig{Server: s, t: t, clock: &testClock{}}, server.URL}
}

func (l live) sts(who identity) *sdksts.Client {
	return sdksts.New(sdksts.Options{
		Region: "eu-west-1", BaseEndpoint: &l.url, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(who.AccessKeyID, who.SecretAccessKey, who.SessionToken),
	})
}

func (l live) iam(who identity) *sdkiam.Client {
	return sdkiam.New(sdkiam.Options{
		Region: "us-east-1", BaseEndpoint: &l.url, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(who.AccessKeyID, who.SecretAccessKey, who.SessionToken),
	})
}

func TestGoSDKSignsWhatIsAccepted(t *testing.T) {
	t.Parallel()
	l, ctx := newLive(t), t.Context()
	id, err := l.sts(l.key("bob")).GetCallerIdentity(ctx, nil)
	if err != nil || aws.ToString(id.Arn) != "arn:aws:iam::111122223333:user/dev/team/bob" || aws.ToString(id.Account) != "111122223333" {
		t.Fatalf("GetCallerIdentity: %+v, %v", id, err)
	}
	devices, err := l.iam(l.key("bob")).ListMFADevices(ctx, &sdkiam.ListMFADevicesInput{})
	if err != nil || len(devices.MFADevices) != 2 || aws.ToTime(devices.MFADevices[0].EnableDate).IsZero() {
		t.Fatalf("ListMFADevices: %+v, %v", devices, err)
	}
	serial := devices.MFADevices[1].SerialNumber
	code, err := l.Code(ctx, *serial)
	if err != nil {
		t.Fatal(err)
	}
	session, err := l.sts(l.key("bob")).GetSessionToken(ctx, &sdksts.GetSessionTokenInput{SerialNumber: serial, TokenCode: &code, DurationSeconds: aws.Int32(900)})
	if err != nil {
		t.Fatal(err)
	}
	who := sdkIdentity(session.Credentials)
	user, err := l.iam(who).GetUser(ctx, &sdkiam.GetUserInput{UserName: aws.String("bob")})
	if err != nil || aws.ToString(user.User.Path) != "/dev/team/" {
		t.Fatalf("GetUser: %+v, %v", user, err)
	}
	role, err := l.sts(who).AssumeRole(ctx, &sdksts.AssumeRoleInput{
		RoleArn: aws.String(roleARN("dev-long")), RoleSessionName: aws.String("bob@work"), DurationSeconds: aws.Int32(43200),
		Policy: aws.String(`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`), SourceIdentity: aws.String("bob"),
		Tags: []types.Tag{{Key: aws.String("Team"), Value: aws.String("blau grün")}}, TransitiveTagKeys: []string{"Team"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if life := time.Until(*role.Credentials.Expiration); life < 11*time.Hour {
		t.Errorf("a life of %s", life)
	}
	id, err = l.sts(sdkIdentity(role.Credentials)).GetCallerIdentity(ctx, nil)
	if err != nil || aws.ToString(id.Arn) != "arn:aws:sts::111122223333:assumed-role/dev-long/bob@work" {
		t.Fatalf("GetCallerIdentity: %+v, %v", id, err)
	}
	if e := l.Log()[len(l.Log())-2]; e.Tags["Team"] != "blau grün" {
		t.Errorf("the tag arrived as %v", e.Tags)
	}
}

func sdkIdentity(c *types.Credentials) identity {
	return identity{AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken}
}

func TestGoSDKReadsErrors(t *testing.T) {
	t.Parallel()
	l := newLive(t)
	_, err := l.sts(l.key("ann")).GetSessionToken(t.Context(), &sdksts.GetSessionTokenInput{SerialNumber: aws.String(l.serial("ann")), TokenCode: aws.String("000000")})
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != codeAccessDenied || api.ErrorMessage() != textMFACode {
		t.Errorf("a wrong code: %v", err)
	}
	_, err = l.iam(l.key("ann")).GetUser(t.Context(), &sdkiam.GetUserInput{UserName: aws.String("nobody")})
	if !errors.As(err, &api) || api.ErrorCode() != codeNoSuchEntity {
		t.Errorf("an unknown user: %v", err)
	}
}

// cli runs the AWS CLI, of either version, with nothing of ours around it.
type cli struct {
	t    *testing.T
	path string
	home string
	url  string
	who  identity
	more []string // of the environment
}

func newCLI(t *testing.T, url string) cli {
	t.Helper()
	path, err := exec.LookPath("aws")
	if err != nil {
		t.Fatal("the AWS CLI is not installed: run make test, which installs it or says how")
	}
	return cli{t: t, path: path, home: t.TempDir(), url: url}
}

func (c cli) run(args ...string) (string, error) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), c.path, append(args, "--endpoint-url", c.url, "--output", "text")...)
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + c.home, "LANG=C.UTF-8", "AWS_DEFAULT_REGION=us-east-1", "AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1",
		"AWS_ACCESS_KEY_ID=" + c.who.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + c.who.SecretAccessKey,
	}, c.more...)
	if c.who.SessionToken != "" {
		cmd.Env = append(cmd.Env, "AWS_SESSION_TOKEN="+c.who.SessionToken)
	}
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func TestAWSCLISignsWhatIsAccepted(t *testing.T) {
	t.Parallel()
	l := newLive(t)
	c := newCLI(t, l.url)
	c.who = l.key("ann")
	serial := l.serial("ann")
	if out, err := c.run("iam", "list-mfa-devices", "--query", "MFADevices[].SerialNumber"); err != nil || out != serial {
		t.Errorf("list-mfa-devices: %v: %s", err, out)
	}
	l.set("totp_step=30s")
	code, err := l.Code(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	mfa := []string{"sts", "get-session-token", "--serial-number", serial, "--token-code", code, "--query", "Credentials.[AccessKeyId,SecretAccessKey,SessionToken]"}
	out, err := c.run(mfa...)
	words := strings.Fields(out)
	if err != nil || len(words) != 3 {
		t.Fatalf("get-session-token: %v: %s", err, out)
	}
	// Version 2 puts its count of retries before the colon.
	out, err = c.run(mfa...)
	if err == nil || !strings.Contains(out, "An error occurred (AccessDenied) when calling the GetSessionToken operation") || !strings.Contains(out, ": "+textMFACode[:50]) {
		t.Errorf("a used code: %v: %s", err, out)
	}
	c.who = identity{AccessKeyID: words[0], SecretAccessKey: words[1], SessionToken: words[2]}
	if out, err := c.run("iam", "get-user", "--user-name", "bob", "--query", "User.Arn"); err != nil || out != "arn:aws:iam::111122223333:user/dev/team/bob" {
		t.Errorf("get-user: %v: %s", err, out)
	}
	out, err = c.run("sts", "assume-role", "--role-arn", roleARN("audit"), "--role-session-name", "ann", "--tags", "Key=Team,Value=a b", "--query", "AssumedRoleUser.Arn")
	if err != nil || out != "arn:aws:sts::444455556666:assumed-role/audit/ann" {
		t.Errorf("assume-role: %v: %s", err, out)
	}
}

func TestAWSCLITrustsTheAuthority(t *testing.T) {
	t.Parallel()
	s, err := New(Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	config, authority, err := NewTLS(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(s)
	server.Listener = tls.NewListener(server.Listener, config)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // one client is meant to hang up
	server.Start()
	defer server.Close()
	url := strings.Replace(server.URL, "http://", "https://", 1)

	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		t.Fatal("the authority is no PEM")
	}
	client := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for _, u := range []string{url, strings.Replace(url, "127.0.0.1", "localhost", 1)} {
		resp, err := client.Get(u)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusFound {
			t.Errorf("%s: %s", u, resp.Status)
		}
	}

	c := newCLI(t, url)
	c.who = (&rig{Server: s, t: t}).key("ann")
	file := filepath.Join(c.home, "ca.pem")
	if err := os.WriteFile(file, authority, 0o600); err != nil {
		t.Fatal(err)
	}
	c.more = []string{"AWS_CA_BUNDLE=" + file}
	if out, err := c.run("sts", "get-caller-identity", "--query", "Arn"); err != nil || out != "arn:aws:iam::111122223333:user/ann" {
		t.Errorf("with the authority: %v: %s", err, out)
	}
	c.more = nil
	if out, err := c.run("sts", "get-caller-identity"); err == nil {
		t.Errorf("without the authority: %s", out)
	}
}
