// SPDX-License-Identifier: Apache-2.0

package awsapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"sync/atomic"
	"time"

	"credbroker/credproc"
	"credbroker/internal/secret"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
)

// Options say how AWS is reached.
type Options struct {
	Region    string // required, as in "eu-central-1"
	Partition string // as in "aws-cn"; empty = that of Region

	// These replace AWS's own endpoints: https, or http on a loopback address.
	// FIPS and dual-stack do not apply to them.
	STSEndpointURL        string
	IAMEndpointURL        string
	CloudTrailEndpointURL string

	CABundle     string // PEM file that replaces the system's roots; empty = the system's
	HTTPSProxy   string // URL of the proxy; empty = none, whatever the environment says
	UseFIPS      bool
	UseDualStack bool

	ClockOffset time.Duration    // the clock of AWS minus ours
	Now         func() time.Time // required: our clock
	UserAgent   string           // required, as in "broker/1.2.0"
}

// Client reaches STS, IAM and CloudTrail in one Region. It holds no credentials and keeps
// no connection open. It may be used by several goroutines.
type Client struct {
	region  string
	variant string // the settings of a profile that chose its endpoints, as text
	now     func() time.Time
	offset  atomic.Int64 // time.Duration; corrected when AWS says that it is wrong
	http    *transport
	sts     sts.Options
	iam     iam.Options

	trailURL              string // empty = AWS's own
	useFIPS, useDualStack bool

	limit   time.Duration // for a call in all, its repeats included
	backoff time.Duration // before the first repeat, doubled for the second
}

// callLimit is the longest that one call may take in all. SDKs give a
// credential_process 60 seconds; three calls in a row must fit.
const callLimit = 15 * time.Second

// firstBackoff is the upper bound of the pause before the first repeat.
const firstBackoff = 400 * time.Millisecond

// regionName matches what can be part of a host name, and nothing else: the
// Region comes from AWS config files and becomes a part of the endpoint.
var regionName = regexp.MustCompile(`^[a-z]{2,}(-[a-z0-9]+)+$`)

// New returns a client. It reads CABundle and reaches nothing else.
func New(o Options) (*Client, error) {
	if o.Now == nil || o.UserAgent == "" {
		return nil, errors.New("aws client: a clock and a user agent are required")
	}
	if !regionName.MatchString(o.Region) || len(o.Region) > 63 {
		return nil, &Error{Code: codeRegion, Message: fmt.Sprintf("%q is not the name of a Region", o.Region)}
	}
	for name, endpoint := range map[string]string{
		"sts_endpoint_url": o.STSEndpointURL, "iam_endpoint_url": o.IAMEndpointURL, "endpoint_url": o.CloudTrailEndpointURL,
	} {
		if err := checkEndpoint(endpoint); err != nil {
			return nil, misconfigured(fmt.Errorf("%s: %w", name, err))
		}
	}
	region := regionFor(o.Region, o.Partition)
	if err := checkFIPS(o, region); err != nil {
		return nil, err
	}
	t, err := newTransport(o)
	if err != nil {
		return nil, misconfigured(err)
	}
	c := &Client{region: region, variant: variantOf(o), now: o.Now, http: t, limit: callLimit, backoff: firstBackoff}
	c.offset.Store(int64(o.ClockOffset))
	c.sts = c.stsOptions(o)
	c.iam = c.iamOptions(o)
	c.trailURL, c.useFIPS, c.useDualStack = o.CloudTrailEndpointURL, o.UseFIPS, o.UseDualStack
	return c, nil
}

// Region returns the Region that requests are signed for: that of Options, or
// the home Region of Options.Partition where the two do not belong together.
func (c *Client) Region() string { return c.region }

// variantOf names the settings that lead to other endpoints than the usual.
func variantOf(o Options) string {
	switch {
	case o.STSEndpointURL != "":
		return ""
	case o.UseFIPS && o.UseDualStack:
		return "use_fips_endpoint or use_dualstack_endpoint"
	case o.UseFIPS:
		return "use_fips_endpoint"
	case o.UseDualStack:
		return "use_dualstack_endpoint"
	}
	return ""
}

