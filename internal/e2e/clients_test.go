// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// aws returns the AWS CLI, which make test installs.
func aws(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("aws")
	if err != nil {
		t.Fatal("the AWS CLI is not installed: run make test, which installs it or says how")
	}
	return path
}

// cli runs `aws sts get-caller-identity` in a world and returns the ARN.
func (w *world) cli(profile string, env ...string) (arn string, r result) {
	w.t.Helper()
	args := []string{"sts", "get-caller-identity", "--output", "json", "--endpoint-url", w.account.Endpoint}
	if profile != "" {
		args = append(args, "--profile", profile)
	}
	cmd := w.command(aws(w.t), args...)
	cmd.Env = append(cmd.Env, env...)
	r = w.finish(cmd)
	var out struct{ Arn string }
	if r.status == 0 {
		if err := json.Unmarshal([]byte(r.stdout), &out); err != nil {
			w.t.Fatal(err)
		}
	}
	return out.Arn, r
}

// goClient runs a program on aws-sdk-go-v2 that asks who it is as each profile.
func (w *world) goClient(profiles string, prefix ...string) []seen {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	argv := append(prefix, self)
	cmd := w.command(argv[0], argv[1:]...)
	cmd.Env = append(cmd.Env, sdkClientMark+"="+profiles,
		"AWS_ENDPOINT_URL="+w.account.Endpoint, "AWS_ENDPOINT_URL_STS="+w.account.Endpoint)
	r := w.must(w.finish(cmd))
	var all []seen
	dec := json.NewDecoder(strings.NewReader(r.stdout))
	for dec.More() {
		var s seen
		if err := dec.Decode(&s); err != nil {
			w.t.Fatalf("%v in %q", err, r.stdout)
		}
		all = append(all, s)
	}
	return all
}

// TestRealClientsThroughCredentialProcess: the AWS CLI and a Go program use
// the profile as their own documentation says.
func TestRealClientsThroughCredentialProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	w.prime("dev")
	const want = ":user/ann"
	arn, r := w.cli("dev")
	if !strings.HasSuffix(arn, want) {
		t.Errorf("aws: ARN %q, want %s; stderr %q", arn, want, r.stderr)
	}
	for _, s := range w.goClient("dev") {
		if !strings.HasSuffix(s.ARN, want) || !strings.HasPrefix(s.AccessKeyID, "ASIA") || s.Region != "eu-west-1" {
			t.Errorf("Go SDK: %+v", s)
		}
	}
	if calls := w.log("GetSessionToken"); len(calls) != 1 {
		t.Errorf("%d GetSessionToken calls, want 1", len(calls))
	}
}

// TestTwoProfilesInsideOneExec: a program under exec reaches its own profile
// by default and every other served profile by name.
func TestTwoProfilesInsideOneExec(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.initialise()
	w.add("dev", "ann", "--no-mfa")
	w.add("ops", "bob", "--no-mfa")
	// Nothing in the user's files sends the profiles to broker.
	w.awsConfig("# mine\n[profile dev]\nregion = eu-west-1\n\n[profile ops]\nregion = eu-central-1\n")
	broker := filepath.Join(w.bin, "broker")
	got := w.goClient("-,dev,ops", broker, "exec", "dev", "--")
	want := []struct{ arn, region string }{{"user/ann", "eu-west-1"}, {"user/ann", "eu-west-1"}, {"user/dev/team/bob", "eu-central-1"}}
	if len(got) != len(want) {
		t.Fatalf("got %+v", got)
	}
	for i, s := range got {
		if !strings.HasSuffix(s.ARN, want[i].arn) || s.Region != want[i].region || !strings.HasPrefix(s.AccessKeyID, "ASIA") {
			t.Errorf("%s: got %+v, want %+v", s.Profile, s, want[i])
		}
	}
	for _, profile := range []string{"dev", "ops"} {
		r := w.must(w.run("broker", "exec", "dev", "--", aws(t), "sts", "get-caller-identity",
			"--profile", profile, "--endpoint-url", w.account.Endpoint, "--output", "text", "--query", "Arn"))
		if !strings.Contains(r.stdout, ":user/") {
			t.Errorf("aws as %s under exec printed %q", profile, r.stdout)
		}
	}
}

// TestStaticKeysNeverReachAChild: where ~/.aws/credentials still holds P's key
// it would outrank the helper, so exec refuses instead of letting an AKIA out.
func TestStaticKeysNeverReachAChild(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	w.prime("dev")
	key := w.user("ann").AccessKeys[0]
	overwrite(t, filepath.Join(w.home, ".aws", "credentials"),
		"[dev]\naws_access_key_id = "+key.AccessKeyID+"\naws_secret_access_key = "+key.SecretAccessKey+"\n")
	r := w.run("broker", "exec", "dev", "--", "/bin/sh", "-c", "echo the child ran")
	if r.status != 125 || r.stdout != "" || !strings.Contains(r.stderr, "credentials") {
		t.Errorf("exec: status %d, stdout %q, stderr %q; want 125, nothing and a line that names the file", r.status, r.stdout, r.stderr)
	}
	if strings.Contains(r.stderr, key.SecretAccessKey) {
		t.Error("the refusal prints the secret")
	}
}

// TestExecRemovesCompetingVariables: keys in the caller's environment never
// reach the child.
func TestExecRemovesCompetingVariables(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready()
	w.prime("dev")
	cmd := w.command("broker", "exec", "dev", "--", "/usr/bin/env")
	cmd.Env = append(cmd.Env, "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=sssssssssssssssssssssssssssssssssssssssss",
		"AWS_SESSION_TOKEN=ttt", "AWS_DEFAULT_PROFILE=other", "AWS_WEB_IDENTITY_TOKEN_FILE=/x", "AWS_ROLE_ARN=arn:aws:iam::1:role/x",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:1/")
	r := w.must(w.finish(cmd))
	for _, bad := range []string{"AKIA", "sssss", "ttt", "AWS_DEFAULT_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_CONTAINER_CREDENTIALS"} {
		if strings.Contains(r.stdout, bad) {
			t.Errorf("the child's environment holds %s:\n%s", bad, r.stdout)
		}
	}
	for _, want := range []string{"AWS_PROFILE=dev\n", "AWS_SDK_LOAD_CONFIG=1\n", "AWS_VAULT=dev\n"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("the child's environment lacks %s", want)
		}
	}
}

// TestNestedExec: exec inside exec reaches the inner profile, and its child
// can still name the outer one.
func TestNestedExec(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.initialise()
	w.add("dev", "ann", "--no-mfa")
	w.add("ops", "bob", "--no-mfa")
	w.awsConfig("[profile dev]\nregion = eu-west-1\n[profile ops]\nregion = eu-central-1\n")
	broker := filepath.Join(w.bin, "broker")
	got := w.goClient("-,dev", broker, "exec", "dev", "--", broker, "exec", "ops", "--")
	if len(got) != 2 || !strings.HasSuffix(got[0].ARN, "bob") || !strings.HasSuffix(got[1].ARN, "ann") {
		t.Errorf("inside exec dev, exec ops: %+v", got)
	}
}
