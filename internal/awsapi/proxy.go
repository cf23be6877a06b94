// SPDX-License-Identifier: Apache-2.0

package awsapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// proxyFunc sends everything but loopback through proxy. Its errors never
// quote the URL: it may hold a password.
func proxyFunc(proxy string) (func(*http.Request) (*url.URL, error), error) {
	if proxy == "" {
		return nil, nil
	}
	u, err := url.Parse(proxy)
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, errors.New("https_proxy: must be a URL of the form http://host:port or https://host:port")
	}
	return func(r *http.Request) (*url.URL, error) {
		if isLoopback(r.URL.Hostname()) {
			return nil, nil
		}
		return u, nil
	}, nil
}

// proxyRefusal is a proxy that answered CONNECT, and opened no tunnel.
type proxyRefusal struct{ text string }

func (r *proxyRefusal) Error() string { return r.text }

// refusedByProxy says what it means that a proxy opens no tunnel: net/http
// would show the bare status. https_proxy is named by its host alone.
func refusedByProxy(_ context.Context, proxy *url.URL, tunnel *http.Request, answer *http.Response) error {
	switch answer.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusProxyAuthRequired:
		return &proxyRefusal{fmt.Sprintf("the proxy %s wants a user and a password, or others than https_proxy has", proxy.Host)}
	default:
		return &proxyRefusal{fmt.Sprintf("the proxy %s lets nothing through to %s (HTTP status %d)", proxy.Host, tunnel.Host, answer.StatusCode)}
	}
}
