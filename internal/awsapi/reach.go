// SPDX-License-Identifier: Apache-2.0

package awsapi

import (
	"context"
	"encoding/xml"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// unsigned is the request of Reach. STS refuses it in words of its own
// (MissingAuthenticationToken), which the page of a captive portal cannot have.
// https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
const unsigned = "?Action=GetCallerIdentity&Version=2011-06-15"

// actReach is what Reach does, for messages: no action of AWS's.
const actReach = "reach AWS"

// Reach sends an unsigned request to the STS endpoint and returns the clock of
// AWS minus ours, to the second. Any refusal counts, if it is one of STS's and
// carries a Date; a failure of STS itself and throttling do not. Call it before
// a user is asked for a code: a code typed while AWS is out of reach is lost.
func (c *Client) Reach(ctx context.Context) (time.Duration, error) {
	endpoint, err := c.stsEndpoint(ctx)
	if err != nil {
		return 0, err
	}
	var offset time.Duration
	err = c.run(ctx, call{action: actReach}, func(ctx context.Context, x *exchange) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(endpoint, "/")+"/"+unsigned, http.NoBody)
		if err != nil {
			return err
		}
		before := c.now()
		resp, err := c.http.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if err := refusalOf(resp); err != nil {
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

// refusalOf returns nil if an answer is a refusal of STS, which proves that STS
// is there; else what it is instead, for call.judge.
func refusalOf(resp *http.Response) error {
	var doc struct {
		Error struct{ Code, Message string }
	}
	err := xml.NewDecoder(resp.Body).Decode(&doc)
	refusal := &smithy.GenericAPIError{Code: doc.Error.Code, Message: doc.Error.Message}
	switch {
	case err != nil || doc.Error.Code == "":
		return errNotSTS
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500 || isThrottling(doc.Error.Code):
		return refusal
	}
	return nil
}

// errNotSTS is an answer in other words than those of STS.
var errNotSTS = errors.New("the answer is not one of STS")

// STSEndpoint returns the Region and the URL of the calls to STS that a client
// of these options would make. It reaches nothing and reads no file. The URL is
// empty when AWS has no such Region, or no such endpoint in it.
func STSEndpoint(ctx context.Context, o Options) (region, endpoint string) {
	c := &Client{region: regionFor(o.Region, o.Partition)}
	c.sts = c.stsOptions(o)
	endpoint, err := c.stsEndpoint(ctx)
	if err != nil || checkFIPS(o, c.region) != nil {
		return c.region, ""
	}
	return c.region, endpoint
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
		return "", &Error{Code: codeRegion, Action: actReach, Message: "no STS endpoint for Region " + c.region}
	}
	return e.URI.String(), nil
}
