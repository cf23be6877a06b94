// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestPartitionsOfTheAccount(t *testing.T) {
	t.Parallel()
	for name := range partitions {
		s, err := New(Options{Now: time.Now, Partition: name})
		if err != nil {
			t.Fatal(err)
		}
		prefix := "arn:" + name + ":iam::"
		for _, u := range s.Users() {
			if !strings.HasPrefix(u.ARN, prefix) {
				t.Errorf("%s: user %s", name, u.ARN)
			}
			for _, d := range u.Devices {
				if !strings.HasPrefix(d.SerialNumber, prefix) {
					t.Errorf("%s: device %s", name, d.SerialNumber)
				}
			}
		}
		for _, r := range s.Roles() {
			if !strings.HasPrefix(r.ARN, prefix) || !strings.HasPrefix(r.Trusts, prefix) || !strings.HasPrefix(assumedRoleARN(&r, "x"), "arn:"+name+":sts::") {
				t.Errorf("%s: role %s trusts %s", name, r.ARN, r.Trusts)
			}
		}
	}
	if _, err := New(Options{Now: time.Now, Partition: "aws-mars"}); err == nil || !strings.Contains(err.Error(), "aws-us-gov") {
		t.Errorf("a partition that is not there: %v", err)
	}
}

// TestEndpointsTakeTheirOwn: by a name of AWS comes only what that endpoint of
// AWS takes.
func TestEndpointsTakeTheirOwn(t *testing.T) {
	t.Parallel()
	tests := []struct {
		partition, host string
		svc             service
		region          string
		want            string // code; empty = taken
	}{
		{"aws", "127.0.0.1:8080", sts, "eu-west-1", ""},
		{"aws", "[::1]:8080", iam, "us-east-1", ""},
		{"aws", "localhost", sts, "us-east-1", ""},
		{"aws", "sts.eu-west-1.amazonaws.com", sts, "eu-west-1", ""},
		{"aws", "sts.eu-west-1.amazonaws.com:443", sts, "us-east-1", codeSignature},
		{"aws", "sts.amazonaws.com", sts, "us-east-1", ""},
		{"aws", "sts-fips.us-east-1.amazonaws.com", sts, "us-east-1", ""},
		{"aws", "sts.us-east-1.api.aws", sts, "us-east-1", ""},
		{"aws", "iam.amazonaws.com", iam, "us-east-1", ""},
		{"aws", "iam.amazonaws.com", sts, "us-east-1", codeSignature},
		{"aws", "iam.amazonaws.com", iam, "eu-west-1", codeSignature},
		{"aws", "sts.cn-north-1.amazonaws.com.cn", sts, "cn-north-1", codeInvalidToken},
		{"aws-cn", "sts.cn-north-1.amazonaws.com.cn", sts, "cn-north-1", ""},
		{"aws-cn", "sts.us-east-1.amazonaws.com", sts, "us-east-1", codeInvalidToken},
		{"aws-cn", "sts.amazonaws.com", sts, "us-east-1", codeInvalidToken},
		{"aws-cn", "iam.cn-north-1.amazonaws.com.cn", iam, "cn-north-1", ""},
		{"aws-us-gov", "sts.us-gov-east-1.amazonaws.com", sts, "us-gov-east-1", ""},
		{"aws-us-gov", "iam.us-gov.amazonaws.com", iam, "us-gov-west-1", ""},
		{"aws-us-gov", "iam.us-gov.amazonaws.com", iam, "us-gov-east-1", codeSignature},
		{"aws", "cloudtrail.eu-west-1.amazonaws.com", cloudtrail, "eu-west-1", ""},
		{"aws", "cloudtrail.eu-west-1.amazonaws.com", cloudtrail, "us-east-1", codeSignature},
		{"aws", "cloudtrail.amazonaws.com", cloudtrail, "us-east-1", codeInvalidToken},
		{"aws-cn", "cloudtrail.cn-northwest-1.amazonaws.com.cn", cloudtrail, "cn-northwest-1", ""},
		{"aws", "sts.eu-west-1.amazonaws.com", cloudtrail, "eu-west-1", codeSignature},
		{"aws", "example.com", sts, "us-east-1", codeSignature},
	}
	for _, test := range tests {
		p, ok := partitionNamed(test.partition)
		if !ok {
			t.Fatal(test.partition)
		}
		r := httptest.NewRequest("POST", "http://"+test.host+"/", nil)
		code := ""
		if refused := p.checkHost(r, test.svc, test.region); refused != nil {
			code = refused.code
		}
		if code != test.want {
			t.Errorf("%s: %s at %s, signed for %s: %q, want %q", test.partition, test.svc.name, test.host, test.region, code, test.want)
		}
	}
}
