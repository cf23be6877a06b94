// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// asProgram makes the test binary be broker-sandbox.
const asProgram = "BROKER_SANDBOX_TEST_RUN"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// buffer is a bytes.Buffer that may be read while it is written.
type buffer struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.String()
}

// result is how one run ended.
type result struct {
	status         int
	stdout, stderr string
}

func run(ctx context.Context, args ...string) result {
	var stdout, stderr buffer
	a := &app{stdout: &stdout, stderr: &stderr, now: time.Now}
	status := a.run(ctx, args)
	return result{status, stdout.String(), stderr.String()}
}

// account is the document of serve.
type account struct {
	Endpoint  string
	CAFile    string
	AccountID string
	Users     []struct {
		UserName   string
		AccessKeys []struct{ AccessKeyID, SecretAccessKey string }
		Devices    []struct{ SerialNumber, TOTPSecret string }
	}
	Roles []struct{ RoleARN string }
}

// serve runs serve until the test ends or stop is called, which returns how it
// ended.
func serve(t *testing.T, args ...string) (acc account, stop func() result) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stdout, stderr := &buffer{}, &buffer{}
	ended := make(chan result, 1)
	go func() {
		a := &app{stdout: stdout, stderr: stderr, now: time.Now}
		status := a.run(ctx, append([]string{"serve"}, args...))
		ended <- result{status, stdout.String(), stderr.String()}
	}()
	stop = sync.OnceValue(func() result {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { stop() })
	eventually(t, func() bool { return strings.HasSuffix(stdout.String(), "\n") })
	if err := json.Unmarshal([]byte(stdout.String()), &acc); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	return acc, stop
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("waited in vain")
		}
	}
}

func TestServe(t *testing.T) {
	t.Parallel()
	ready := filepath.Join(t.TempDir(), "account.json")
	acc, stop := serve(t, "--ready-file", ready)
	if !strings.HasPrefix(acc.Endpoint, "http://127.0.0.1:") || acc.AccountID != "111122223333" || acc.CAFile != "" || len(acc.Roles) == 0 {
		t.Errorf("document %+v", acc)
	}
	ann := acc.Users[0]
	if ann.UserName != "ann" || len(ann.AccessKeys) != 1 || ann.AccessKeys[0].SecretAccessKey == "" || len(ann.Devices) != 1 || ann.Devices[0].TOTPSecret == "" {
		t.Errorf("first user %+v", ann)
	}
	info, err := os.Stat(ready)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("ready file: %v, %v", info, err)
	}
	inFile, err := os.ReadFile(ready)
	if err != nil {
		t.Fatal(err)
	}
	end := stop()
	if end.status != exitOK || end.stderr != "" || end.stdout != string(inFile) {
		t.Errorf("ended with %+v; the file held %s", end, inFile)
	}
	if _, err := os.Stat(ready); !os.IsNotExist(err) {
		t.Errorf("the ready file is still there: %v", err)
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			var more []string
			if scheme == "https" {
				more = []string{"--tls"}
			}
			acc, stop := serve(t, more...)
			checkCommands(t, acc)
			if got := stop(); got.status != exitOK {
				t.Errorf("serve ended with %+v", got)
			}
			if acc.CAFile != "" {
				if _, err := os.Stat(filepath.Dir(acc.CAFile)); !os.IsNotExist(err) {
					t.Errorf("the directory of %s is still there: %v", acc.CAFile, err)
				}
			}
		})
	}
}

func checkCommands(t *testing.T, acc account) {
	t.Helper()
	ctx := t.Context()
	at := []string{"--endpoint", acc.Endpoint}
	want := func(args []string, status int, stdout string) {
		t.Helper()
		got := run(ctx, args...)
		if got.status != status || !regexp.MustCompile(`^(?s:`+stdout+`)$`).MatchString(got.stdout) || (status == exitOK) != (got.stderr == "") {
			t.Errorf("%s: %+v", args, got)
		}
	}
	want(append([]string{"set", "totp_step=100ms"}, at...), exitOK, "")
	want(append([]string{"code"}, at...), exitOK, `\d{6}\n`)
	want(append([]string{"code", "--serial", acc.Users[1].Devices[1].SerialNumber}, at...), exitOK, `\d{6}\n`)
	want(append([]string{"account"}, at...), exitOK, `\{"endpoint":"`+acc.Endpoint+`","accountId":"111122223333","users":\[.*"accessKeyId":"`+
		acc.Users[0].AccessKeys[0].AccessKeyID+`".*\n`)
	want(append([]string{"set", "key." + acc.Users[0].AccessKeys[0].AccessKeyID + "=deleted"}, at...), exitOK, "")
	want(append([]string{"account"}, at...), exitOK, `.*"userName":"ann","arn":"[^"]*","accessKeys":\[\],.*\n`)
	want(append([]string{"code", "--serial", "arn:nobody"}, at...), exitError, "")
	want(append([]string{"log"}, at...), exitOK, "")

	client := &http.Client{Transport: &http.Transport{TLSClientConfig: insecure()}}
	resp, err := client.Get(acc.Endpoint + "/?Action=GetUser&Version=2010-05-08&SerialNumber=%1b%5bx")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	want(append([]string{"log"}, at...), exitOK, `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ +GetUser +- +\?\[x  MissingAuthenticationToken\n`)
	want(append([]string{"log", "--json"}, at...), exitOK, `\{"time":"[^"]*","action":"GetUser","accessKeyId":"","serialNumber":"[^"]*","result":"MissingAuthenticationToken",.*\}\n`)
	want(append([]string{"set", "colour=red"}, at...), exitError, "")
	want(append([]string{"reset"}, at...), exitOK, "")
	want(append([]string{"log"}, at...), exitOK, "")
}

