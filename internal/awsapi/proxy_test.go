// SPDX-License-Identifier: Apache-2.0

package awsapi

import (
	"bufio"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// proxy answers CONNECT with one status and records what was asked of it.
type proxy struct {
	addr   string
	status string

	mu    sync.Mutex
	asked []string // host:port and the Proxy-Authorization
}

func newProxy(t *testing.T, address, status string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String(), status: status}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		group.Wait()
	})
	return p
}

func (p *proxy) serve(conn net.Conn) {
	defer conn.Close()
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	p.mu.Lock()
	p.asked = append(p.asked, strings.TrimSpace(r.Method+" "+r.Host+" "+r.Header.Get("Proxy-Authorization")))
	p.mu.Unlock()
	_, _ = io.WriteString(conn, "HTTP/1.1 "+p.status+"\r\nContent-Length: 0\r\n\r\n") // the peer may be gone
}

func (p *proxy) requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// TestProxyIsAskedForTheRightHost: through the proxy goes what AWS is to hear,
// with the password that stands in its URL, which no error shows.
func TestProxyIsAskedForTheRightHost(t *testing.T) {
	tests := []struct {
		name, address, status string
		want                  string // part of the error
	}{
		{"IPv4", "127.0.0.1:0", "407 Proxy Authentication Required", "wants a user and a password"},
		{"IPv6", "[::1]:0", "403 Forbidden", "lets nothing through to sts.cn-north-1.amazonaws.com.cn:443 (HTTP status 403)"},
		{"bad gateway", "127.0.0.1:0", "502 Bad Gateway", "HTTP status 502"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newProxy(t, test.address, test.status)
			o := testOptions("")
			o.Region = "cn-north-1"
			o.HTTPSProxy = "http://jane:p%40ssword@" + p.addr
			_, err := mint(t.Context(), mustNew(t, o))
			e := wantError(t, err, codeProxy)
			if e.Sent || !strings.Contains(e.Message, test.want) || !strings.Contains(e.Message, p.addr) {
				t.Errorf("Sent %t, error %q; want %q and the proxy's address", e.Sent, e.Message, test.want)
			}
			if strings.Contains(e.Error(), "p@ss") || strings.Contains(e.Error(), "p%40ss") || strings.Contains(e.Error(), "jane") {
				t.Errorf("the error tells who we are: %v", e)
			}
			want := "CONNECT sts.cn-north-1.amazonaws.com.cn:443 Basic " + base64.StdEncoding.EncodeToString([]byte("jane:p@ssword"))
			if got := p.requests(); !slices.Equal(got, []string{want}) {
				t.Errorf("the proxy was asked %q, want %q", got, want)
			}
		})
	}
}

func TestProxyRefused(t *testing.T) {
	for _, bad := range []string{
		"socks5://ann:p-ssword@127.0.0.1:1", "socks5h://ann:p-ssword@proxy", "ftp://ann:p-ssword@proxy", "proxy:3128",
		"ann:p-ssword@proxy:3128", "http://", "http://:3128", "http://ann:p-ssword@proxy:port", "http://[::1", "://",
	} {
		o := testOptions("")
		o.HTTPSProxy = bad
		_, err := New(o)
		if e := wantError(t, err, codeConfig); strings.Contains(e.Error(), "ssword") || !strings.Contains(e.Error(), "https_proxy") {
			t.Errorf("%s: %v", bad, e)
		}
	}
}
