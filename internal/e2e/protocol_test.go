// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"credbroker/internal/ipc"
	"credbroker/internal/secret"
)

// A transcript is one conversation of a release, frozen: what its client sent
// and what its daemon said, byte for byte, but for what differs from one
// account to the next:
//
//	${key:ann}     the access key ID of a user
//	${item:dev}    what the vault calls the key of a profile
//	${code:ann}    the next code of a user's device; wrong:ann is none of its codes
//
// "C: " and "S: " begin a line of the client and of the daemon, "S." is the end
// of the connection, and "put dev ann" is what the client does between two
// conversations: it has a worker store the key of a user for a profile.
// Anything else is a comment. Secrets are left out.
//
// The transcripts of protocol N are in testdata/protocol-N, in the order in
// which they were recorded, in one account. When the protocol grows they are
// recorded once more, with the last release that speaks the old one:
//
//	go test ./internal/e2e -run TestProtocol -record testdata/protocol-N
var record = flag.String("record", "", "record the transcripts of these programs into `DIR`")

// TestProtocolTranscripts: the daemon of today answers a client of an earlier
// protocol, and of an earlier release, with all that this one knows of. What it
// says may have more to it, never less.
func TestProtocolTranscripts(t *testing.T) {
	t.Parallel()
	if *record != "" {
		recordTranscripts(t, *record)
		return
	}
	for v := ipc.OldestProtocol; v <= ipc.Protocol; v++ {
		dir := filepath.Join("testdata", "protocol-"+strconv.Itoa(v))
		t.Run(filepath.Base(dir), func(t *testing.T) { playTranscripts(t, dir) })
	}
}

const protocolConfig = "[mfa]\nhelper_wait = 2s\n"

func playTranscripts(t *testing.T, dir string) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(files) < 15 {
		t.Fatalf("%s: %d transcripts, %v", dir, len(files), err)
	}
	w := newWorld(t)
	w.initialise(protocolConfig)
	w.quickCodes()
	w.must(w.run("broker", "list")) // starts the daemon
	p := player{world: w, vars: w.variables()}
	for _, file := range files {
		p.play(file)
	}
}

// variables returns what transcripts call the things of this account.
func (w *world) variables() map[string]string {
	vars := map[string]string{}
	for _, u := range w.account.Users {
		if len(u.AccessKeys) > 0 {
			vars["key:"+u.UserName] = u.AccessKeys[0].AccessKeyID
		}
	}
	return vars
}

// player plays the client of transcripts.
type player struct {
	*world
	vars   map[string]string
	stored ipc.Reservation // the last one
}

func (p *player) play(file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		p.t.Fatal(err)
	}
	conn, err := net.Dial("unix", p.socket())
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	var request ipc.Request
	for n, line := range strings.Split(string(data), "\n") {
		at := fmt.Sprintf("%s:%d", filepath.Base(file), n+1)
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "put":
			profile, user, _ := strings.Cut(rest, " ")
			p.put(profile, user)
		case "C:":
			text := p.expand(rest)
			if request.Op == "" {
				_ = json.Unmarshal([]byte(text), &request) // what it is, if it is anything
			}
			if _, err := conn.Write([]byte(text + "\n")); err != nil {
				p.t.Fatalf("%s: %v", at, err)
			}
		case "S:":
			said, err := in.ReadString('\n')
			if err != nil {
				p.t.Fatalf("%s: the daemon says nothing: %v\n%s", at, err, p.daemonLog())
			}
			p.compare(at, rest, said)
			p.note(request, said)
		case "S.":
			if more, err := in.ReadString('\n'); err == nil {
				p.t.Errorf("%s: the daemon goes on: %s", at, more)
			}
		}
	}
}

var variable = regexp.MustCompile(`\$\{([a-z]+):([a-z]+)\}`)

// expand puts the things of this account into a line of the client.
func (p *player) expand(line string) string {
	return variable.ReplaceAllStringFunc(line, func(v string) string {
		m := variable.FindStringSubmatch(v)
		switch kind, name := m[1], m[2]; kind {
		case "code":
			return p.code("--serial", p.user(name).Devices[0].SerialNumber)
		case "wrong":
			return wrongCode(1)
		}
		value, ok := p.vars[m[1]+":"+m[2]]
		if !ok {
			p.t.Fatalf("nothing is known of %s", v)
		}
		return value
	})
}

// note remembers where the key of a profile goes.
func (p *player) note(request ipc.Request, said string) {
	if request.Op != ipc.OpReserve {
		return
	}
	var params ipc.ReserveParams
	var reply struct{ Result ipc.Reservation }
	if json.Unmarshal(request.Params, &params) == nil && json.Unmarshal([]byte(said), &reply) == nil && reply.Result.Item != "" {
		p.vars["item:"+params.Profile], p.stored = reply.Result.Item, reply.Result
	}
}

