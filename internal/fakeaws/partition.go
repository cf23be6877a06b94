// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"maps"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// DefaultPartition is the partition when Options name none.
const DefaultPartition = "aws"

// partition is a part of AWS with accounts, Regions and endpoints of its own.
type partition struct {
	name string
	sts  []string // the Regions that its endpoints of STS and CloudTrail are in
	iam  string   // the Region that its one IAM endpoint signs for
}

// partitionNamed returns the partition of that name.
func partitionNamed(name string) (partition, bool) {
	p, ok := partitions[name]
	p.name = name
	return p, ok
}

func partitionNames() string { return strings.Join(slices.Sorted(maps.Keys(partitions)), ", ") }

// partitions are those that clients know.
// https://docs.aws.amazon.com/general/latest/gr/sts.html
var partitions = map[string]partition{
	"aws": {iam: "us-east-1", sts: []string{
		"af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3",
		"ap-south-1", "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4",
		"ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1", "eu-central-1", "eu-central-2",
		"eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "il-central-1",
		"me-central-1", "me-south-1", "mx-central-1", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
	}},
	"aws-cn":     {iam: "cn-north-1", sts: []string{"cn-north-1", "cn-northwest-1"}},
	"aws-us-gov": {iam: "us-gov-west-1", sts: []string{"us-gov-east-1", "us-gov-west-1"}},
	"aws-iso":    {iam: "us-iso-east-1", sts: []string{"us-iso-east-1", "us-iso-west-1"}},
	"aws-iso-b":  {iam: "us-isob-east-1", sts: []string{"us-isob-east-1"}},
	"aws-iso-e":  {iam: "eu-isoe-west-1", sts: []string{"eu-isoe-west-1"}},
	"aws-iso-f":  {iam: "us-isof-south-1", sts: []string{"us-isof-east-1", "us-isof-south-1"}},
	"aws-eusc":   {iam: "eusc-de-east-1", sts: []string{"eusc-de-east-1"}},
}

// regions returns the Regions that a request to a service may be signed for.
func (p partition) regions(svc service) []string {
	if svc.name == iam.name {
		return []string{p.iam}
	}
	return p.sts
}

// regionalHost takes the Region out of the name of a regional endpoint.
var regionalHost = regexp.MustCompile(`^(?:sts|cloudtrail)(?:-fips)?\.([a-z]+(?:-[a-z]+)+-\d)\.`)

// checkHost refuses a request that has come by one of AWS's own names and is
// not what that endpoint takes: of another service, signed for another Region,
// or at an endpoint of another partition, which does not know the key. Loopback
// stands for all endpoints.
func (p partition) checkHost(r *http.Request, svc service, region string) *apiError {
	host, _, _ := strings.Cut(r.Host, ":")
	if addr, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil && addr.IsLoopback() || host == "localhost" || strings.HasPrefix(r.Host, "[") {
		return nil
	}
	if label, _, _ := strings.Cut(host, "."); strings.TrimSuffix(label, "-fips") != svc.name {
		return refusef(codeSignature, "Credential should be scoped to correct service: '%s'. ", svc.name)
	}
	at := p.iam
	if svc.name != iam.name {
		at = ""
		if svc.name == sts.name {
			at = "us-east-1" // sts.amazonaws.com
		}
		if m := regionalHost.FindStringSubmatch(host); m != nil {
			at = m[1]
		}
	}
	switch {
	case !slices.Contains(p.regions(svc), at):
		return refusal(codeInvalidToken)
	case region != at:
		return refusef(codeSignature, "Credential should be scoped to a valid region, not '%s'. ", region)
	}
	return nil
}

// partitionOf returns the partition of an ARN.
func partitionOf(arn string) string {
	_, rest, _ := strings.Cut(arn, ":")
	name, _, _ := strings.Cut(rest, ":")
	return name
}
