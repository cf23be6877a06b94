// SPDX-License-Identifier: Apache-2.0

package awsapi

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestNewRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("no certificate\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(*Options)
		want   string // part of the text
	}{
		{"no clock", func(o *Options) { o.Now = nil }, "a clock"},
		{"no user agent", func(o *Options) { o.UserAgent = "" }, "a user agent"},
		{"no region", func(o *Options) { o.Region = "" }, "not the name of a Region"},
		{"a region that is a host", func(o *Options) { o.Region = "evil.example/#" }, "not the name of a Region"},
		{"plain http", func(o *Options) { o.STSEndpointURL = "http://sts.example" }, "sts_endpoint_url: endpoint must be https"},
		{"http on a private address", func(o *Options) { o.IAMEndpointURL = "http://10.0.0.1" }, "iam_endpoint_url: endpoint must be https"},
		{"a name that starts like loopback", func(o *Options) { o.STSEndpointURL = "http://127.0.0.1.example" }, "must be https"},
		{"another scheme", func(o *Options) { o.STSEndpointURL = "ftp://127.0.0.1" }, "must be https"},
		{"user in the endpoint", func(o *Options) { o.STSEndpointURL = "https://a:b@sts.example" }, "must not carry a user"},
		{"no host", func(o *Options) { o.STSEndpointURL = "https:///x" }, "not a URL"},
		{"ca_bundle is missing", func(o *Options) { o.CABundle = filepath.Join(t.TempDir(), "none") }, "ca_bundle: "},
		{"ca_bundle is empty", func(o *Options) { o.CABundle = empty }, "holds no certificate"},
		{"proxy of another kind", func(o *Options) { o.HTTPSProxy = "socks5://u:password@127.0.0.1:1" }, "https_proxy: must be"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := testOptions("")
			test.change(&o)
			_, err := New(o)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("New returned %v, want an error with %q", err, test.want)
			}
			if strings.Contains(err.Error(), "password") {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
}

func TestNewAcceptsEndpoints(t *testing.T) {
	for _, endpoint := range []string{"", "https://sts.example:8443/path", "http://127.0.0.1:1", "http://127.8.8.8", "http://[::1]:1", "http://localhost:1"} {
		if _, err := New(testOptions(endpoint)); err != nil {
			t.Errorf("New with endpoint %q: %v", endpoint, err)
		}
	}
}

// wire replaces the network of c by a function that sees each request and
// refuses it.
type wire func(*http.Request)

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w(r)
	return nil, errors.New("no network in this test")
}

