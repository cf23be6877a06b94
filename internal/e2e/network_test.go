// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"credbroker/internal/fakeaws"
)

// mainJob does what users do, from the key to a role: add, code, credentials,
// role, exec. It returns the credentials of the role.
func (w *world) mainJob(partition, region, settings string) document {
	w.t.Helper()
	role := "arn:" + partition + ":iam::" + w.account.AccountID + ":role/dev"
	settings = "region = " + region + "\n" + settings
	w.awsConfig("[profile dev]\n" + settings + "[profile role]\n" + settings + "source_profile = dev\nrole_arn = " + role + "\n")
	w.add("dev", "ann")
	if r := w.must(w.run("broker", "list", "--json")); !strings.Contains(r.stdout, `"arn:`+partition+`:iam::`+w.account.AccountID+`:user/ann"`) {
		w.t.Errorf("list: %s", r.stdout)
	}
	w.prime("dev")
	d := w.credentials("role")
	if d.AccountID != w.account.AccountID {
		w.t.Errorf("the role is of account %s", d.AccountID)
	}
	r := w.must(w.run("broker", "exec", "role", "--", filepath.Join(w.bin, "broker"), "credential-process", "role"))
	if again := w.document(r); again != d {
		w.t.Error("under exec there are other credentials")
	}
	if n := len(w.log("GetSessionToken")); n != 1 {
		w.t.Errorf("%d GetSessionToken calls, want 1", n)
	}
	return d
}

// TestMainJobInOtherPartitions: a key of China or GovCloud is served like any.
func TestMainJobInOtherPartitions(t *testing.T) {
	t.Parallel()
	for partition, region := range map[string]string{"aws-cn": "cn-northwest-1", "aws-us-gov": "us-gov-east-1"} {
		t.Run(partition, func(t *testing.T) {
			w := emptyWorld(t)
			w.startSandbox("--partition", partition)
			w.initialise()
			w.mainJob(partition, region, "")

			// A Region of another partition in the profile is passed over: the
			// pretend account would refuse a signature for it.
			w.awsConfig("[profile dev]\nregion = eu-west-1\n[profile other]\nsource_profile = dev\nrole_arn = arn:" +
				partition + ":iam::" + w.account.AccountID + ":role/readonly\n")
			w.credentials("other")

			// A role of another partition is refused before AWS is asked.
			before := len(w.caused())
			w.awsConfig("[profile other]\nsource_profile = dev\nrole_arn = arn:aws:iam::" + w.account.AccountID + ":role/dev\n")
			r := w.run("broker", "credential-process", "other")
			if r.status != 1 || r.stdout != "" || !strings.Contains(r.stderr, "partition") || len(w.caused()) != before {
				t.Errorf("status %d, stdout %q, stderr %q", r.status, r.stdout, r.stderr)
			}
		})
	}
}

