// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"credbroker/internal/atomicfile"
	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

// maxOverlay is the longest overlay, in bytes, that is looked into for its
// first line.
const maxOverlay = 32 << 20

// sharedConfig reads the caller's AWS files, which must be those that brokerd
// reads: a child of exec would otherwise see profiles that broker knows nothing
// of, or knows by other properties.
func (a *App) sharedConfig(serves ipc.Serves) (*awsconfig.Config, error) {
	files, err := a.AWSFiles()
	if err != nil {
		return nil, err
	}
	for _, pair := range []struct{ variable, caller, daemon string }{
		{"AWS_CONFIG_FILE", files.Config, serves.AWSConfigFile},
		{"AWS_SHARED_CREDENTIALS_FILE", files.Credentials, serves.AWSCredentialsFile},
	} {
		if !SamePath(pair.caller, pair.daemon) {
			return nil, OtherFile("the child would read", pair.variable, pair.caller, pair.daemon)
		}
	}
	return awsconfig.Load(files)
}

// checkOutranked refuses to start a child that would take the profile's
// credentials from ~/.aws/credentials: SDKs prefer what stands there to the
// config file, whatever that says.
func (a *App) checkOutranked(config *awsconfig.Config, profile string) error {
	key, pos, found := config.SourceInCredentials(profile)
	if !found {
		return nil
	}
	hint := "put it out of use, so that every SDK asks broker: broker wire " + profile
	if strings.HasPrefix(key, "aws_") {
		own, _ := config.Profile(profile)
		keys, _ := a.StoredKeys() // without the index, import finds out
		hint = KeyPairHint(own, keys[profile])
	}
	return &ipc.Error{
		Code:    ipc.CodeRefused,
		Message: fmt.Sprintf("%s: %s of profile %s outranks broker: a child would use it", pos, key, profile),
		Hint:    hint,
	}
}

// sendsToBroker reports whether the user's own files already make SDKs ask
// this broker for a profile, and nothing in them comes before that.
func sendsToBroker(config *awsconfig.Config, exe, profile string) bool {
	program, ok := config.Helper(profile)
	return ok && SamePath(program, exe)
}

// overlay returns the path of the config file that the child is to use in
// place of the user's, or "" when the user's own does. It knows no life of the
// credentials, so one that is given takes an overlay.
func (a *App) overlay(config *awsconfig.Config, serves ipc.Serves, profile string, life Lifespan) (string, error) {
	exe, err := a.Sibling("broker")
	if err != nil {
		return "", err
	}
	if life == 0 && sendsToBroker(config, exe, profile) {
		return "", nil
	}
	program, err := a.Program()
	if err != nil {
		program = exe // as good until the next upgrade
	}
	original := config.Files().Config
	data, err := os.ReadFile(original)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the AWS config: %w", err)
	}
	text, err := awsconfig.Overlay(awsconfig.OverlayOptions{
		Original: original, Config: data, Served: serves.Profiles, Broker: program,
		Lives: map[string]time.Duration{profile: time.Duration(life)},
	})
	clear(data)
	if err != nil {
		return "", err
	}
	return writeOverlay(serves.OverlayDir, text)
}

// writeOverlay writes an overlay under a name that says whose it is: the login
// session, by its leader's pid and start time, and the content. The daemon
// removes it when that session is gone, not we: the child may leave programs
// behind that go on using it.
func writeOverlay(dir string, text []byte) (string, error) {
	leader, started, err := ipc.LoginSession()
	if err != nil {
		return "", fmt.Errorf("write the overlay: %w", err)
	}
	sum := fnv.New64a()    // tells one content from another, protects nothing
	_, _ = sum.Write(text) // never fails
	path := filepath.Join(dir, fmt.Sprintf("%d-%d-%016x.config", leader, started, sum.Sum64()))
	if there, err := atomicfile.Read(path, maxOverlay); err == nil && bytes.Equal(there, text) {
		return path, nil // an exec before this one made it, and its child may read it now
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("write the overlay: %w", err)
	}
	if err := atomicfile.Write(path, text, 0o400); err != nil {
		return "", fmt.Errorf("write the overlay: %w", err)
	}
	return path, nil
}

// overlaid returns the user's own config file behind path, if path is an
// overlay in dir.
func overlaid(dir, path string) (original string, ok bool) {
	if filepath.Dir(filepath.Clean(path)) != filepath.Clean(dir) {
		return "", false
	}
	data, err := atomicfile.Read(path, maxOverlay)
	if err != nil {
		return "", false
	}
	return awsconfig.OverlayOriginal(data)
}
