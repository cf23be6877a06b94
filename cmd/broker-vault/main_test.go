// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"credbroker/internal/fakeaws"
	"credbroker/internal/ipc"
	"credbroker/vault/vaulttest"
)

// program is the real worker, built once: what is tested is a process.
var program string

// stranger is the test binary, where every user can run it.
var stranger string

func TestMain(m *testing.M) {
	if role := os.Getenv(strangerRole); role != "" {
		if err := beStranger(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	dir, err := os.MkdirTemp("/tmp", "b-vault-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = filepath.Join(dir, "broker-vault")
	build := exec.Command("go", "build", "-o", program, "-ldflags", "-X main.version=1.2.3", ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the worker: %v\n%s", err, out)
		os.Exit(1)
	}
	stranger = filepath.Join(dir, "stranger")
	if err := copyProgram(os.Args[0], stranger); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir) // it is in /tmp
	os.Exit(code)
}

func copyProgram(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}

// account is a pretend AWS account. While it is held, requests wait.
type account struct {
	*fakeaws.Server
	aws     ipc.AWS
	arrived chan struct{} // one for each request, while held
	held    chan struct{} // nil, or closed to let requests go on
}

func newAccount(t *testing.T, hold bool) *account {
	t.Helper()
	aws, err := fakeaws.New(fakeaws.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	a := &account{Server: aws, arrived: make(chan struct{}, 16)}
	if hold {
		a.held = make(chan struct{})
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.held != nil {
			a.arrived <- struct{}{}
			<-a.held
		}
		aws.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	a.aws = ipc.AWS{Region: "us-east-1", STSEndpointURL: server.URL, IAMEndpointURL: server.URL}
	return a
}

// worker starts workers for one store.
type worker struct {
	store   ipc.Store
	command ipc.WorkerCommand
	home    string
}

func newWorker(t *testing.T, store ipc.Store, bus string) *worker {
	t.Helper()
	home := t.TempDir()
	return &worker{store, ipc.WorkerCommand{
		Path: program, Env: ipc.WorkerEnv(store, home, bus), Client: "test", Dialog: store.Backend == "secret-service",
	}, home}
}

func fileWorker(t *testing.T) *worker {
	t.Helper()
	dir := t.TempDir()
	return newWorker(t, ipc.Store{
		Backend: "file", Dir: filepath.Join(dir, "vault"), PassphraseFile: filepath.Join(dir, "passphrase"),
	}, "")
}

func (w *worker) run(t *testing.T, op string, params, result any) error {
	t.Helper()
	raw, err := w.command.Run(t.Context(), op, params)
	if err != nil {
		return err
	}
	if result != nil {
		if err := json.Unmarshal(raw, result); err != nil {
			t.Fatalf("%s answered %s: %v", op, raw, err)
		}
	}
	return nil
}

func item(n int) string { return fmt.Sprintf("broker.v1.%032x", n) }

// key returns a request to store ann's key, and how it is named afterwards.
func (w *worker) key(a *account) (ipc.PutParams, ipc.ItemParams) {
	ann, _ := a.User("ann")
	k := ann.AccessKeys[0]
	return ipc.PutParams{
		Item: item(1), Store: w.store, AWS: a.aws, Profile: "dev", AccessKeyID: k.AccessKeyID, SecretAccessKey: k.SecretAccessKey,
	}, ipc.ItemParams{Store: w.store, Item: item(1), Profile: "dev", AccessKeyID: k.AccessKeyID, AWS: a.aws}
}

// fill makes the store and puts ann's key into it.
func (w *worker) fill(t *testing.T, a *account) ipc.ItemParams {
	t.Helper()
	put, stored := w.key(a)
	must(t, w.run(t, ipc.OpProbe, ipc.ProbeParams{Store: w.store, Item: item(99), Create: true}, nil))
	must(t, w.run(t, ipc.OpPut, put, nil))
	return stored
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, code ipc.Code) {
	t.Helper()
	if !errors.Is(err, &ipc.Error{Code: code}) {
		var e *ipc.Error
		errors.As(err, &e)
		t.Errorf("%+v, want %s", e, code)
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args       []string
		in         string
		code       int
		out, diags string
	}{
		{[]string{"--version"}, "", 0, "broker-vault 1.2.3\n", ""},
		{[]string{"probe"}, "", 2, "", "takes no arguments"},
		{[]string{"--help"}, "", 2, "", "started by broker and brokerd"},
		{nil, "", 1, "", "broker-vault: error: read the request"},
	} {
		cmd := exec.Command(program, test.args...)
		cmd.Env = ipc.WorkerEnv(ipc.Store{}, t.TempDir(), "")
		var out, diags bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(test.in), &out, &diags
		_ = cmd.Run() // the exit status is looked at below
		if cmd.ProcessState.ExitCode() != test.code || out.String() != test.out || !strings.Contains(diags.String(), test.diags) ||
			strings.Count(diags.String(), "\n") > 1 {
			t.Errorf("%q: %v, stdout %q, stderr %q", test.args, cmd.ProcessState, out.String(), diags.String())
		}
	}
}

// A key's whole life, in each store.
func TestLife(t *testing.T) {
	t.Parallel()
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		life(t, fileWorker(t))
	})
	t.Run("secret-service", func(t *testing.T) {
		t.Parallel()
		k := vaulttest.StartKeyring(t)
		life(t, newWorker(t, ipc.Store{Backend: "secret-service"}, k.Address))
	})
}

func life(t *testing.T, w *worker) {
	a := newAccount(t, false)
	put, stored := w.key(a)
	ann, _ := a.User("ann")
	serial := ann.Devices[0].SerialNumber

	must(t, w.run(t, ipc.OpProbe, ipc.ProbeParams{Store: w.store, Item: item(99), Create: true}, nil))
	var kept ipc.PutResult
	must(t, w.run(t, ipc.OpPut, put, &kept))
	if kept.Identity.ARN != ann.ARN || kept.Identity.UserName != "ann" || len(kept.Devices) == 0 {
		t.Errorf("put answered %+v", kept)
	}
	wantCode(t, w.run(t, ipc.OpPut, put, nil), ipc.CodeKeychainFailed)

	var id ipc.Identity
	must(t, w.run(t, ipc.OpCallerIdentity, stored, &id))
	if id != kept.Identity {
		t.Errorf("identity = %+v, want %+v", id, kept.Identity)
	}
	var devices ipc.MFADevices
	must(t, w.run(t, ipc.OpListMFADevices, stored, &devices))
	if len(devices.Devices) == 0 {
		t.Error("no devices")
	}
	code, err := a.Code(t.Context(), serial)
	must(t, err)
	token := ipc.SessionTokenParams{ItemParams: stored, SerialNumber: serial, TokenCode: code, DurationSeconds: 3600}
	var document struct {
		Version      int
		AccessKeyID  string `json:"AccessKeyId"`
		SessionToken string
		AccountID    string `json:"AccountId"`
	}
	must(t, w.run(t, ipc.OpSessionToken, token, &document))
	if document.Version != 1 || !strings.HasPrefix(document.AccessKeyID, "ASIA") || document.SessionToken == "" || document.AccountID != a.AccountID() {
		t.Errorf("session of %q in account %q", document.AccessKeyID, document.AccountID)
	}
	err = w.run(t, ipc.OpSessionToken, token, nil) // the code works once
	var e *ipc.Error
	if !errors.As(err, &e) || !e.Spent {
		t.Errorf("the code a second time: %+v, want spent", e)
	}

	var found ipc.RecoverResult
	must(t, w.run(t, ipc.OpRecover, ipc.RecoverParams{Store: w.store, AWS: a.aws}, &found))
	if len(found.Keys) != 1 || found.Keys[0].Item != item(1) || found.Keys[0].Error != nil || found.Keys[0].Identity != id {
		t.Errorf("recovered %+v", found.Keys)
	}
	other := stored
	other.Profile = "prod"
	wantCode(t, w.run(t, ipc.OpDelete, other, nil), ipc.CodeKeychainCorrupt)
	must(t, w.run(t, ipc.OpDelete, stored, nil))
	wantCode(t, w.run(t, ipc.OpCallerIdentity, stored, nil), ipc.CodeKeychainCorrupt)
	must(t, w.run(t, ipc.OpDelete, stored, nil))
}

// Nothing is stored of a key that AWS does not vouch for.
func TestPutVerifies(t *testing.T) {
	t.Parallel()
	a, w := newAccount(t, false), fileWorker(t)
	put, _ := w.key(a)
	must(t, w.run(t, ipc.OpProbe, ipc.ProbeParams{Store: w.store, Item: item(99), Create: true}, nil))
	must(t, a.Set("key."+put.AccessKeyID+"=Inactive"))
	wantCode(t, w.run(t, ipc.OpPut, put, nil), ipc.CodeAWSKeyUnknown)
	a.Reset()
	for _, u := range a.Users() {
		if strings.HasSuffix(u.ARN, ":root") && len(u.AccessKeys) > 0 {
			root := put
			root.AccessKeyID, root.SecretAccessKey = u.AccessKeys[0].AccessKeyID, u.AccessKeys[0].SecretAccessKey
			wantCode(t, w.run(t, ipc.OpPut, root, nil), ipc.CodeKeyInvalid)
		}
	}
	entries, err := filepath.Glob(filepath.Join(w.store.Dir, "broker.v1.*"))
	if must(t, err); len(entries) != 0 {
		t.Errorf("stored %v", entries)
	}
}

// P25: without its store, a worker says so; nothing else takes its place.
func TestP25NothingTakesTheStoresPlace(t *testing.T) {
	t.Parallel()
	k := vaulttest.StartKeyring(t)
	a, w := newAccount(t, false), newWorker(t, ipc.Store{Backend: "secret-service"}, k.Address)
	stored := w.fill(t, a)
	before, err := os.ReadFile("/proc/keys")
	must(t, err)
	k.Kill()
	wantCode(t, w.run(t, ipc.OpCallerIdentity, stored, nil), ipc.CodeKeychainGone)
	k.Bus().Stop()
	put, _ := w.key(a)
	put.Item = item(2)
	wantCode(t, w.run(t, ipc.OpCallerIdentity, stored, nil), ipc.CodeKeychainGone)
	wantCode(t, w.run(t, ipc.OpPut, put, nil), ipc.CodeKeychainGone)
	wantCode(t, w.run(t, ipc.OpProbe, ipc.ProbeParams{Store: w.store, Item: item(3), Create: true}, nil), ipc.CodeKeychainGone)
	if entries, err := os.ReadDir(w.home); err != nil || len(entries) != 0 {
		t.Errorf("the worker's home has %v, %v", entries, err)
	}
	after, err := os.ReadFile("/proc/keys")
	if must(t, err); bytes.Contains(after, []byte("broker")) && !bytes.Contains(before, []byte("broker")) {
		t.Errorf("the kernel's keyring has\n%s", after)
	}
	// F21: once bus and keyring are back, so is the key.
	must(t, k.Bus().Start())
	k.Start()
	must(t, w.run(t, ipc.OpCallerIdentity, stored, nil))
}

// F17: a locked keyring is an error at once, since nothing here can ask.
func TestF17Locked(t *testing.T) {
	t.Parallel()
	k := vaulttest.StartKeyring(t)
	w := newWorker(t, ipc.Store{Backend: "secret-service"}, k.Address)
	stored := w.fill(t, newAccount(t, false))
	k.Lock()
	began := time.Now()
	wantCode(t, w.run(t, ipc.OpCallerIdentity, stored, nil), ipc.CodeKeychainLocked)
	took := time.Since(began)
	k.Unlock()
	began = time.Now()
	must(t, w.run(t, ipc.OpCallerIdentity, stored, nil))
	// At most 3 s, on a machine that has nothing else to do.
	if open := time.Since(began); took > 3*time.Second+10*open {
		t.Errorf("it took %v, want at most 3s, while an open one takes %v", took, open)
	}
}

// F22: a worker without a bus starts none.
func TestF22NoBusIsStarted(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	mark := filepath.Join(bin, "ran")
	must(t, os.WriteFile(filepath.Join(bin, "dbus-launch"), []byte("#!/bin/sh\n: >"+mark+"\n"), 0o700))
	for _, w := range []*worker{fileWorker(t), newWorker(t, ipc.Store{Backend: "secret-service"}, "")} {
		for i, v := range w.command.Env {
			if strings.HasPrefix(v, "PATH=") {
				w.command.Env[i] = "PATH=" + bin + ":/bin:/usr/bin"
			}
		}
		err := w.run(t, ipc.OpProbe, ipc.ProbeParams{Store: w.store, Item: item(1), Create: true}, nil)
		if w.store.Backend == "file" {
			must(t, err)
		} else {
			wantCode(t, err, ipc.CodeKeychainGone)
		}
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("dbus-launch was run")
	}
}

// P30: a worker whose keyring hangs ends by itself at its deadline; one whose
// bus hangs, which is before main, is ended.
func TestP30HangingStores(t *testing.T) {
	t.Parallel()
	k := vaulttest.StartKeyring(t)
	w := newWorker(t, ipc.Store{Backend: "secret-service"}, k.Address)
	stored := w.fill(t, newAccount(t, false))
	k.Freeze()
	began := time.Now()
	wantCode(t, w.run(t, ipc.OpSessionToken, ipc.SessionTokenParams{ItemParams: stored, TokenCode: "123456", SerialNumber: "s"}, nil),
		ipc.CodeKeychainTimeout)
	if took := time.Since(began); took < ipc.KeychainTime || took > 6*ipc.KeychainTime {
		t.Errorf("it took %v, want about %v", took, ipc.KeychainTime)
	}
	k.Thaw()
	must(t, w.run(t, ipc.OpCallerIdentity, stored, nil))
	k.Bus().Freeze()
	defer k.Bus().Thaw()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := w.command.Run(ctx, ipc.OpCallerIdentity, stored)
	wantCode(t, err, ipc.CodeDeadline)
	if pids := workers(t, w.home); len(pids) != 0 {
		t.Errorf("workers %v are left", pids)
	}
}

// P30: what a worker shows of itself while it holds the key.
func TestP30NothingToSee(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("looking into a worker that has closed itself needs root")
	}
	w := fileWorker(t)
	w.fill(t, newAccount(t, false))
	a := newAccount(t, true)
	put, _ := w.key(a)
	put.Item = item(2)
	canary := put.SecretAccessKey.Reveal()
	ended := make(chan error, 1)
	go func() { ended <- w.run(t, ipc.OpPut, put, nil) }()
	<-a.arrived
	pids := workers(t, w.home)
	if len(pids) != 1 {
		t.Fatalf("workers %v, want one", pids)
	}
	proc := filepath.Join("/proc", pids[0])
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(proc, name))
		must(t, err)
		return string(data)
	}
	for _, name := range []string{"cmdline", "environ"} {
		if strings.Contains(read(name), canary) {
			t.Errorf("the secret is in %s", name)
		}
	}
	if !slices.Contains(strings.Split(read("environ"), "\x00"), "DBUS_SESSION_BUS_ADDRESS="+ipc.NoBus) {
		t.Error("environ is not what the worker was given: the scan above proves nothing")
	}
	status := read("status")
	for _, want := range []string{"NoNewPrivs:\t1", "Umask:\t0077"} {
		if !strings.Contains(status, want) {
			t.Errorf("status lacks %q", want)
		}
	}
	for line := range strings.Lines(read("limits")) {
		if fields := strings.Fields(line); strings.HasPrefix(line, "Max core file size") && (fields[4] != "0" || fields[5] != "0") {
			t.Errorf("core dumps are allowed: %s", line)
		}
	}
	close(a.held)
	must(t, <-ended)
	if pids := workers(t, w.home); len(pids) != 0 {
		t.Errorf("workers %v are left", pids)
	}
}