// put stores the key of a user in the place that was reserved last, as a client
// does.
func (p *player) put(profile, userName string) {
	key := p.user(userName).AccessKeys[0]
	worker := ipc.WorkerCommand{Path: filepath.Join(p.bin, "broker-vault"), Env: p.env, Client: "the test"}
	_, err := worker.Run(p.t.Context(), ipc.OpPut, ipc.PutParams{
		Item: p.stored.Item, Store: p.stored.Store, AWS: p.stored.AWS, Profile: profile,
		AccessKeyID: key.AccessKeyID, SecretAccessKey: secret.New(key.SecretAccessKey),
	})
	if err != nil {
		p.t.Fatalf("store the key of %s: %v", userName, err)
	}
}

func (p *player) compare(at, was, said string) {
	var before, now any
	if err := errors.Join(json.Unmarshal([]byte(was), &before), json.Unmarshal([]byte(said), &now)); err != nil {
		p.t.Fatalf("%s: %v in %s and %s", at, err, was, said)
	}
	for _, difference := range lost(before, now, "", "") {
		p.t.Errorf("%s: %s\nthe daemon said %s\nand says        %s", at, difference, was, said)
	}
}

// fixed are the fields whose values are part of the protocol.
var fixed = []string{"code", "kind", "reason", "surface", "attempt", "Version", "spent", "withdrawn", "noMfa", "backend", "profile", "serialNumber"}

// lost returns what of the value before is not in now: a field, a type, a row,
// or a word of the protocol.
func lost(before, now any, path, field string) []string {
	gone := fmt.Sprintf("%s is %T, was %T", path, now, before)
	switch before := before.(type) {
	case map[string]any:
		now, ok := now.(map[string]any)
		if !ok {
			return []string{gone}
		}
		var all []string
		for name, value := range before {
			if _, ok := now[name]; !ok {
				all = append(all, path+"."+name+" is gone")
				continue
			}
			all = append(all, lost(value, now[name], path+"."+name, name)...)
		}
		return all
	case []any:
		now, ok := now.([]any)
		if !ok {
			return []string{gone}
		}
		var all []string
		for i, row := range before {
			if !slices.ContainsFunc(now, func(other any) bool { return len(lost(row, other, "", field)) == 0 }) {
				all = append(all, fmt.Sprintf("%s[%d] has no like", path, i))
			}
		}
		return all
	case string:
		now, ok := now.(string)
		_, timed := time.Parse(time.RFC3339, before)
		_, times := time.Parse(time.RFC3339, now)
		switch {
		case !ok:
			return []string{gone}
		case timed == nil && times != nil:
			return []string{path + " is no time any more"}
		case slices.Contains(fixed, field) && before != now:
			return []string{fmt.Sprintf("%s is %q, was %q", path, now, before)}
		}
		return nil
	}
	if fmt.Sprintf("%T", before) != fmt.Sprintf("%T", now) || slices.Contains(fixed, field) && before != now {
		return []string{gone + fmt.Sprintf(" (%v, was %v)", now, before)}
	}
	return nil
}

// TestLost: the comparison sees what a client would miss.
func TestLost(t *testing.T) {
	t.Parallel()
	const was = `{"error":{"code":"no_key","message":"a"},"rows":[{"x":1}],"at":"2026-01-02T03:04:05Z","n":true}`
	for now, want := range map[string]int{
		was: 0,
		`{"error":{"code":"no_key","message":"b","hint":"c"},"rows":[{"y":2},{"x":3}],"at":"2027-01-02T03:04:05Z","n":false}`: 0,
		`{"error":{"code":"no_keys","message":"b"},"rows":[{"x":3}],"at":"2027-01-02T03:04:05Z","n":false}`:                   1,
		`{"error":{"code":"no_key"},"rows":[{"y":3}],"at":"now","n":0}`:                                                       4,
		`{"error":null,"rows":{},"at":1}`: 4,
	} {
		var before, after any
		if err := errors.Join(json.Unmarshal([]byte(was), &before), json.Unmarshal([]byte(now), &after)); err != nil {
			t.Fatal(err)
		}
		if got := lost(before, after, "", ""); len(got) != want {
			t.Errorf("%s: %q, want %d differences", now, got, want)
		}
	}
}

var secrets = regexp.MustCompile(`"(SecretAccessKey|SessionToken)":"[^"]*"`)

// recorder stands between clients and the daemon and writes down what they say.
type recorder struct {
	*world
	dir   string
	next  string // the names of the conversations to come, each on a line
	count int
	names map[string]string // what to write for what is said
	path  string            // of its socket
	done  chan struct{}     // takes one for each conversation
}

