// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// granted, and the name of its stores of IAM users' keys.
const (
	granted      = "granted"
	grantedStore = "granted-aws-iam-credentials"
)

func openGranted(a *app, _ importOptions, config *awsconfig.Config) (importSource, error) {
	stores, err := a.grantedStores()
	if err != nil {
		return nil, err
	}
	return newForeignSource(a, config, passphraseOf{variable: "CF_KEYRING_FILE_PASSWORD", blank: true}, stores,
		"see where granted keeps its keys: the section Keyring of its config"), nil
}

// foundGranted reports a directory with something in it, or a profile that
// granted serves from its own store.
func foundGranted(a *app) string {
	dir, err := a.grantedDir()
	if err != nil {
		return ""
	}
	if files := filepath.Join(dir, "secure-storage-aws-iam-credentials"); holdsFiles(files) {
		return "granted's files in " + files
	}
	config, err := a.AWSConfig()
	if err != nil {
		return ""
	}
	for _, name := range config.Profiles() {
		if p, ok := config.Profile(name); ok && strings.HasPrefix(p.Get("credential_process"), "granted credential-process ") {
			return "granted, by " + p.Where("credential_process").String()
		}
	}
	return ""
}

// grantedDir is where granted keeps what is its own.
func (a *app) grantedDir() (string, error) {
	dir, err := a.inHome("~/.granted")
	if err != nil {
		return "", err
	}
	if xdg := a.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(xdg) {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return filepath.Join(xdg, granted), nil
		}
	}
	return dir, nil
}

// grantedStores returns where granted may keep keys: the store that its config
// names, else all of them, in the order in which it prefers them.
func (a *app) grantedStores() ([]foreignStore, error) {
	dir, err := a.grantedDir()
	if err != nil {
		return nil, err
	}
	settings, err := grantedKeyring(filepath.Join(dir, "config"))
	if err != nil {
		return nil, err
	}
	chosen := settings["Backend"]
	var stores []foreignStore
	for _, backend := range foreignOrder() {
		if chosen != "" && chosen != backend || !slices.Contains(backends(), backend) {
			continue
		}
		store, ok, err := a.grantedStore(backend, dir, settings)
		if err != nil {
			return nil, err
		}
		if ok {
			store.chosen = chosen != ""
			stores = append(stores, store)
		}
	}
	if chosen != "" && len(stores) == 0 {
		return nil, client.WithHint(errNoStore(granted, chosen), "store the key by hand: broker add PROFILE")
	}
	return stores, nil
}

func (a *app) grantedStore(backend, dir string, settings map[string]string) (store foreignStore, ok bool, err error) {
	switch backend {
	case client.BackendFile:
		dir, err := a.inHome(cmp.Or(settings["FileDir"], filepath.Join(dir, "secure-storage-aws-iam-credentials")))
		return a.fileStore(granted, dir), true, err
	case client.BackendSecretService:
		return a.collectionStore(granted, cmp.Or(settings["LibSecretCollectionName"], grantedStore)), true, nil
	case client.BackendKeychain:
		return a.keychainStore(granted, cmp.Or(settings["KeychainName"], "login")), true, nil
	case client.BackendWinCred:
		return a.credentialStore(granted), true, nil
	}
	dir, err = a.inHome(cmp.Or(settings["PassDir"], a.Getenv("PASSWORD_STORE_DIR"), "~/.password-store"))
	if err != nil {
		return store, false, err
	}
	store, ok = a.passStore(granted, "", dir, grantedStore)
	return store, ok, nil
}

// grantedKeyring reads the section Keyring of granted's config, which is TOML as
// its own library writes it. A file that is not there says nothing.
func grantedKeyring(path string) (map[string]string, error) {
	settings := map[string]string{}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return settings, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read granted's config: %w", err)
	}
	// Compiled here: the helper, too, would pay for it at each start.
	setting := regexp.MustCompile(`^([A-Za-z]+)\s*=\s*(?:"([^"\\]*)"|'([^']*)')\s*(?:#.*)?$`)
	within, n := false, 0
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		n++
		text := strings.TrimSpace(lines.Text())
		switch {
		case strings.HasPrefix(text, "["):
			section, _, _ := strings.Cut(text, "#")
			within = strings.Join(strings.Fields(section), "") == "[Keyring]"
		case !within || text == "" || text[0] == '#':
		default:
			m := setting.FindStringSubmatch(text)
			if m == nil {
				return nil, client.Errorf(ipc.CodeConfigBroken, "%s:%d: broker does not understand this line of granted's", path, n)
			}
			settings[m[1]] = m[2] + m[3]
		}
	}
	return settings, lines.Err()
}