// P32, the worker's part: before it reads its request, a worker has closed
// itself to its own user, and so has a holder. What cannot be dumped belongs to
// root in /proc.
func TestP32ClosedToItsOwnUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("running the worker as another user needs root")
	}
	for _, args := range [][]string{nil, {"hold"}} {
		wantClosed(t, args...)
	}
}

func wantClosed(t *testing.T, args ...string) {
	t.Helper()
	const nobody = 65534
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Dir = ipc.WorkerEnv(ipc.Store{}, "/", ""), "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	stdin, err := cmd.StdinPipe()
	must(t, err)
	must(t, cmd.Start())
	defer func() {
		stdin.Close()
		_ = cmd.Wait() // it was given no request
	}()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	owner := uint32(nobody)
	for deadline := time.Now().Add(time.Minute); owner != 0 && time.Now().Before(deadline); <-tick.C {
		info, err := os.Stat(fmt.Sprintf("/proc/%d/mem", cmd.Process.Pid))
		must(t, err)
		owner = info.Sys().(*syscall.Stat_t).Uid
	}
	if owner != 0 {
		t.Errorf("the memory of broker-vault %q belongs to uid %d", args, owner)
	}
}

// workers returns the workers that run with this home.
func workers(t *testing.T, home string) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	must(t, err)
	var pids []string
	for _, e := range entries {
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil || string(line) != program+"\x00" {
			continue
		}
		env, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err == nil && bytes.Contains(env, []byte("HOME="+home+"\x00")) {
			pids = append(pids, e.Name())
		}
	}
	return pids
}

