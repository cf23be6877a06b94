// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
	"credbroker/internal/secret"
)

// awsVaultTime is for one run of aws-vault: its store may ask its user, who
// needs up to a minute.
const awsVaultTime = 90 * time.Second

// maxExport is the most that aws-vault may print, in bytes: a document of a few
// hundred, or a list of names.
const maxExport = 1 << 20

// awsVaultProgram takes keys through aws-vault's own commands, on whose terminal
// it asks what it has to.
type awsVaultProgram struct {
	a     *app
	path  string
	limit time.Duration     // of one run
	taken map[string]string // access key IDs by profile
}

var _ importSource = (*awsVaultProgram)(nil)

func (s *awsVaultProgram) list(ctx context.Context) ([]candidate, error) {
	names, err := s.names(ctx)
	found := []candidate{}
	for _, name := range names {
		found = append(found, candidate{profile: name, where: "aws-vault (" + s.path + ")", leave: awsconfig.ValidProfileName(name)})
	}
	return found, err
}

func (s *awsVaultProgram) names(ctx context.Context) ([]string, error) {
	out, err := s.run(ctx, "list", "--credentials")
	if err != nil {
		return nil, err
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		if name := strings.TrimRight(line, "\r\n"); name != "" {
			names = append(names, name)
		}
	}
	return names, nil
}

// exported is what aws-vault prints of a key, in the form of credential_process.
type exported struct {
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey secret.String
	SessionToken    secret.String
}

func (s *awsVaultProgram) take(ctx context.Context, c candidate) (takenKey, error) {
	key, err := s.export(ctx, c.profile)
	if err != nil {
		return takenKey{}, err
	}
	s.taken[c.profile] = key.AccessKeyID
	return takenKey{key.AccessKeyID, s.a.putPair(key, false)}, nil
}

// export asks for a key as it is stored. That aws-vault reads no AWS config for
// it keeps it from assuming a role, which may even be one of [default]: it would
// then hand out that role's credentials in the key's place.
func (s *awsVaultProgram) export(ctx context.Context, name string) (keyPair, error) {
	out, err := s.run(ctx, "export", "--no-session", "--format=json", "--", name)
	if err != nil {
		return keyPair{}, err
	}
	defer clear(out)
	var document exported
	if err := json.Unmarshal(out, &document); err != nil {
		return keyPair{}, s.failure("export", "what it printed is no credentials", name)
	}
	if !document.SessionToken.IsZero() {
		return keyPair{}, keyInvalid("aws-vault gave temporary credentials for "+name+" in place of the stored key", "store the key by hand: broker add PROFILE")
	}
	key := keyPair{document.AccessKeyID, document.SecretAccessKey}
	return key, key.check()
}

// drop has aws-vault remove the keys, each only while it still is the one that
// was taken.
func (s *awsVaultProgram) drop(ctx context.Context, profiles []string) ([]droppedKey, error) {
	var dropped []droppedKey
	var failed error
	for _, profile := range profiles {
		d := droppedKey{Profile: profile, AccessKeyID: s.taken[profile], Where: "aws-vault (" + s.path + ")"}
		if err := s.remove(ctx, profile); err != nil {
			d.Why = client.AsCoded(err).Message
			failed = cmp.Or(failed, err)
		}
		dropped = append(dropped, d)
	}
	return dropped, failed
}

func (s *awsVaultProgram) remove(ctx context.Context, name string) error {
	key, err := s.export(ctx, name)
	if err != nil {
		return err
	}
	if key.AccessKeyID != s.taken[name] {
		return s.failure("remove", "it has another key now, "+key.AccessKeyID, name)
	}
	if _, err := s.run(ctx, "remove", "--force", "--", name); err != nil {
		return err
	}
	names, err := s.names(ctx)
	if err == nil && slices.Contains(names, name) {
		err = s.failure("remove", "it still lists the key", name)
	}
	return err
}

// run runs aws-vault on the user's terminal and returns what it printed, of
// which no error says anything.
func (s *awsVaultProgram) run(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.path, args...)
	cmd.Env = awsVaultEnv(s.a.Env)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.a.Stdin, &capped{&out, maxExport}, s.a.Stderr
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	var status *exec.ExitError
	switch {
	case err == nil:
		return out.Bytes(), nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		clear(out.Bytes())
		late := s.failure(args[0], fmt.Sprintf("it did not end within %v", s.limit), args[1:]...)
		late.Code = ipc.CodeSourceTimeout
		return nil, late
	case errors.As(err, &status):
		err = fmt.Errorf("%v", status.ProcessState)
	}
	clear(out.Bytes())
	return nil, s.failure(args[0], err.Error(), args[1:]...)
}

// failure is that of one command of aws-vault.
func (s *awsVaultProgram) failure(command, why string, args ...string) *ipc.Error {
	line := strings.Join(append([]string{awsVault, command}, args...), " ")
	err := client.Errorf(ipc.CodeSourceFailed, "%s: %s", line, why)
	err.Hint = "see what it says by itself: " + awsVault + " list"
	return err
}

// awsVaultEnv is the caller's environment without what would have aws-vault
// refuse to work, or assume a role.
func awsVaultEnv(env []string) []string {
	without := []string{
		"AWS_VAULT", "AWS_CONFIG_FILE", "AWS_PROFILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME",
		"AWS_SESSION_TAGS", "AWS_TRANSITIVE_TAGS", "AWS_SOURCE_IDENTITY",
	}
	env = slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(without, name)
	})
	return append(env, "AWS_CONFIG_FILE="+os.DevNull)
}

// capped is a writer that fails beyond a number of bytes.
type capped struct {
	w    io.Writer
	left int
}

func (c *capped) Write(p []byte) (int, error) {
	if len(p) > c.left {
		return 0, errors.New("it printed too much")
	}
	c.left -= len(p)
	return c.w.Write(p)
}
