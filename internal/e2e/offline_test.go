// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"credbroker/internal/fakeaws"
)

// The Regions of these tests stand each for one kind of weather: their STS
// endpoints lead to different places.
const (
	sunny  = "eu-west-1"
	hostOf = ".amazonaws.com"
)

// weather is a network in which AWS answers in one Region and everything that
// can go wrong does in the others.
type weather struct {
	*world
	server *fakeaws.Server
	dns    *resolver
}

// newWeather lays out the network of this process. places maps a Region to addresses.
func newWeather(t *testing.T, places map[string][]string) *weather {
	t.Helper()
	dns := &resolver{known: map[string][]string{
		"sts." + sunny + hostOf: {"127.0.0.1"}, "iam.amazonaws.com": {"127.0.0.1"},
	}}
	hosts := []string{"sts." + sunny + hostOf, "iam.amazonaws.com"}
	for region, addresses := range places {
		host := "sts." + region + hostOf
		dns.known[host] = addresses
		hosts = append(hosts, host)
	}
	layNet(t, dns)
	w := emptyWorld(t)
	server := w.serveAt("aws", listenAt(t, "127.0.0.1:443"), hosts...)
	return &weather{w, server, dns}
}

// TestF31NetworksThatAreNone: DNS that knows nothing, captive portals and black
// holes: whoever needs AWS hears so in time, nobody is asked for a code, and
// what is cached goes on being served.
func TestF31NetworksThatAreNone(t *testing.T) {
	t.Parallel()
	if !inOwnNet(t) {
		return
	}
	w := newWeather(t, map[string][]string{
		"us-east-1":    {"127.0.0.2"},            // a portal with a certificate of its own
		"us-east-2":    {"127.0.0.3"},            // one behind a certificate that is trusted
		"us-west-1":    {"127.0.0.4"},            // one that redirects
		"us-west-2":    {"127.0.0.5"},            // nobody listens
		"eu-north-1":   {"fd00::1", "127.0.0.1"}, // IPv6 is a black hole, IPv4 works
		"ca-central-1": {},                       // a name without an address
	})
	stranger, _, err := fakeaws.NewTLS(time.Now(), "portal.example")
	if err != nil {
		t.Fatal(err)
	}
	page := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(rw, "<html><body>Please log in</body></html>")
	})
	w.serveTLS(listenAt(t, "127.0.0.2:443"), stranger, page)
	trusted, pem, err := fakeaws.NewTLS(time.Now(), "sts.us-east-2"+hostOf, "sts.us-west-1"+hostOf)
	if err != nil {
		t.Fatal(err)
	}
	w.trust(pem)
	w.serveTLS(listenAt(t, "127.0.0.3:443"), trusted, page)
	w.serveTLS(listenAt(t, "127.0.0.4:443"), trusted, http.RedirectHandler("https://portal.example/", http.StatusFound))

	w.initialise("ca_bundle = " + w.account.CAFile)
	w.awsConfig("[profile dev]\nregion = " + sunny + "\n[profile ops]\nregion = " + sunny + "\n")
	w.add("dev", "ann")
	w.prime("dev")
	w.add("ops", "bob", "--mfa-serial", w.user("bob").Devices[0].SerialNumber)
	cached := w.credentials("dev")
	prompts := w.status().Prompts

	for _, test := range []struct {
		region, want string
		status       int
	}{
		{"us-east-1", "certificate", 8},
		{"us-east-2", "not one of AWS's", 8},
		{"us-west-1", "not one of AWS's", 8},
		{"us-west-2", "refused", 8},
		{"ca-central-1", "no such host", 8},
		{"eu-south-1", "no such host", 8},
	} {
		w.awsConfig("[profile dev]\nregion = " + test.region + "\n[profile ops]\nregion = " + test.region + "\n")
		begin := time.Now()
		r := w.run("broker", "credential-process", "ops")
		if r.status != test.status || r.stdout != "" || !strings.Contains(r.stderr, test.want) || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%s: status %d, stdout %q, stderr %q; want %d and %q in a line", test.region, r.status, r.stdout, r.stderr, test.status, test.want)
		}
		if took := time.Since(begin); took > 40*time.Second {
			t.Errorf("%s: it took %v", test.region, took)
		}
		if got := w.credentials("dev"); got != cached {
			t.Errorf("%s: the cached session is not served", test.region)
		}
	}
	if s := w.status(); s.Prompts != prompts || len(s.Pending) != 0 {
		t.Errorf("somebody was asked for a code: %+v", s)
	}
	if r := w.must(w.run("broker", "status")); !strings.Contains(r.stdout, "outage: ") || !strings.Contains(r.stdout, "certificate") {
		t.Errorf("status does not tell of the outages:\n%s", r.stdout)
	}

	// IPv6 goes nowhere; the code is asked for nevertheless, and works.
	w.awsConfig("[profile ops]\nregion = eu-north-1\n")
	helper := w.start("broker", "credential-process", "ops")
	w.awaitPending(1)
	w.must(w.run("broker", "mfa", w.code("--serial", w.user("bob").Devices[0].SerialNumber)))
	w.document(helper.wait())
}

