// SPDX-License-Identifier: Apache-2.0

package awsapi

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// sent is where a request went, and what it was signed for.
type sent struct{ host, region string }

// requestsOf returns the hosts and signing Regions of one STS and one IAM call.
func requestsOf(t *testing.T, o Options) (stsCall, iamCall sent) {
	t.Helper()
	c := mustNew(t, o)
	var last sent
	c.http.client.Transport = wire(func(r *http.Request) {
		last.host = r.URL.Host
		if scope := strings.Split(r.Header.Get("Authorization"), "/"); len(scope) > 2 {
			last.region = scope[2]
		}
	})
	_, err := mint(t.Context(), c)
	wantError(t, err, codeUnreachable)
	stsCall = last
	_, err = c.LongLived(testKeys).ListMFADevices(t.Context(), "ann")
	wantError(t, err, codeUnreachable)
	return stsCall, last
}

// TestEveryPartitionAsTheSDKHasIt holds every partition, FIPS and dual-stack
// included, against the endpoint rules of the SDK, and the Region that IAM is
// signed for against ours.
func TestEveryPartitionAsTheSDKHasIt(t *testing.T) {
	regions := map[string]string{"aws": "eu-west-1"}
	for _, p := range partitions {
		regions[p.name] = p.home
	}
	for partition, region := range regions {
		for _, variant := range []struct{ fips, dual bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
			o := testOptions("")
			// The Region of a profile that was written for another partition.
			o.Region, o.Partition, o.UseFIPS, o.UseDualStack = region, partition, variant.fips, variant.dual
			if variant.fips && noFIPS(partition) {
				_, err := New(o)
				e := wantError(t, err, codeProfile)
				if !strings.Contains(e.Message, partition) || !strings.Contains(e.Hint(), "use_fips_endpoint") {
					t.Errorf("%s with FIPS: %q, hint %q", partition, e.Message, e.Hint())
				}
				continue
			}
			gotSTS, gotIAM := requestsOf(t, o)
			s, err := sts.NewDefaultEndpointResolverV2().ResolveEndpoint(t.Context(), sts.EndpointParameters{
				Region: &region, UseFIPS: &variant.fips, UseDualStack: &variant.dual,
			})
			if err != nil {
				t.Fatal(err)
			}
			i, err := iam.NewDefaultEndpointResolverV2().ResolveEndpoint(t.Context(), iam.EndpointParameters{
				Region: &region, UseFIPS: &variant.fips, UseDualStack: &variant.dual,
			})
			if err != nil {
				t.Fatal(err)
			}
			if want := (sent{s.URI.Host, region}); gotSTS != want {
				t.Errorf("%s %+v: STS is asked at %v, want %v", partition, variant, gotSTS, want)
			}
			if want := (sent{i.URI.Host, homeOf(partition)}); gotIAM != want {
				t.Errorf("%s %+v: IAM is asked at %v, want %v", partition, variant, gotIAM, want)
			}
		}
	}
}

// TestEndpointVariants says in figures what FIPS and dual-stack lead to, so
// that an update of the SDK cannot change it unseen.
func TestEndpointVariants(t *testing.T) {
	tests := []struct {
		region     string
		fips, dual bool
		sts, iam   string
	}{
		{"us-east-1", true, false, "sts-fips.us-east-1.amazonaws.com", "iam-fips.amazonaws.com"},
		{"us-east-1", true, true, "sts-fips.us-east-1.api.aws", "iam-fips.global.api.aws"},
		{"us-gov-west-1", true, false, "sts.us-gov-west-1.amazonaws.com", "iam.us-gov.amazonaws.com"},
		{"us-gov-east-1", false, true, "sts.us-gov-east-1.api.aws", "iam.us-gov.api.aws"},
		{"us-gov-east-1", true, true, "sts-fips.us-gov-east-1.api.aws", "iam.us-gov.api.aws"},
		{"cn-north-1", false, true, "sts.cn-north-1.api.amazonwebservices.com.cn", "iam.global.api.amazonwebservices.com.cn"},
		{"eusc-de-east-1", false, true, "sts.eusc-de-east-1.api.amazonwebservices.eu", "iam.global.api.amazonwebservices.eu"},
		{"us-iso-east-1", false, true, "sts.us-iso-east-1.api.aws.ic.gov", "iam.api.aws.ic.gov"},
	}
	for _, test := range tests {
		o := testOptions("")
		o.Region, o.UseFIPS, o.UseDualStack = test.region, test.fips, test.dual
		gotSTS, gotIAM := requestsOf(t, o)
		if gotSTS.host != test.sts || gotIAM.host != test.iam {
			t.Errorf("%s fips %t dual %t: %s and %s, want %s and %s", test.region, test.fips, test.dual, gotSTS.host, gotIAM.host, test.sts, test.iam)
		}
	}
}

// TestFIPSDoesNotApplyToOwnEndpoints: who names an endpoint has chosen.
func TestFIPSDoesNotApplyToOwnEndpoints(t *testing.T) {
	o := testOptions(closedPort(t))
	o.Region, o.UseFIPS, o.UseDualStack = "cn-north-1", true, true
	c := mustNew(t, o)
	if got := aws.ToString(c.sts.BaseEndpoint); got != o.STSEndpointURL {
		t.Errorf("STS is asked at %q, want %q", got, o.STSEndpointURL)
	}
}
