// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// The corpus asks thousands of times who somebody is. A program for each would
// take an hour, so those that ask are servers: each answers one line of JSON
// with another. What is expensive to start is started once; what an SDK keeps
// in memory is made anew for each question.

// corpusClientMark makes the test binary the server on aws-sdk-go-v2.
const corpusClientMark = "E2E_CORPUS_CLIENT"

// question is what a server is asked. See testdata/clients.py.
type question struct {
	Op       string            `json:"op"`
	Env      map[string]string `json:"env,omitempty"`
	Endpoint string            `json:"endpoint,omitempty"`
	Region   string            `json:"region,omitempty"` // for profiles that have none
	Profiles []string          `json:"profiles,omitempty"`
	Commands [][]string        `json:"commands,omitempty"`
}

// reply is what it answers.
type reply struct {
	Error      string     `json:"error,omitempty"`
	Identities []identity `json:"identities,omitempty"`
	Results    []struct {
		Status         int
		Stdout, Stderr string
	} `json:"results,omitempty"`
	Config *botoConfig `json:"config,omitempty"`
}

// identity is who an SDK is as one profile.
type identity struct {
	Profile     string `json:"profile"`
	ARN         string `json:"ARN,omitempty"`
	AccessKeyID string `json:"AccessKeyID,omitempty"`
	Error       string `json:"error,omitempty"`
}

// botoConfig is what botocore makes of the files: a value is a text, or a map
// of texts where the file has a nested block.
type botoConfig struct {
	Profiles    map[string]map[string]any `json:"profiles"`
	SSOSessions map[string]map[string]any `json:"sso_sessions"`
	Services    map[string]map[string]any `json:"services"`
}

// runAsCorpusClient serves questions until stdin ends.
func runAsCorpusClient() bool {
	if os.Getenv(corpusClientMark) == "" {
		return false
	}
	questions, replies := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var q question
		if err := questions.Decode(&q); err != nil {
			return true
		}
		var r reply
		for _, profile := range q.Profiles {
			id := identity{Profile: profile}
			if err := id.ask(q); err != nil {
				id.Error = err.Error()
			}
			r.Identities = append(r.Identities, id)
		}
		if err := replies.Encode(r); err != nil {
			return true
		}
	}
}

func (id *identity) ask(q question) error {
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx, config.WithSharedConfigProfile(id.Profile))
	if err != nil {
		return err
	}
	if cfg.Region == "" {
		cfg.Region = q.Region
	}
	creds, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return err
	}
	id.AccessKeyID = creds.AccessKeyID
	out, err := sts.NewFromConfig(cfg, func(o *sts.Options) { o.BaseEndpoint = &q.Endpoint }).GetCallerIdentity(ctx, nil)
	if err != nil {
		return err
	}
	id.ARN = *out.Arn
	return nil
}

// client is a running server.
type client struct {
	name    string
	cli     bool // it has the AWS CLI in it
	boto3   bool
	w       *world
	stdin   io.Writer
	stdout  *bufio.Reader
	stderr  *bytes.Buffer
	process *exec.Cmd
}

// serveClient starts a server in a world, with the variables that every SDK
// gets: an endpoint of its own kind is what a profile may ask for, and the
// pretend account has one endpoint.
func (w *world) serveClient(name string, cmd *exec.Cmd, more ...string) *client {
	w.t.Helper()
	cmd.Dir = "/"
	cmd.Env = append(append(slices.Clone(w.env), more...), "AWS_USE_FIPS_ENDPOINT=false", "AWS_USE_DUALSTACK_ENDPOINT=false", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_PAGER=", "AWS_MAX_ATTEMPTS=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c := &client{name: name, w: w, stderr: &bytes.Buffer{}, process: cmd}
	cmd.Stderr = c.stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	c.stdin, c.stdout = stdin, bufio.NewReaderSize(stdout, 1<<20)
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = stdin.Close() // at which it ends; it may have ended
		_ = cmd.Wait()    // the status says nothing more
	})
	return c
}

// ask puts one question.
func (c *client) ask(t *testing.T, q question) reply {
	t.Helper()
	data, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.stdin.Write(append(data, '\n')); err != nil {
		t.Fatalf("%s: %v\n%s", c.name, err, c.stderr)
	}
	var r reply
	c.read(t, &r)
	return r
}

func (c *client) read(t *testing.T, v any) {
	t.Helper()
	line, err := c.stdout.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, v)
	}
	if err != nil {
		t.Fatalf("%s: %v in %q\n%s", c.name, err, line, c.stderr)
	}
}

// goServer starts the server on aws-sdk-go-v2.
func (w *world) goServer() *client {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(self)
	return w.serveClient("aws-sdk-go-v2", cmd, corpusClientMark+"=1")
}

// pythonServers starts a server in each interpreter that has botocore or the
// AWS CLI.
func (w *world) pythonServers(interpreters []string) []*client {
	w.t.Helper()
	var servers []*client
	script, err := filepath.Abs("testdata/clients.py")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, python := range interpreters {
		c := w.serveClient(python, exec.Command(python, script))
		var has map[string]string
		c.read(w.t, &has)
		c.cli, c.boto3 = has["awscli"] != "", has["boto3"] != ""
		if c.cli || has["botocore"] != "" {
			c.name = fmt.Sprintf("%s with awscli %q, boto3 %q, botocore %q", python, has["awscli"], has["boto3"], has["botocore"])
			servers = append(servers, c)
		}
	}
	return servers
}

// interpreters returns the paths of Pythons that may have botocore or the AWS
// CLI: whatever python3 is, and what the aws commands run in.
func interpreters() []string {
	found := map[string]bool{}
	if python, err := exec.LookPath("python3"); err == nil {
		out, err := exec.Command(python, "-c", "import sys; print(sys.executable)").Output()
		if err == nil {
			found[strings.TrimSpace(string(out))] = true
		}
	}
	for _, dir := range filepath.SplitList(systemPath()) {
		data, err := os.ReadFile(filepath.Join(dir, "aws"))
		first, _, _ := strings.Cut(string(data), "\n")
		if python, ok := strings.CutPrefix(first, "#!"); err == nil && ok && strings.Contains(python, "python") && !strings.Contains(python, " ") {
			found[python] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}
