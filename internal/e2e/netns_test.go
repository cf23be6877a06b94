// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// netVariable is set in a process of these tests that has a network of its own,
// to the directory of the programs.
const netVariable = "BROKER_TEST_NETWORK"

// inOwnNet runs the present test once more, in a process with a network and
// mounts of its own, and reports whether this is that process. A thread would be
// less, but what a process shows of its network is that of its first thread.
func inOwnNet(t *testing.T) bool {
	t.Helper()
	needRoot(t)
	if os.Getenv(netVariable) != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), netVariable+"="+programs)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in a network of its own: %v\n%s", err, out)
	}
	return false
}

// layNet lays out the network of this process: loopback, the resolver r at
// 127.0.0.1, and beside them a wire v0 on which 10.99.0.1 and fd00::1 swallow
// what they get.
func layNet(t *testing.T, r *resolver) {
	t.Helper()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(conf, []byte("nameserver 127.0.0.1\nsearch .\noptions timeout:1 attempts:2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(conf, "/etc/resolv.conf", "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"link set lo up",
		"link add v0 type veth peer name v1",
		"link set v0 up",
		"link set v1 up",
		"addr add 10.99.0.2/24 dev v0",
		"-6 addr add fd00::2/64 dev v0 nodad",
		"neigh add 10.99.0.1 lladdr 02:00:00:00:00:01 dev v0 nud permanent",
		"-6 neigh add fd00::1 lladdr 02:00:00:00:00:01 dev v0 nud permanent",
	} {
		if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", line, err, out)
		}
	}
	r.serve(t)
}

// listenAt listens on an address of the present network.
func listenAt(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // whoever serves it may have
	return l
}

// resolver is a DNS server that knows some names, and records all that it is
// asked for.
type resolver struct {
	known map[string][]string // addresses; nil: no answer at all

	mu    sync.Mutex
	asked []string
}

func (r *resolver) serve(t *testing.T) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:53")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if answer := r.answer(buf[:n]); answer != nil {
				_, _ = conn.WriteTo(answer, from) // who asked may be gone
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
}

// answer returns the answer to a query of one question, or nil for none.
// https://www.rfc-editor.org/rfc/rfc1035#section-4
func (r *resolver) answer(query []byte) []byte {
	const header, isAnswer, noSuchName, typeA, typeAAAA = 12, 0x8180, 3, 1, 28
	if len(query) < header {
		return nil
	}
	var labels []string
	rest := query[header:]
	for len(rest) > 0 && rest[0] != 0 && len(rest) > int(rest[0]) {
		labels = append(labels, string(rest[1:1+rest[0]]))
		rest = rest[1+rest[0]:]
	}
	if len(rest) < 5 {
		return nil
	}
	name, kind := strings.ToLower(strings.Join(labels, ".")), binary.BigEndian.Uint16(rest[1:])
	r.mu.Lock()
	if !slices.Contains(r.asked, name) {
		r.asked = append(r.asked, name)
	}
	addresses, known := r.known[name]
	r.mu.Unlock()
	if known && addresses == nil {
		return nil
	}
	question := query[header : len(query)-len(rest)+5]
	out := append([]byte{query[0], query[1], 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
	flags, count := uint16(isAnswer), uint16(0)
	if !known {
		flags |= noSuchName
	}
	for _, text := range addresses {
		a := netip.MustParseAddr(text)
		if a.Is4() && kind != typeA || a.Is6() && kind != typeAAAA {
			continue
		}
		count++
		out = append(out, 0xc0, header) // the name of the question
		out = binary.BigEndian.AppendUint16(out, kind)
		out = append(out, 0, 1, 0, 0, 0, 0) // IN, not to be kept
		out = binary.BigEndian.AppendUint16(out, uint16(len(a.AsSlice())))
		out = append(out, a.AsSlice()...)
	}
	binary.BigEndian.PutUint16(out[2:], flags)
	binary.BigEndian.PutUint16(out[6:], count)
	return out
}

// names returns what was asked for, sorted.
func (r *resolver) names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(slices.Values(r.asked))
}
