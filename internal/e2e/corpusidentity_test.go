// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"credbroker/internal/testcorpus"
)

// identities sees that every client comes to what is wanted of every served
// profile. The AWS CLI answers for each of them inside a server, which forks; for
// one of every corpusPrograms sets it is a program of its own as well.
func (r *corpusRig) identities(t *testing.T, c testcorpus.Case, i int) {
	t.Helper()
	served := c.Served()
	if len(served) == 0 {
		return
	}
	r.check(t, c, "aws-sdk-go-v2", r.golang.ask(t, question{Op: "sdk", Endpoint: r.account.Endpoint, Region: regionOf(c.Partition), Profiles: names(served)}).Identities)
	for n, python := range r.pythons {
		if !python.boto3 && i%len(r.pythons) != n {
			continue // its turn comes
		}
		got := python.ask(t, question{Op: "sdk", Endpoint: r.account.Endpoint, Region: regionOf(c.Partition), Profiles: names(served)})
		if got.Error != "" {
			t.Errorf("%s: %s", python.name, got.Error)
		}
		r.check(t, c, python.name, got.Identities)
	}
	r.cliInside(t, c, i)
	if i%corpusPrograms == 0 {
		one := served[i%len(served)]
		arn, program := r.cli(one.Profile, "AWS_DEFAULT_REGION="+regionOf(c.Partition), "AWS_USE_FIPS_ENDPOINT=false", "AWS_USE_DUALSTACK_ENDPOINT=false", "AWS_PAGER=")
		r.check(t, c, "aws", []identity{{Profile: one.Profile, ARN: arn, AccessKeyID: "ASIA", Error: program.stderr}})
	}
}

// regionOf returns a Region of a partition, for profiles that have none.
func regionOf(partition string) string {
	switch partition {
	case "aws-cn":
		return "cn-north-1"
	case "aws-us-gov":
		return "us-gov-west-1"
	}
	return "us-east-1"
}

// cliInside asks the AWS CLI inside a server for every served profile. Where
// several are installed, the sets take turns.
func (r *corpusRig) cliInside(t *testing.T, c testcorpus.Case, i int) {
	t.Helper()
	with := slices.DeleteFunc(slices.Clone(r.pythons), func(c *client) bool { return !c.cli })
	if len(with) == 0 {
		return
	}
	python := with[i%len(with)]
	q := question{Op: "cli", Env: map[string]string{"AWS_DEFAULT_REGION": regionOf(c.Partition)}}
	for _, w := range c.Served() {
		q.Commands = append(q.Commands, []string{"sts", "get-caller-identity", "--output", "json", "--endpoint-url", r.account.Endpoint, "--profile", w.Profile})
	}
	got := python.ask(t, q)
	if got.Error != "" {
		t.Fatalf("aws inside %s: %s", python.name, got.Error)
	}
	var all []identity
	for n, result := range got.Results {
		id := identity{Profile: c.Served()[n].Profile, AccessKeyID: "ASIA", Error: result.Stderr}
		var out struct{ Arn string }
		if err := json.Unmarshal([]byte(result.Stdout), &out); err == nil {
			id.ARN = out.Arn
		}
		all = append(all, id)
	}
	r.check(t, c, "aws inside "+python.name, all)
}

// check compares what a client came to with what is wanted.
func (r *corpusRig) check(t *testing.T, c testcorpus.Case, client string, got []identity) {
	t.Helper()
	served := c.Served()
	byName := map[string]testcorpus.Want{}
	for _, w := range served {
		byName[w.Profile] = w
	}
	if len(got) == 0 {
		t.Errorf("%s answered for no profile", client)
	}
	for _, id := range got {
		w := byName[id.Profile]
		if !w.Matches(id.ARN) || !strings.HasPrefix(id.ARN, "arn:"+c.Partition+":") || !strings.HasPrefix(id.AccessKeyID, "ASIA") {
			t.Errorf("%s as profile %s is %q by key %q, want %s of %s; it says %q", client, id.Profile, id.ARN, id.AccessKeyID, w.Resource, w.Account, id.Error)
		}
	}
}

// alone sees that the expectations do not come from how broker reads the files:
// with the stored keys as static ones, botocore has the same identities by the
// files as they were.
func (r *corpusRig) alone(t *testing.T, c testcorpus.Case) {
	t.Helper()
	served := slices.DeleteFunc(c.Served(), func(w testcorpus.Want) bool { return !w.Alone })
	if len(served) == 0 || len(r.pythons) == 0 {
		return
	}
	path := filepath.Join(r.dir, "with-keys")
	credentials, _ := c.Data("credentials", r.home, "")
	text := string(credentials) + "\n"
	for _, k := range testcorpus.Vault() {
		if !strings.Contains(text, "["+k.Profile+"]") {
			key := r.user(k.User).AccessKeys[0]
			text += "[" + k.Profile + "]\naws_access_key_id = " + key.AccessKeyID + "\naws_secret_access_key = " + key.SecretAccessKey + "\n"
		}
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got := r.pythons[0].ask(t, question{
		Op: "sdk", Profiles: names(served), Endpoint: r.account.Endpoint,
		Region: regionOf(c.Partition),
		Env:    map[string]string{"AWS_SHARED_CREDENTIALS_FILE": path, "AWS_ENDPOINT_URL_STS": r.account.Endpoint},
	})
	if len(got.Identities) != len(served) {
		t.Fatalf("botocore alone: %s", got.Error)
	}
	for n, id := range got.Identities {
		if !served[n].Matches(id.ARN) {
			t.Errorf("botocore alone is as profile %s %q, the set wants %s of %s; it says %q", id.Profile, id.ARN, served[n].Resource, served[n].Account, id.Error)
		}
	}
}
