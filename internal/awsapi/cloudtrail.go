// SPDX-License-Identifier: Apache-2.0

package awsapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

const (
	// jsonType and trailTarget are how the JSON protocol says what it wants.
	// https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
	jsonType    = "application/x-amz-json-1.1"
	trailTarget = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents"
	// trailBody is the longest answer of CloudTrail that is read, in bytes: 50
	// events, each with its record, which is at most 256 KB and mostly 2.
	trailBody = 16 << 20
)

// LookupInput says which events CloudTrail is to return: those of one access key.
type LookupInput struct {
	AccessKeyID string    // long-lived or temporary
	Since       time.Time // at most 90 days ago
	Next        string    // of the page before; empty = the first
}

// TrailEvent is one management event.
type TrailEvent struct {
	At          time.Time // UTC
	EventSource string    // as in "s3.amazonaws.com"
	EventName   string    // as in "ListBuckets"
	SourceIP    string    // or the name of a service of AWS
	UserAgent   string
	ErrorCode   string // empty: AWS did what was asked for
}

// TrailRegion returns the Region that LookupEvents of a client of these options
// asks.
func TrailRegion(o Options) string { return regionFor(o.Region, o.Partition) }

// LookupEvents calls CloudTrail for one page of the events of a key in the
// Region of the client, newest first, and returns the token of the next page,
// which is empty on the last. AWS answers two calls a second for an account and
// Region. The SDK's own client of CloudTrail would add half a megabyte to a
// program for this one call; its signer and its rules for endpoints serve here too.
// https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
func (c *Caller) LookupEvents(ctx context.Context, in LookupInput) (events []TrailEvent, next string, err error) {
	type attribute struct{ AttributeKey, AttributeValue string }
	request := struct {
		LookupAttributes []attribute
		StartTime        float64
		Next             string `json:"NextToken,omitempty"`
	}{[]attribute{{"AccessKeyId", in.AccessKeyID}}, float64(in.Since.Unix()), in.Next}
	var answer struct {
		Events []struct {
			EventTime              float64
			EventSource, EventName string
			CloudTrailEvent        string
		}
		Next string `json:"NextToken"`
	}
	k := call{action: "LookupEvents", permission: "cloudtrail:LookupEvents", temporary: c.temporary}
	err = c.client.run(ctx, k, func(ctx context.Context, x *exchange) error {
		x.most = trailBody
		return c.postJSON(ctx, request, &answer)
	})
	if err != nil {
		return nil, "", err
	}
	for _, e := range answer.Events {
		seconds, part := math.Modf(e.EventTime)
		event := TrailEvent{
			At:          time.Unix(int64(seconds), int64(part*1e9)).UTC(),
			EventSource: clean(e.EventSource, 128), EventName: clean(e.EventName, 128),
		}
		var record struct{ SourceIPAddress, UserAgent, ErrorCode string }
		if json.Unmarshal([]byte(e.CloudTrailEvent), &record) == nil { // without it the rest still says something
			event.SourceIP, event.UserAgent, event.ErrorCode = clean(record.SourceIPAddress, 128), clean(record.UserAgent, 256), clean(record.ErrorCode, 128)
		}
		events = append(events, event)
	}
	return events, answer.Next, nil
}

// postJSON sends one signed request to CloudTrail. A refusal of AWS comes back
// as the SDK would report it.
func (c *Caller) postJSON(ctx context.Context, in, out any) error {
	endpoint, err := c.client.trailEndpoint(ctx)
	if err != nil {
		return err
	}
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(endpoint, "/")+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", jsonType)
	req.Header.Set("X-Amz-Target", trailTarget)
	sum := sha256.Sum256(body)
	if err := c.sign.SignHTTP(ctx, c.credentials, req, hex.EncodeToString(sum[:]), "cloudtrail", c.client.region, time.Time{}); err != nil {
		return err
	}
	resp, err := c.client.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return jsonRefusal(resp)
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return errNotJSON
	}
	return nil
}

// errNotJSON is an answer that is not in the protocol of CloudTrail.
var errNotJSON = errors.New("the answer is not one of CloudTrail")

// jsonRefusal reads a refusal. Its code stands behind the name of the service,
// and before a URL, where AWS writes these.
func jsonRefusal(resp *http.Response) error {
	var doc struct {
		Type    string `json:"__type"`
		Message string // AWS spells it in both ways
	}
	if json.NewDecoder(resp.Body).Decode(&doc) != nil || doc.Type == "" {
		return errNotJSON
	}
	name := doc.Type[strings.LastIndexByte(doc.Type, '#')+1:]
	name, _, _ = strings.Cut(name, ":")
	return &smithy.GenericAPIError{Code: name, Message: doc.Message}
}

// trailEndpoint returns the URL of CloudTrail. It has the host names of STS with
// another first word, and for the same settings.
// https://docs.aws.amazon.com/general/latest/gr/ct.html
func (c *Client) trailEndpoint(ctx context.Context) (string, error) {
	if c.trailURL != "" {
		return c.trailURL, nil
	}
	e, err := sts.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, sts.EndpointParameters{
		Region:       aws.String(c.region),
		UseFIPS:      aws.Bool(c.useFIPS),
		UseDualStack: aws.Bool(c.useDualStack),
	})
	host, ok := strings.CutPrefix(e.URI.String(), "https://sts")
	if err != nil || !ok {
		return "", &Error{Code: codeRegion, Message: "no CloudTrail endpoint for Region " + c.region}
	}
	return "https://cloudtrail" + host, nil
}
