// SPDX-License-Identifier: Apache-2.0

package awsapi

import "strings"

// partitions lists every partition but aws, by the prefix of its Regions, with
// the Region that its IAM endpoint signs for, and whether AWS has FIPS endpoints
// of STS and IAM there. The SDK's rules make up a name for each combination, of
// which many do not exist.
// https://docs.aws.amazon.com/general/latest/gr/iam-service.html
// https://aws.amazon.com/compliance/fips/
var partitions = []struct {
	name, prefix, home string
	fips               bool
}{
	{"aws-cn", "cn-", "cn-north-1", false},
	{"aws-us-gov", "us-gov-", "us-gov-west-1", true},
	{"aws-iso", "us-iso-", "us-iso-east-1", false},
	{"aws-iso-b", "us-isob-", "us-isob-east-1", false},
	{"aws-iso-e", "eu-isoe-", "eu-isoe-west-1", false},
	{"aws-iso-f", "us-isof-", "us-isof-south-1", false},
	{"aws-eusc", "eusc-", "eusc-de-east-1", false},
}

// partitionOf returns the partition that a Region is part of.
func partitionOf(region string) string {
	for _, p := range partitions {
		if strings.HasPrefix(region, p.prefix) {
			return p.name
		}
	}
	return "aws"
}

// noFIPS reports whether a partition is known to have no FIPS endpoints.
func noFIPS(partition string) bool {
	for _, p := range partitions {
		if p.name == partition {
			return !p.fips
		}
	}
	return false
}

// checkFIPS refuses FIPS where it cannot be, before anybody waits for a host
// that is not there.
func checkFIPS(o Options, region string) error {
	partition := partitionOf(region)
	if !o.UseFIPS || o.STSEndpointURL != "" || !noFIPS(partition) {
		return nil
	}
	return &Error{
		Code: codeProfile, Message: "use_fips_endpoint: AWS has no FIPS endpoint of STS in partition " + partition,
		hint: "remove use_fips_endpoint from the profile",
	}
}

// homeOf returns the Region that IAM of a partition signs for, or "" for a
// partition that is not known.
func homeOf(partition string) string {
	for _, p := range partitions {
		if p.name == partition {
			return p.home
		}
	}
	if partition == "aws" {
		return "us-east-1"
	}
	return ""
}

// regionFor returns region, or the home Region of partition where region is
// part of another one: a key of aws-cn means nothing to sts.us-east-1, the
// Region that a profile without one ends up with.
func regionFor(region, partition string) string {
	if partition == "" || partitionOf(region) == partition {
		return region
	}
	if home := homeOf(partition); home != "" {
		return home
	}
	return region
}
