// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"credbroker/internal/testprograms"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

// asGoProgram makes the test binary a program on aws-sdk-go-v2. It needs an
// environment of its own, as the other SDKs do.
const asGoProgram = "AWSCONFIG_GO_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asGoProgram) != "" {
		if err := goProgram(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// seenBySDK is what a program on an SDK answers.
type seenBySDK struct {
	Version string            `json:"version"`
	Login   bool              `json:"login"`
	Who     map[string]string `json:"who"`
	Detail  map[string]string `json:"detail"`
	// Settings are those of profile dev, by directory and key.
	Settings map[string]map[string]string `json:"settings"`
}

// goProgram is testdata/sdks/as_botocore.py for Go.
func goProgram(in io.Reader, out io.Writer) error {
	var dirs []string
	if err := json.NewDecoder(in).Decode(&dirs); err != nil {
		return err
	}
	seen := seenBySDK{Version: aws.SDKVersion, Login: true, Who: map[string]string{}, Detail: map[string]string{}, Settings: map[string]map[string]string{}}
	for _, dir := range dirs {
		name, err := goWho(dir)
		if seen.Who[dir] = name; errors.Is(err, errGoCrashed) {
			continue
		}
		if shared, err := config.LoadSharedConfigProfile(context.Background(), "dev", func(o *config.LoadSharedConfigOptions) {
			o.ConfigFiles, o.CredentialsFiles = []string{filepath.Join(dir, "config")}, []string{filepath.Join(dir, "credentials")}
		}); err == nil {
			seen.Settings[dir] = map[string]string{"region": shared.Region, "endpoint_url": shared.BaseEndpoint}
		}
		if err != nil {
			seen.Detail[dir] = err.Error()
		}
	}
	return json.NewEncoder(out).Encode(seen)
}

// errGoCrashed is that of a panic of the SDK's: no program survives it.
var errGoCrashed = errors.New("the SDK panicked")

func goWho(dir string) (name string, err error) {
	defer func() {
		if recover() != nil {
			name, err = SourceRefused, errGoCrashed
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithSharedConfigProfile("dev"),
		config.WithSharedConfigFiles([]string{filepath.Join(dir, "config")}),
		config.WithSharedCredentialsFiles([]string{filepath.Join(dir, "credentials")}),
		config.WithHTTPClient(&http.Client{Transport: inPlace{}}),
		config.WithRetryMaxAttempts(1),
		config.WithDefaultRegion("eu-west-1"))
	if err != nil {
		return SourceRefused, err
	}
	sources := cfg.Credentials.(*aws.CredentialsCache).ProviderSources()
	has := func(s ...aws.CredentialSource) bool {
		return slices.ContainsFunc(s, func(s aws.CredentialSource) bool { return slices.Contains(sources, s) })
	}
	switch {
	case has(aws.CredentialSourceSSO, aws.CredentialSourceSSOLegacy):
		return SourceSSO, nil
	case has(aws.CredentialSourceLogin):
		return SourceLogin, nil
	case has(aws.CredentialSourceProfileSTSWebIDToken):
		return SourceWebIdentity, nil
	}
	creds, err := cfg.Credentials.Retrieve(ctx)
	if err != nil && has(aws.CredentialSourceProcess) {
		return "other", err // it ran something, which is all that counts here
	}
	if err != nil {
		return SourceRefused, err
	}
	return creds.AccessKeyID, nil
}

// inPlace answers what STS and the metadata service are asked; nothing else is
// reached.
type inPlace struct{}

func (inPlace) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := ""
	switch {
	case strings.HasPrefix(r.URL.Host, "sts."):
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		form, _ := url.ParseQuery(string(body))
		_, caller, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		caller, _, _ = strings.Cut(caller, ",")
		words := strings.Split(caller, "/")
		caller = strings.Join(words[:len(words)-4], "/")
		role := form.Get("RoleArn")
		answer = `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>role/` +
			role[strings.LastIndexByte(role, '/')+1:] + "(" + caller + ")</AccessKeyId><SecretAccessKey>x</SecretAccessKey><SessionToken>x</SessionToken>" +
			"<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
	case r.URL.Host != "169.254.169.254":
		return nil, errors.New("nothing else is reached: " + r.URL.Host)
	case r.Method == http.MethodPut:
		answer = "token"
	case strings.HasSuffix(r.URL.Path, "/security-credentials/"):
		answer = "machine"
	default:
		answer = `{"Code":"Success","AccessKeyId":"none","SecretAccessKey":"x","Token":"x","Expiration":"2099-01-01T00:00:00Z"}`
	}
	head := http.Header{"X-Aws-Ec2-Metadata-Token-Ttl-Seconds": {"21600"}}
	return &http.Response{StatusCode: http.StatusOK, Header: head, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
}

// holdAgainst runs a program on an SDK over the table.
func holdAgainst(t *testing.T, name SDK, want func(readingCase) string, environ []string, program string, args ...string) {
	t.Helper()
	cases, dirs := append(readingCases(), settingCases()...), []string{}
	home, bin := t.TempDir(), t.TempDir()
	for _, name := range []string{"broker", "other"} {
		id := name
		if name == "broker" {
			id = "broker-$last"
		}
		script := "#!/bin/sh\nfor last; do :; done\n" +
			`echo "{\"Version\":1,\"AccessKeyId\":\"` + id + `\",\"SecretAccessKey\":\"x\",\"SessionToken\":\"x\"}"` + "\n"
		if err := testprograms.Write(filepath.Join(bin, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(bin, "token"), "token")
	for _, tc := range cases {
		dir := t.TempDir()
		tc.written(t, dir, bin)
		dirs = append(dirs, dir)
	}
	in, err := json.Marshal(dirs)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir, cmd.Stdin = home, bytes.NewReader(in)
	cmd.Env = append([]string{
		"HOME=" + home, "PATH=" + os.Getenv("PATH"), "AWS_REGION=eu-west-1",
		"AWS_ACCESS_KEY_ID=named", "AWS_SECRET_ACCESS_KEY=x", // for credential_source = Environment
	}, environ...)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("%s: %v\n%s", program, err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var seen seenBySDK
	if err := json.Unmarshal(out, &seen); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	t.Logf("%s: version %s", program, seen.Version)
	for i, tc := range cases {
		if !seen.Login && strings.Contains(tc.config, loginLine) {
			continue // from before aws login
		}
		holdSettings(t, tc, name, Files{filepath.Join(dirs[i], "config"), filepath.Join(dirs[i], "credentials")}, seen.Settings[dirs[i]])
		if want(tc) == "" {
			continue // of settingCases
		}
		if got := seen.Who[dirs[i]]; got != want(tc) {
			t.Errorf("%s: the SDK comes to %s, the table has %s (%s)", tc.name, got, want(tc), seen.Detail[dirs[i]])
		}
	}
}

// holdSettings compares what an SDK uses of profile dev with what we think that
// it reads. An SDK that refuses the profile answers nothing.
func holdSettings(t *testing.T, tc readingCase, name SDK, files Files, got map[string]string) {
	t.Helper()
	r, err := ReadAsSDKs(files)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range r.sdks {
		for key, value := range got {
			p := r.views[i].profiles["dev"]
			if want := r.views[i].value(name, p, key).value; s.name == name && value != want {
				t.Errorf("%s: the SDK has %s %q, we think %q", tc.name, key, value, want)
			}
		}
	}
}

// TestReadingsOfGo: the column gov2 is what aws-sdk-go-v2 does.
func TestReadingsOfGo(t *testing.T) {
	t.Parallel()
	holdAgainst(t, Go, func(tc readingCase) string { return tc.gov2 }, []string{asGoProgram + "=1"}, os.Args[0])
}

// TestReadingsOfBotocore: the column botocore is what it does, in each release
// at hand: that of the first python3, and the one inside Debian's awscli.
func TestReadingsOfBotocore(t *testing.T) {
	t.Parallel()
	script, err := filepath.Abs(filepath.Join("testdata", "sdks", "as_botocore.py"))
	if err != nil {
		t.Fatal(err)
	}
	for _, python := range pythons(t) {
		t.Run(strings.ReplaceAll(python, "/", "-"), func(t *testing.T) {
			t.Parallel()
			holdAgainst(t, Botocore, func(tc readingCase) string { return tc.botocore }, []string{"AWS_EC2_METADATA_DISABLED=true"}, python, script)
		})
	}
}
