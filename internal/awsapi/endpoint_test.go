// SPDX-License-Identifier: Apache-2.0

package awsapi

import "testing"

func TestSTSEndpoint(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name             string
		options          Options
		region, endpoint string
	}{
		{"a Region", Options{Region: "eu-west-1"}, "eu-west-1", "https://sts.eu-west-1.amazonaws.com"},
		{"FIPS", Options{Region: "us-east-2", UseFIPS: true}, "us-east-2", "https://sts-fips.us-east-2.amazonaws.com"},
		{"dual-stack", Options{Region: "eu-west-1", UseDualStack: true}, "eu-west-1", "https://sts.eu-west-1.api.aws"},
		{"China, which the Region does not say", Options{Region: "us-east-1", Partition: "aws-cn"}, "cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn"},
		{"FIPS in China", Options{Region: "cn-north-1", UseFIPS: true}, "cn-north-1", ""},
		{"an endpoint of the config", Options{Region: "eu-west-1", STSEndpointURL: "http://127.0.0.1:1"}, "eu-west-1", "http://127.0.0.1:1"},
		{"a certificate file that is not there", Options{Region: "eu-west-1", CABundle: "/nowhere"}, "eu-west-1", "https://sts.eu-west-1.amazonaws.com"},
	} {
		if region, endpoint := STSEndpoint(t.Context(), tt.options); region != tt.region || endpoint != tt.endpoint {
			t.Errorf("%s: %s, %s; want %s, %s", tt.name, region, endpoint, tt.region, tt.endpoint)
		}
	}
}