func TestEndpoints(t *testing.T) {
	tests := []struct {
		region, partition   string
		fips, dual          bool
		sts, iam, iamRegion string
	}{
		{region: "eu-west-1", sts: "sts.eu-west-1.amazonaws.com", iam: "iam.amazonaws.com", iamRegion: "us-east-1"},
		{region: "us-east-1", partition: "aws", sts: "sts.us-east-1.amazonaws.com", iam: "iam.amazonaws.com", iamRegion: "us-east-1"},
		{region: "us-east-1", fips: true, sts: "sts-fips.us-east-1.amazonaws.com", iam: "iam-fips.amazonaws.com", iamRegion: "us-east-1"},
		{region: "eu-west-1", dual: true, sts: "sts.eu-west-1.api.aws", iam: "iam.global.api.aws", iamRegion: "us-east-1"},
		{region: "cn-northwest-1", sts: "sts.cn-northwest-1.amazonaws.com.cn", iam: "iam.cn-north-1.amazonaws.com.cn", iamRegion: "cn-north-1"},
		{region: "us-east-1", partition: "aws-cn", sts: "sts.cn-north-1.amazonaws.com.cn", iam: "iam.cn-north-1.amazonaws.com.cn", iamRegion: "cn-north-1"},
		{region: "us-gov-east-1", sts: "sts.us-gov-east-1.amazonaws.com", iam: "iam.us-gov.amazonaws.com", iamRegion: "us-gov-west-1"},
		{region: "us-east-1", partition: "aws-us-gov", sts: "sts.us-gov-west-1.amazonaws.com", iam: "iam.us-gov.amazonaws.com", iamRegion: "us-gov-west-1"},
		{region: "us-iso-east-1", sts: "sts.us-iso-east-1.c2s.ic.gov", iam: "iam.us-iso-east-1.c2s.ic.gov", iamRegion: "us-iso-east-1"},
		{region: "us-isob-east-1", sts: "sts.us-isob-east-1.sc2s.sgov.gov", iam: "iam.us-isob-east-1.sc2s.sgov.gov", iamRegion: "us-isob-east-1"},
		{region: "eu-isoe-west-1", sts: "sts.eu-isoe-west-1.cloud.adc-e.uk", iam: "iam.eu-isoe-west-1.cloud.adc-e.uk", iamRegion: "eu-isoe-west-1"},
		{region: "us-isof-south-1", sts: "sts.us-isof-south-1.csp.hci.ic.gov", iam: "iam.us-isof-south-1.csp.hci.ic.gov", iamRegion: "us-isof-south-1"},
		{region: "eusc-de-east-1", sts: "sts.eusc-de-east-1.amazonaws.eu", iam: "iam.eusc-de-east-1.amazonaws.eu", iamRegion: "eusc-de-east-1"},
		{region: "cn-north-1", partition: "aws", sts: "sts.us-east-1.amazonaws.com", iam: "iam.amazonaws.com", iamRegion: "us-east-1"},
	}
	for _, test := range tests {
		t.Run(test.region+" "+test.partition, func(t *testing.T) {
			o := testOptions("")
			o.Region, o.Partition, o.UseFIPS, o.UseDualStack = test.region, test.partition, test.fips, test.dual
			c := mustNew(t, o)
			var hosts, signed []string
			c.http.client.Transport = wire(func(r *http.Request) {
				hosts = append(hosts, r.URL.Scheme+"://"+r.URL.Host)
				signed = append(signed, r.Header.Get("Authorization"))
			})
			_, err := mint(t.Context(), c)
			wantError(t, err, codeUnreachable)
			k := c.LongLived(testKeys)
			_, err = k.ListMFADevices(t.Context(), "ann")
			wantError(t, err, codeUnreachable)
			_, err = c.Reach(t.Context())
			wantError(t, err, codeUnreachable)
			// The first is sent once, the others three times.
			if len(hosts) != 7 || hosts[0] != "https://"+test.sts || hosts[1] != "https://"+test.iam || hosts[6] != hosts[0] {
				t.Errorf("hosts are %q, want %s, 3 times %s, 3 times %[2]s", hosts, test.sts, test.iam)
			}
			if scope := "/" + c.Region() + "/sts/aws4_request"; !strings.Contains(signed[0], scope) {
				t.Errorf("STS request signed as %q, want %q", signed[0], scope)
			}
			if scope := "/" + test.iamRegion + "/iam/aws4_request"; !strings.Contains(signed[1], scope) {
				t.Errorf("IAM request signed as %q, want %q", signed[1], scope)
			}
			if signed[6] != "" {
				t.Errorf("Reach signed its request")
			}
		})
	}
}