// TestMainJobOverTLS: the pretend account behind TLS, trusted by ca_bundle
// alone; without it nobody is asked for a code.
func TestMainJobOverTLS(t *testing.T) {
	t.Parallel()
	w := emptyWorld(t)
	w.startSandbox("--tls")
	w.initialise("ca_bundle = " + w.account.CAFile)
	w.quickCodes()
	w.mainJob("aws", "eu-west-1", "")

	config := filepath.Join(w.home, ".config", "broker", "config")
	good, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	set := func(line string) {
		text := strings.Replace(string(good), "ca_bundle = "+w.account.CAFile, line, 1)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.killDaemon() // with its sessions
	broken := filepath.Join(w.dir, "broken.pem")
	if err := os.WriteFile(broken, []byte("-----BEGIN CERTIFICATE-----\nMII"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		line, want string
		status     int
	}{
		{"", "certificate", 8},
		{"ca_bundle = " + broken, "ca_bundle: " + broken, 1},
	} {
		set(test.line)
		r := w.run("broker", "credential-process", "dev")
		if r.status != test.status || r.stdout != "" || !strings.Contains(r.stderr, test.want) {
			t.Errorf("%q: status %d, stdout %q, stderr %q; want %d and %q", test.line, r.status, r.stdout, r.stderr, test.status, test.want)
		}
		if s := w.status(); s.Prompts != 0 || len(s.Pending) != 0 {
			t.Errorf("%q: somebody was asked for a code: %+v", test.line, s)
		}
	}
	set("ca_bundle = " + w.account.CAFile)
	w.prime("dev")
}

// serveAt serves a pretend account at a listener, under the names of AWS, and
// lets the programs look for them.
func (w *world) serveAt(partition string, listener net.Listener, hosts ...string) *fakeaws.Server {
	w.t.Helper()
	server, err := fakeaws.New(fakeaws.Options{Now: time.Now, Partition: partition})
	if err != nil {
		w.t.Fatal(err)
	}
	config, pem, err := fakeaws.NewTLS(time.Now(), hosts...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.serveTLS(listener, config, server)
	caFile := filepath.Join(w.dir, "ca.pem")
	if err := os.WriteFile(caFile, pem, 0o600); err != nil {
		w.t.Fatal(err)
	}
	text, err := server.Document("https://"+listener.Addr().String(), caFile)
	if err == nil {
		err = json.Unmarshal(text, &w.account)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.atAWS = true
	return server
}

// serveTLS serves until the test ends.
func (w *world) serveTLS(listener net.Listener, config *tls.Config, handler http.Handler) {
	front := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: patience}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = front.Serve(tls.NewListener(listener, config)) // ends with Close
	}()
	w.t.Cleanup(func() {
		_ = front.Close()
		<-done
	})
}

// loopback listens on a free port.
func loopback(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// tunnel is a CONNECT proxy that records what is asked for and leads everything
// to one address.
type tunnel struct {
	target string
	auth   string // the Proxy-Authorization that it wants

	mu    sync.Mutex
	asked []string // host:port, in order, each once
}

// ServeHTTP implements http.Handler.
func (p *tunnel) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method != http.MethodConnect:
		http.Error(rw, "CONNECT only", http.StatusMethodNotAllowed)
		return
	case r.Header.Get("Proxy-Authorization") != p.auth:
		http.Error(rw, "who are you", http.StatusProxyAuthRequired)
		return
	}
	p.mu.Lock()
	if !slices.Contains(p.asked, r.Host) {
		p.asked = append(p.asked, r.Host)
	}
	p.mu.Unlock()
	far, err := net.Dial("tcp", p.target)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadGateway)
		return
	}
	defer far.Close()
	near, buffered, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		return
	}
	defer near.Close()
	if _, err := io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	var group sync.WaitGroup
	group.Go(func() { pipe(far, buffered.Reader); pipe(near, nil) })
	pipe(near, bufio.NewReader(far))
	_ = far.Close() // ends the other direction
	group.Wait()
}

// pipe copies until one end is closed, then closes to.
func pipe(to net.Conn, from io.Reader) {
	if from != nil {
		_, _ = io.Copy(to, from) // an end that is closed is the end
	}
	_ = to.Close()
}

func (p *tunnel) hosts() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	got := slices.Clone(p.asked)
	slices.Sort(got)
	return got
}