func (c *Client) stsOptions(o Options) sts.Options {
	opts := sts.Options{
		Region:                     c.region,
		HTTPClient:                 c.http,
		Retryer:                    aws.NopRetryer{},
		Logger:                     logging.Nop{},
		DisableClockSkewCorrection: true, // the signer does it
	}
	if o.STSEndpointURL != "" {
		opts.BaseEndpoint = aws.String(o.STSEndpointURL)
		return opts
	}
	if o.UseFIPS {
		opts.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
	}
	if o.UseDualStack {
		opts.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
	}
	return opts
}

func (c *Client) iamOptions(o Options) iam.Options {
	opts := iam.Options{
		Region:                     c.region,
		HTTPClient:                 c.http,
		Retryer:                    aws.NopRetryer{},
		Logger:                     logging.Nop{},
		DisableClockSkewCorrection: true,
	}
	if o.IAMEndpointURL != "" {
		// IAM has one Region to sign for; the SDK finds it by the endpoint.
		opts.Region = homeOf(partitionOf(c.region))
		opts.BaseEndpoint = aws.String(o.IAMEndpointURL)
		return opts
	}
	if o.UseFIPS {
		opts.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
	}
	if o.UseDualStack {
		opts.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
	}
	return opts
}

// Keys are a long-lived access key and its secret.
type Keys struct {
	AccessKeyID string
	Secret      secret.String
}

// Caller makes calls in the name of one set of credentials. It may be used by
// several goroutines.
type Caller struct {
	client      *Client
	temporary   bool
	sts         *sts.Client
	iam         *iam.Client
	credentials aws.Credentials // for what has no client of the SDK
	sign        signer
}

// LongLived returns a caller that signs with a long-lived key.
func (c *Client) LongLived(k Keys) *Caller {
	return c.caller(aws.Credentials{AccessKeyID: k.AccessKeyID, SecretAccessKey: k.Secret.Reveal()})
}

// Temporary returns a caller that signs with temporary credentials.
func (c *Client) Temporary(t credproc.Credentials) *Caller {
	return c.caller(aws.Credentials{
		AccessKeyID:     t.AccessKeyID,
		SecretAccessKey: t.SecretAccessKey.Reveal(),
		SessionToken:    t.SessionToken.Reveal(),
	})
}

func (c *Client) caller(credentials aws.Credentials) *Caller {
	provider := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return credentials, nil })
	s, i := c.sts.Copy(), c.iam.Copy()
	s.Credentials, i.Credentials = provider, provider
	// A signer of its own: one keeps the signing key of an access key ID, and
	// would use it for another secret of the same ID.
	sign := signer{client: c, next: v4.NewSigner()}
	s.HTTPSignerV4, i.HTTPSignerV4 = sign, sign
	return &Caller{client: c, temporary: credentials.SessionToken != "", sts: sts.New(s), iam: iam.New(i), credentials: credentials, sign: sign}
}

// signer signs with the time of AWS as far as it is known. The SDK's own
// correction needs a repeat, which a call with an MFA code must not have.
type signer struct {
	client *Client
	next   *v4.Signer
}

// SignHTTP implements the SDK's HTTPSignerV4.
func (s signer) SignHTTP(ctx context.Context, credentials aws.Credentials, r *http.Request, payloadHash, service, region string, _ time.Time, optFns ...func(*v4.SignerOptions)) error {
	return s.next.SignHTTP(ctx, credentials, r, payloadHash, service, region, s.client.awsTime(), optFns...)
}

// awsTime returns the time by the clock of AWS, as far as it is known.
func (c *Client) awsTime() time.Time {
	return c.now().Add(time.Duration(c.offset.Load())).UTC()
}

// checkEndpoint accepts nothing, https, and http on a loopback address: MFA
// codes go to whatever stands here.
func checkEndpoint(endpoint string) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return errors.New("endpoint is not a URL of the form https://host[:port]")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("endpoint must not carry a user, a query or a fragment")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	default:
		return errors.New("endpoint must be https, or http on a loopback address")
	}
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
