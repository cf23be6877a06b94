// SPDX-License-Identifier: Apache-2.0

package awsapi

import (
	"context"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Reach sends an unsigned request to the STS endpoint and returns the clock of
// AWS minus ours, to the second. Whatever AWS answers counts (it is a redirect
// to a web page) if it carries a Date. Call it before a user is asked for a
// code: a code typed while the network is down is lost.
func (c *Client) Reach(ctx context.Context) (time.Duration, error) {
	endpoint, err := c.stsEndpoint(ctx)
	if err != nil {
		return 0, err
	}
	var offset time.Duration
	err = c.run(ctx, call{action: "reach STS"}, func(ctx context.Context, x *exchange) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, http.NoBody)
		if err != nil {
			return err
		}
		before := c.now()
		resp, err := c.http.Do(req)
		if err != nil {
			return err
		}
		if err := resp.Body.Close(); err != nil {
			return err
		}
		if x.date.IsZero() {
			return garbage("no date")
		}
		after := c.now()
		// A Date is cut to the second: what it means is half a second later.
		offset = x.date.Add(time.Second / 2).Sub(before.Add(after.Sub(before) / 2)).Round(time.Second)
		return nil
	})
	return offset, err
}

// stsEndpoint returns the URL that the SDK would send an STS request to.
func (c *Client) stsEndpoint(ctx context.Context) (string, error) {
	if c.sts.BaseEndpoint != nil {
		return *c.sts.BaseEndpoint, nil
	}
	e, err := sts.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, sts.EndpointParameters{
		Region:       aws.String(c.region),
		UseFIPS:      aws.Bool(c.sts.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
		UseDualStack: aws.Bool(c.sts.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
	})
	if err != nil {
		return "", &Error{Code: codeRegion, Action: "reach STS", Message: "no STS endpoint for Region " + c.region}
	}
	return e.URI.String(), nil
}