// TestP48EnvironmentIsInert sets everything by which SDKs and net/http can be
// led elsewhere, and looks where the connection goes.
func TestP48EnvironmentIsInert(t *testing.T) {
	canary, contacted := canaryServer(t)
	for _, name := range []string{
		"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_IAM", "HTTPS_PROXY", "https_proxy",
		"HTTP_PROXY", "ALL_PROXY", "AWS_CA_BUNDLE", "AWS_CONFIG_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
	} {
		t.Setenv(name, canary)
	}
	t.Setenv("AWS_REGION", "us-west-2")
	t.Setenv("AWS_USE_FIPS_ENDPOINT", "true")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIACANARYCANARYCANA")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "canary")
	t.Setenv("AWS_EXECUTION_ENV", "canary-env")
	t.Setenv("AWS_LAMBDA_FUNCTION_NAME", "canary")
	t.Setenv("_X_AMZN_TRACE_ID", "canary-trace")
	t.Setenv("AWS_MAX_ATTEMPTS", "9")

	c := mustNew(t, testOptions(""))
	dialled := dialled(t, c)
	for name, call := range map[string]func() error{
		"GetSessionToken": func() error { _, err := mint(t.Context(), c); return err },
		"Reach":           func() error { _, err := c.Reach(t.Context()); return err },
	} {
		*dialled = nil
		e := wantError(t, call(), codeUnreachable)
		if e.Sent {
			t.Errorf("%s: Sent is true though no connection came about", name)
		}
		for _, address := range *dialled {
			if address != "sts.eu-west-1.amazonaws.com:443" {
				t.Errorf("%s dialled %s", name, address)
			}
		}
		if len(*dialled) == 0 {
			t.Errorf("%s dialled nothing", name)
		}
	}
	c.http.client.Transport = wire(func(r *http.Request) {
		if head := strings.ToLower(dump(r.Header)); strings.Contains(head, "canary-env") || strings.Contains(head, "canary-trace") {
			t.Errorf("the request carries the environment: %s", head)
		}
		if got := r.Header.Get("User-Agent"); got != "broker/test" {
			t.Errorf("User-Agent is %q", got)
		}
	})
	_, err := mint(t.Context(), c)
	wantError(t, err, codeUnreachable)
	if n := contacted(); n != 0 {
		t.Errorf("the canary was contacted %d times", n)
	}
}

func TestProxyComesFromOptions(t *testing.T) {
	o := testOptions("")
	o.HTTPSProxy = "http://user:password@proxy.example:3128"
	c := mustNew(t, o)
	addresses := dialled(t, c)
	_, err := mint(t.Context(), c)
	e := wantError(t, err, codeProxy)
	if len(*addresses) != 1 || (*addresses)[0] != "proxy.example:3128" {
		t.Errorf("dialled %q, want the proxy once", *addresses)
	}
	if strings.Contains(e.Error(), "password") {
		t.Errorf("the error tells the proxy's password: %v", e)
	}

	o.STSEndpointURL = closedPort(t)
	c = mustNew(t, o)
	addresses = dialled(t, c)
	_, err = mint(t.Context(), c)
	wantError(t, err, codeUnreachable)
	if len(*addresses) != 1 || "http://"+(*addresses)[0] != o.STSEndpointURL {
		t.Errorf("dialled %q, want %s without the proxy", *addresses, o.STSEndpointURL)
	}
}

func TestCABundleReplacesTheRoots(t *testing.T) {
	s := httptest.NewUnstartedServer(answer(http.StatusOK, session(expiration(time.Now().Add(time.Hour)))))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // the handshake that we break
	s.StartTLS()
	defer s.Close()

	_, err := mint(t.Context(), mustNew(t, testOptions(s.URL)))
	if e := wantError(t, err, codeCertificate); e.Sent || !strings.Contains(e.Message, "certificate") {
		t.Errorf("Sent %t, %v; want an unsent request and a word on the certificate", e.Sent, e)
	}

	o := testOptions(s.URL)
	o.CABundle = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(o.CABundle, block, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := mint(t.Context(), mustNew(t, o)); err != nil {
		t.Errorf("with the server's own certificate as ca_bundle: %v", err)
	}
}

// dialled makes every dial of c fail, and returns the addresses.
func dialled(t *testing.T, c *Client) *[]string {
	t.Helper()
	var addresses []string
	transport, ok := c.http.client.Transport.(*http.Transport)
	if !ok {
		t.Fatal("the client has another transport")
	}
	transport.DialContext = func(_ context.Context, _, address string) (net.Conn, error) {
		addresses = append(addresses, address)
		return nil, errors.New("no network in this test")
	}
	return &addresses
}

// canaryServer is a place that nothing may contact.
func canaryServer(t *testing.T) (url string, contacted func() int32) {
	t.Helper()
	c, requests := serve(t, answer(http.StatusOK, ""))
	return *c.sts.BaseEndpoint, requests.Load
}

func dump(h http.Header) string {
	var b strings.Builder
	// An in-memory buffer does not fail.
	_ = h.Write(&b)
	return b.String()
}