// P22: a worker that is killed at any moment of a put leaves the whole item or
// nothing, and never the secret in the clear.
func TestP22KilledAnywhere(t *testing.T) {
	t.Parallel()
	a, w := newAccount(t, false), fileWorker(t)
	must(t, w.run(t, ipc.OpProbe, ipc.ProbeParams{Store: w.store, Item: item(99), Create: true}, nil))
	put, _ := w.key(a)
	put.NoVerify = true
	killed, stored := 0, 0
	for i := range 40 {
		put.Item = item(i + 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*time.Millisecond)
		_, err := w.command.Run(ctx, ipc.OpPut, put)
		cancel()
		if err == nil {
			stored++
		} else {
			killed++
		}
	}
	if killed == 0 {
		t.Error("no worker was killed: this test proves nothing")
	}
	must(t, filepath.WalkDir(w.store.Dir, func(path string, d fs.DirEntry, err error) error {
		if must(t, err); !d.Type().IsRegular() {
			return nil
		}
		data, err := os.ReadFile(path)
		if must(t, err); bytes.Contains(data, []byte(put.SecretAccessKey.Reveal())) {
			t.Errorf("%s holds the secret", path)
		}
		return nil
	}))
	var found ipc.RecoverResult
	must(t, w.run(t, ipc.OpRecover, ipc.RecoverParams{Store: w.store, AWS: a.aws}, &found))
	if len(found.Keys) < stored {
		t.Errorf("%d keys are found, and %d were stored", len(found.Keys), stored)
	}
	for _, key := range found.Keys {
		if key.Error != nil {
			t.Errorf("half an item: %+v", key.Error)
		}
	}
	put.Item = item(1000)
	must(t, w.run(t, ipc.OpPut, put, nil))
	if left, err := filepath.Glob(filepath.Join(w.store.Dir, ".new-*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// P29, the worker's part: no answer holds the secret, though the request did.
func TestP29NoAnswerHoldsTheSecret(t *testing.T) {
	t.Parallel()
	a, w := newAccount(t, false), fileWorker(t)
	put, stored := w.key(a)
	canary := put.SecretAccessKey.Reveal()
	request, err := put.Encode()
	must(t, err)
	if !bytes.Contains(request, []byte(canary)) {
		t.Fatal("the request does not hold the secret: this test would prove nothing")
	}
	must(t, w.run(t, ipc.OpProbe, ipc.ProbeParams{Store: w.store, Item: item(99), Create: true}, nil))
	for _, call := range []struct {
		op     string
		params any
	}{
		{ipc.OpPut, put},
		{ipc.OpPut, put},
		{ipc.OpCallerIdentity, stored},
		{ipc.OpListMFADevices, stored},
		{ipc.OpSessionToken, ipc.SessionTokenParams{ItemParams: stored, DurationSeconds: 900}},
		{ipc.OpRecover, ipc.RecoverParams{Store: w.store, AWS: a.aws}},
		{ipc.OpDelete, stored},
		{ipc.OpDelete, stored},
	} {
		raw, err := w.command.Run(t.Context(), call.op, call.params)
		if said := fmt.Sprintf("%s %+v", raw, err); strings.Contains(said, canary) {
			t.Errorf("%s answers with the secret: %s", call.op, said)
		}
	}
}
