// SPDX-License-Identifier: Apache-2.0

package client

import (
	"cmp"
	"errors"
	"net"
	"net/url"
	"strings"

	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

// ProxyVariable returns the proxy that the caller's environment names, or "".
func (a *App) ProxyVariable() string {
	return cmp.Or(a.Getenv("https_proxy"), a.Getenv("HTTPS_PROXY"))
}

// ShownProxy returns the URL of a proxy without what opens it.
func ShownProxy(proxy string) string { return OrText(ShownURL(proxy), "a proxy") }

// ShownURL returns a URL without what a user may have put before its host, or
// "" if that cannot be told from the host: a password that holds a character
// which it should not may have part of itself in any place.
func ShownURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Host == "" || strings.Count(text, "@") > 1 || u.User == nil && strings.Contains(text, "@") {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// WithProxy tells a caller whose shell goes through a proxy why AWS is out of
// reach: brokerd and its workers look at no variable, only at broker's config.
func (a *App) WithProxy(err error) error {
	proxy := a.ProxyVariable()
	var own *StatusError // which has been here
	if proxy == "" || errors.As(err, &own) || !errors.Is(err, &ipc.Error{Code: ipc.CodeAWSUnreachable}) {
		return err
	}
	p, perr := a.Places()
	if perr != nil {
		return err
	}
	s, serr := awsconfig.LoadSettings(p.ConfigFile)
	if serr != nil || s.AWS.HTTPSProxy != "" || isLoopback(cmp.Or(s.AWS.STSEndpointURL, s.AWS.EndpointURL)) {
		return err
	}
	coded := AsCoded(err)
	coded.Hint = "set https_proxy = " + ShownProxy(proxy) + " in [aws] of " + p.ConfigFile + ", as your shell does"
	return coded
}

// isLoopback reports whether an endpoint is on this machine, where no proxy is
// on the way.
func isLoopback(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