// TestMainJobAtTheNamesOfAWS: with a proxy in broker's config the whole job
// runs through it, at the names that AWS has in each partition, and nothing
// else is asked for. The pretend account refuses what is signed for another
// Region than the name says.
func TestMainJobAtTheNamesOfAWS(t *testing.T) {
	t.Parallel()
	tests := []struct {
		partition, region, settings string
		hosts                       []string // STS, IAM
		secure                      bool     // https to the proxy, too
	}{
		{"aws", "eu-west-1", "", []string{"sts.eu-west-1.amazonaws.com", "iam.amazonaws.com"}, false},
		{"aws", "us-west-2", "use_fips_endpoint = true\n", []string{"sts-fips.us-west-2.amazonaws.com", "iam-fips.amazonaws.com"}, true},
		{"aws", "us-east-2", "use_dualstack_endpoint = true\n", []string{"sts.us-east-2.api.aws", "iam.global.api.aws"}, false},
		{"aws-cn", "cn-north-1", "", []string{"sts.cn-north-1.amazonaws.com.cn", "iam.cn-north-1.amazonaws.com.cn"}, false},
		{"aws-us-gov", "us-gov-east-1", "use_fips_endpoint = true\n", []string{"sts.us-gov-east-1.amazonaws.com", "iam.us-gov.amazonaws.com"}, false},
	}
	for _, test := range tests {
		t.Run(test.region+" "+strings.TrimSpace(test.settings), func(t *testing.T) {
			w := emptyWorld(t)
			// The environment has other ideas, and no say.
			for _, name := range []string{"HTTPS_PROXY", "https_proxy", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "AWS_CA_BUNDLE"} {
				w.env = append(w.env, name+"=http://127.0.0.1:1")
			}
			listener := loopback(t)
			w.serveAt(test.partition, listener, test.hosts...)
			const password = "correct-horse"
			p := &tunnel{target: listener.Addr().String(), auth: "Basic " + base64.StdEncoding.EncodeToString([]byte("jane:"+password))}
			proxy := w.startTunnel(p, test.secure)
			w.initialise("ca_bundle = "+w.account.CAFile, "https_proxy = "+strings.Replace(proxy, "://", "://jane:"+password+"@", 1))
			w.mainJob(test.partition, test.region, test.settings)
			want := []string{test.hosts[0] + ":443", test.hosts[1] + ":443"}
			slices.Sort(want)
			if got := p.hosts(); !slices.Equal(got, want) {
				t.Errorf("the proxy was asked for %q, want %q", got, want)
			}
			if test.partition == "aws-cn" {
				w.awsConfig("[profile dev]\nuse_fips_endpoint = true\n[profile other]\nuse_fips_endpoint = true\nsource_profile = dev\nrole_arn = arn:aws-cn:iam::" +
					w.account.AccountID + ":role/readonly\n")
				r := w.run("broker", "credential-process", "other")
				if r.status != 1 || r.stdout != "" || !strings.Contains(r.stderr, "no FIPS endpoint") || !strings.Contains(r.stderr, "remove use_fips_endpoint") {
					t.Errorf("FIPS in China: status %d, stdout %q, stderr %q", r.status, r.stdout, r.stderr)
				}
				if got := p.hosts(); !slices.Equal(got, want) {
					t.Errorf("FIPS in China: the proxy was asked for %q", got)
				}
				w.recoverIndex()
				if got := p.hosts(); !slices.Equal(got, want) {
					t.Errorf("recover asked for %q, want %q", got, want)
				}
			}
			for _, args := range [][]string{{"status"}, {"status", "--json"}, {"list", "--json"}, {"config", "show", "dev", "--resolved"}} {
				if r := w.run("broker", args...); strings.Contains(r.stdout+r.stderr, password) {
					t.Errorf("broker %v shows the proxy's password: %s", args, r.stdout)
				}
			}
			if strings.Contains(w.daemonLog(), password) {
				t.Error("the log shows the proxy's password")
			}
		})
	}
}

// recoverIndex loses the index and has it rebuilt.
func (w *world) recoverIndex() {
	w.t.Helper()
	before := w.must(w.run("broker", "list")).stdout
	w.killDaemon()
	for _, name := range []string{"state.json", "state.json.1"} {
		if err := os.Remove(filepath.Join(w.home, ".local", "state", "broker", name)); err != nil {
			w.t.Fatal(err)
		}
	}
	w.must(w.run("broker", "recover"))
	if after := w.must(w.run("broker", "list")).stdout; after != before {
		w.t.Errorf("list after recover:\n%swant\n%s", after, before)
	}
}

// startTunnel serves p and returns its URL.
func (w *world) startTunnel(p *tunnel, secure bool) string {
	w.t.Helper()
	l := loopback(w.t)
	if secure {
		config, pem, err := fakeaws.NewTLS(time.Now())
		if err != nil {
			w.t.Fatal(err)
		}
		w.serveTLS(l, config, p)
		// One bundle for both: the proxy's authority stands beside AWS's.
		f, err := os.OpenFile(w.account.CAFile, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			w.t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.Write(pem); err != nil {
			w.t.Fatal(err)
		}
		return "https://" + l.Addr().String()
	}
	front := &http.Server{Handler: p, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: patience}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = front.Serve(l) // ends with Close
	}()
	w.t.Cleanup(func() {
		_ = front.Close()
		<-done
	})
	return "http://" + l.Addr().String()
}