func TestLogFollowEndsWithTheAccount(t *testing.T) {
	t.Parallel()
	acc, stop := serve(t)
	stdout := &buffer{}
	ended := make(chan int, 1)
	go func() {
		a := &app{stdout: stdout, stderr: io.Discard, now: time.Now}
		ended <- a.run(t.Context(), []string{"log", "--follow", "--json", "--endpoint", acc.Endpoint})
	}()
	resp, err := http.Post(acc.Endpoint, "text/plain", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	eventually(t, func() bool { return strings.Contains(stdout.String(), "MissingAction") })
	stop()
	if status := <-ended; status != exitOK {
		t.Errorf("log --follow ended with %d", status)
	}
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	const hint = "broker-sandbox: hint: run \"broker-sandbox --help\"\n"
	for _, tt := range []struct{ line, want string }{
		{"fly", `unknown command "fly"`},
		{"serve --nope", "serve: flag provided but not defined: -nope"},
		{"serve now", `serve: unexpected argument "now"`},
		{"serve --listen 0.0.0.0:0", "serve: --listen 0.0.0.0:0 is not a loopback address such as 127.0.0.1:0"},
		{"serve --listen :0", "serve: --listen :0 is not a loopback address such as 127.0.0.1:0"},
		{"serve --listen localhost", "serve: --listen localhost is not host:port"},
		{"code", "code: --endpoint is required"},
		{"code x --endpoint http://127.0.0.1:1", `code: unexpected argument "x"`},
		{"code --endpoint https://sts.amazonaws.com", `code: --endpoint "https://sts.amazonaws.com" is not an http or https URL on loopback`},
		{"log --endpoint ftp://127.0.0.1", `log: --endpoint "ftp://127.0.0.1" is not an http or https URL on loopback`},
		{"log --color", "log: flag provided but not defined: -color"},
		{"set --endpoint http://127.0.0.1:1", "set: no KNOB=VALUE given"},
		{"set --knob", "set: flag provided but not defined: -knob"},
		{"set now=+1m", "set: --endpoint is required"},
		{"account", "account: --endpoint is required"},
		{"account x --endpoint http://127.0.0.1:1", `account: unexpected argument "x"`},
		{"reset all", `reset: unexpected argument "all"`},
		{"reset", "reset: --endpoint is required"},
	} {
		got := run(t.Context(), strings.Fields(tt.line)...)
		if want := "broker-sandbox: error: " + tt.want + "\n" + hint; got.status != exitUsage || got.stdout != "" || got.stderr != want {
			t.Errorf("%s: %d %q, want %q", tt.line, got.status, got.stderr, want)
		}
	}
	if got := run(t.Context()); got.status != exitUsage || got.stderr != help {
		t.Errorf("without a command: %+v", got)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"--help", "-h", "help", "serve --help", "account --help", "code -h", "log --help", "set --help", "reset --help"} {
		got := run(t.Context(), strings.Fields(line)...)
		if got.status != exitOK || got.stderr != "" || !strings.HasPrefix(got.stdout, "NAME:\n   broker-sandbox") {
			t.Errorf("%s: %+v", line, got)
		}
	}
	for name := range commands() {
		if !strings.Contains(help, "\n   "+name+" ") {
			t.Errorf("the help has no %s", name)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	odd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello\n") }))
	defer odd.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	acc, _ := serve(t)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"reset", "--endpoint", other.URL}, "is not a broker-sandbox"},
		{[]string{"reset", "--endpoint", gone.URL}, `is "broker-sandbox serve" running?`},
		{[]string{"log", "--endpoint", gone.URL}, `is "broker-sandbox serve" running?`},
		{[]string{"code", "--endpoint", gone.URL}, `is "broker-sandbox serve" running?`},
		{[]string{"account", "--endpoint", gone.URL}, `is "broker-sandbox serve" running?`},
		{[]string{"account", "--endpoint", odd.URL}, "read the account: "},
		{[]string{"code", "--endpoint", odd.URL}, "read the code: "},
		{[]string{"log", "--endpoint", odd.URL}, "read the log: "},
		{[]string{"serve", "--ready-file", filepath.Join(t.TempDir(), "none", "x")}, "write ready file: "},
		{[]string{"serve", "--listen", strings.TrimPrefix(acc.Endpoint, "http://")}, "listen on 127.0.0.1:"},
	} {
		got := run(t.Context(), tt.args...)
		if got.status != exitError || !strings.HasPrefix(got.stderr, "broker-sandbox: error: ") || !strings.Contains(got.stderr, tt.want) {
			t.Errorf("%s: %+v, want %q", tt.args, got, tt.want)
		}
	}
}

func TestServeEndsOnSignals(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "serve")
			cmd.Env = []string{asProgram + "=1", "TMPDIR=" + t.TempDir(), "GOCOVERDIR=" + t.TempDir()}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasPrefix(line, `{"endpoint":"http://127.0.0.1:`) {
				t.Errorf("%q, %v", line, err)
			}
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("ended with %v", err)
			}
		})
	}
}