func recordTranscripts(t *testing.T, dir string) {
	w := newWorld(t)
	w.initialise(protocolConfig)
	w.quickCodes()
	w.must(w.run("broker", "list")) // starts the daemon
	r := &recorder{
		world: w, dir: dir, names: map[string]string{},
		path: filepath.Join(w.dir, "run", "record.sock"), done: make(chan struct{}, 10),
	}
	for name, value := range w.variables() {
		r.names[value] = "${" + name + "}"
	}
	l, err := net.Listen("unix", r.path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go r.listen(l, w.socket())
	w.env = append(w.env, "BROKER_SOCKET="+r.path)
	r.scenario()
	w.env = w.env[:len(w.env)-1]
}

// scenario has every operation talked about, in its ordinary and its other
// outcomes, by the commands of these programs.
func (r *recorder) scenario() {
	r.raw("hello", `{"v":1,"op":"hello","client":"broker 0.0.0-dev"}`)
	r.command("status of nothing", 1, "status", "--json")
	r.named("reserve", "adopt")
	r.must(r.finish(r.addCommand("dev", "ann")))
	r.wait(2)
	r.named("reserve for bob", "adopt for bob")
	r.must(r.finish(r.addCommand("ops", "bob", "--mfa-serial", r.user("bob").Devices[0].SerialNumber)))
	r.wait(2)
	r.command("list", 1, "list", "--json")
	r.command("a code that nobody waits for", 1, "mfa", "123456")
	r.command("nothing to cancel", 1, "mfa", "--cancel")
	r.command("no such profile", 1, "credential-process", "nobody")
	r.command("no code in time", 1, "credential-process", "ops")
	r.command("status with a prompt", 1, "status", "--json")
	code := r.codeOf("bob")
	r.command("a code from another terminal", 1, "mfa", code)
	r.named("serves", "credentials at a terminal")
	term := r.terminal()
	exec := term.run(r.world.command("broker", "exec", "dev", "--", "true"))
	term.await(theQuestion, 1)
	wrong := wrongCode(1)
	r.names[wrong] = "${wrong:ann}"
	term.write(wrong + "\n")
	term.await(theQuestion, 2)
	term.write(r.codeOf("ann") + "\n")
	r.must(exec.wait())
	r.wait(2)
	r.command("credentials from memory", 1, "credential-process", "dev")
	r.command("status with sessions", 1, "status", "--json")
	r.named("a key is there already")
	r.finish(r.addCommand("dev", "bob"))
	r.wait(1)
	r.command("recover", 1, "recover", "--json")
	r.command("remove", 1, "remove", "ops", "--yes")
	r.raw("an unknown operation", `{"v":1,"op":"teleport","client":"broker 0.0.0-dev"}`)
	r.raw("an unknown version", `{"v":255,"op":"hello","client":"broker 9.0.0"}`)
	r.raw("parameters of another kind", `{"v":1,"op":"credentials","params":{"profile":7}}`)
}

func (r *recorder) codeOf(name string) string {
	code := r.code("--serial", r.user(name).Devices[0].SerialNumber)
	r.names[code] = "${code:" + name + "}"
	return code
}

func (r *recorder) named(names ...string) { r.next = strings.Join(names, "\n") }

func (r *recorder) command(name string, conversations int, args ...string) {
	r.named(name)
	r.run("broker", args...) // some are meant to fail
	r.wait(conversations)
}

func (r *recorder) raw(name, line string) {
	r.named(name)
	conn, err := net.Dial("unix", r.path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(line + "\n")); err != nil {
		r.t.Fatal(err)
	}
	r.wait(1)
}

func (r *recorder) wait(conversations int) {
	for range conversations {
		select {
		case <-r.done:
		case <-time.After(patience):
			r.t.Fatalf("%q was not talked about", r.next)
		}
	}
}

func (r *recorder) listen(l net.Listener, daemon string) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		r.converse(client, daemon) // one at a time
	}
}

// converse carries one conversation and writes it down.
func (r *recorder) converse(client net.Conn, daemon string) {
	name, rest, _ := strings.Cut(r.next, "\n")
	r.next = rest
	server, err := net.Dial("unix", daemon)
	if err != nil {
		r.t.Error(err)
		return
	}
	type said struct{ who, line string }
	lines := make(chan said)
	ctx, end := context.WithCancel(context.Background())
	carry := func(who string, from, to net.Conn) {
		in := bufio.NewReader(from)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				if who == "S" {
					end()
				}
				return
			}
			lines <- said{who, strings.TrimSuffix(line, "\n")}
			_, _ = to.Write([]byte(line)) // whoever is gone says nothing more
		}
	}
	go carry("C", client, server)
	go carry("S", server, client)
	text := name + ".\n"
	for open := true; open; {
		select {
		case s := <-lines:
			var request ipc.Request
			if s.who == "C" && json.Unmarshal([]byte(s.line), &request) == nil && request.Op == ipc.OpAdopt {
				var p ipc.AdoptParams
				_ = json.Unmarshal(request.Params, &p) // our own client's
				r.names[p.Item] = "${item:" + p.Profile + "}"
				text += "put " + p.Profile + " " + p.UserName + "\n"
			}
			text += s.who + ": " + s.line + "\n"
		case <-ctx.Done():
			open = false
		}
	}
	_ = errors.Join(client.Close(), server.Close()) // all was said
	for value, name := range r.names {
		text = strings.ReplaceAll(text, `"`+value+`"`, `"`+name+`"`)
	}
	text = secrets.ReplaceAllString(text, `"$1":"…"`)
	r.count++
	file := fmt.Sprintf("%02d-%s.txt", r.count, strings.ReplaceAll(name, " ", "-"))
	if err := os.WriteFile(filepath.Join(r.dir, file), []byte(text+"S.\n"), 0o644); err != nil {
		r.t.Error(err)
	}
	r.done <- struct{}{}
}