// trust adds authorities to the bundle of this world.
func (w *world) trust(pem []byte) {
	w.t.Helper()
	have, err := os.ReadFile(w.account.CAFile)
	if err == nil {
		err = os.WriteFile(w.account.CAFile, append(have, pem...), 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestF29SlowNetworks: an AWS that does not answer, in each of the ways there
// are, costs nobody more than the 15 seconds of a call, and an SDK's patience
// of 60 never.
func TestF29SlowNetworks(t *testing.T) {
	t.Parallel()
	if !inOwnNet(t) {
		return
	}
	w := newWeather(t, map[string][]string{
		"us-east-1":  {"10.99.0.1"}, // connections open for ever
		"us-east-2":  {"fd00::1"},   // the same by IPv6
		"us-west-1":  {"127.0.0.2"}, // TLS stalls
		"us-west-2":  {"127.0.0.3"}, // the answer comes byte by byte
		"eu-north-1": nil,           // DNS is silent
	})
	stall := listenAt(t, "127.0.0.2:443")
	w.hold(stall)
	drip, pem, err := fakeaws.NewTLS(time.Now(), "sts.us-west-2"+hostOf)
	if err != nil {
		t.Fatal(err)
	}
	w.trust(pem)
	w.serveTLS(listenAt(t, "127.0.0.3:443"), drip, http.HandlerFunc(dripping))

	w.initialise("ca_bundle = " + w.account.CAFile)
	regions := []string{"us-east-1", "us-east-2", "us-west-1", "us-west-2", "eu-north-1"}
	text := "[profile dev]\nregion = " + sunny + "\n"
	for _, region := range regions {
		text += "[profile " + region + "]\nregion = " + region + "\nsource_profile = dev\nrole_arn = arn:aws:iam::" + w.account.AccountID + ":role/dev\n" +
			"role_session_name = " + region + "\n"
	}
	w.awsConfig(text)
	w.add("dev", "ann")
	w.prime("dev")
	prompts := w.status().Prompts
	// bob's key needs a code, for which nobody may be asked.
	w.awsConfig(text + "[profile ops]\nregion = " + sunny + "\n")
	w.add("ops", "bob", "--mfa-serial", w.user("bob").Devices[0].SerialNumber)
	w.awsConfig(text + "[profile ops]\nregion = us-east-1\n")

	begin := time.Now()
	callers := map[string]*background{"ops": w.start("broker", "credential-process", "ops")}
	for _, region := range regions {
		callers[region] = w.start("broker", "credential-process", region)
	}
	w.credentials("dev") // meanwhile
	if took := time.Since(begin); took > 14*time.Second {
		t.Errorf("a cached session took %v while others wait for AWS", took)
	}
	for name, c := range callers {
		r := c.wait()
		if r.status != 8 || r.stdout != "" || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%s: status %d, stdout %q, stderr %q", name, r.status, r.stdout, r.stderr)
		}
	}
	if took := time.Since(begin); took < 14*time.Second || took > 40*time.Second {
		t.Errorf("the slowest took %v, want about 15s", took)
	}
	if s := w.status(); s.Prompts != prompts || len(s.Pending) != 0 {
		t.Errorf("somebody was asked for a code: %+v", s)
	}
}

// hold accepts connections and says nothing on them.
func (w *world) hold(l net.Listener) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close() // at the end
		}
	}()
	w.t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
}

// dripping answers a byte a second.
func dripping(rw http.ResponseWriter, r *http.Request) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if _, err := io.WriteString(rw, " "); err != nil {
			return
		}
		_ = http.NewResponseController(rw).Flush() // fails when the peer is gone
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// TestP44EgressIsOnlyAWS: whatever broker is told to do, it looks for the names
// of STS and IAM alone, and sends nothing to any other address.
func TestP44EgressIsOnlyAWS(t *testing.T) {
	t.Parallel()
	if !inOwnNet(t) {
		return
	}
	w := newWeather(t, nil)
	// Whatever leaves this machine leaves by v0, and is counted.
	for name, text := range map[string]string{"/proc/sys/net/ipv6/conf/v0/disable_ipv6": "1", "/proc/sys/net/ipv6/conf/v1/disable_ipv6": "1"} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w.must(w.run("ip", "route", "add", "default", "dev", "v0"))
	before := packetsOut(t)

	w.initialise("ca_bundle = " + w.account.CAFile)
	w.mainJob("aws", sunny, "")
	for _, args := range [][]string{
		{"version"},
		{"status"},
		{"status", "--json"},
		{"list"},
		{"config", "list"},
		{"config", "chain", "role"},
		{"explain", "dev"},
		{"export", "dev", "--format", "env"},
		{"doctor"},
		{"exec", "dev", "--", "true"},
		{"mfa", "-p", "dev"},
		{"lock"},
		{"recover"},
		{"credential-process", "dev"},
		{"init", "--yes"},
		{"remove", "dev"},
	} {
		w.run("broker", args...) // some of them refuse; none may look around
	}
	w.killDaemon()
	w.run("broker", "status")

	// broker recover knows no profile, and begins where nothing says otherwise.
	want := []string{"iam.amazonaws.com", "sts." + sunny + hostOf, "sts.us-east-1" + hostOf}
	if got := w.dns.names(); !slices.Equal(got, want) {
		t.Errorf("DNS was asked for %q, want %q", got, want)
	}
	if n := packetsOut(t); n != before {
		t.Errorf("packets left the machine: v0 had sent %s, and now %s", before, n)
	}
	// The count counts.
	if conn, err := net.DialTimeout("tcp", "192.0.2.1:443", 100*time.Millisecond); err == nil {
		conn.Close()
	}
	if packetsOut(t) == before {
		t.Error("a connection to elsewhere is not counted")
	}
}

// packetsOut returns how many packets v0 has sent in the present network.
func packetsOut(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("/proc/thread-self/net/dev")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		if name, rest, ok := strings.Cut(string(line), ":"); ok && strings.TrimSpace(name) == "v0" {
			return strings.Fields(rest)[9] // bytes packets errs … of reception come first
		}
	}
	t.Fatal("there is no v0")
	return ""
}
