// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"os/exec"
	"slices"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
)

const awsVault = "aws-vault"

// openAWSVault takes keys through aws-vault itself where it is installed: it
// knows stores that broker does not, and is the one that its store asks about.
// Otherwise its stores are read.
func openAWSVault(a *app, _ importOptions, config *awsconfig.Config) (importSource, error) {
	if path, err := exec.LookPath(awsVault); err == nil {
		return &awsVaultProgram{a: a, path: path, limit: awsVaultTime, taken: map[string]string{}}, nil
	}
	stores, err := a.awsVaultStores()
	if err != nil {
		return nil, err
	}
	return newForeignSource(a, config, passphraseOf{variable: "AWS_VAULT_FILE_PASSPHRASE"}, stores,
		"set AWS_VAULT_BACKEND and its other variables as for aws-vault, or install it: then broker asks it for its keys"), nil
}

// foundAWSVault reports the program, or its directory with something in it.
func foundAWSVault(a *app) string {
	if path, err := exec.LookPath(awsVault); err == nil {
		return path
	}
	if dir, err := a.awsVaultDir(); err == nil && holdsFiles(dir) {
		return "aws-vault's files in " + dir
	}
	return ""
}

func (a *app) awsVaultDir() (string, error) {
	return a.inHome(cmp.Or(a.Getenv("AWS_VAULT_FILE_DIR"), "~/.awsvault/keys"))
}

// awsVaultStores returns where aws-vault may keep its keys: the store that
// AWS_VAULT_BACKEND names, else all of them, in the order in which it prefers
// them. Its variables count as for itself.
func (a *app) awsVaultStores() ([]foreignStore, error) {
	chosen := a.Getenv("AWS_VAULT_BACKEND")
	var stores []foreignStore
	for _, backend := range foreignOrder() {
		if chosen != "" && chosen != backend || !slices.Contains(backends(), backend) {
			continue
		}
		if chosen == "" && backend == client.BackendPass && a.Getenv("AWS_VAULT_PASS_PREFIX") == "" {
			continue // without a folder of aws-vault's it is somebody's passwords
		}
		store, ok, err := a.awsVaultStore(backend)
		if err != nil {
			return nil, err
		}
		if ok {
			store.chosen = chosen != ""
			stores = append(stores, store)
		}
	}
	if chosen != "" && len(stores) == 0 {
		err := errNoStore(awsVault, chosen)
		return nil, client.WithHint(err, "install aws-vault, through which broker then asks for its keys, or unset AWS_VAULT_BACKEND")
	}
	return stores, nil
}

// foreignOrder is the order in which the keyring library tries its stores.
func foreignOrder() []string {
	return []string{client.BackendWinCred, client.BackendKeychain, client.BackendSecretService, client.BackendPass, client.BackendFile}
}

func (a *app) awsVaultStore(backend string) (store foreignStore, ok bool, err error) {
	switch backend {
	case client.BackendFile:
		dir, err := a.awsVaultDir()
		return a.fileStore(awsVault, dir), true, err
	case client.BackendSecretService:
		return a.collectionStore(awsVault, cmp.Or(a.Getenv("AWS_VAULT_SECRET_SERVICE_COLLECTION_NAME"), "awsvault")), true, nil
	case client.BackendKeychain:
		return a.keychainStore(awsVault, cmp.Or(a.Getenv("AWS_VAULT_KEYCHAIN_NAME"), awsVault)), true, nil
	case client.BackendWinCred:
		return a.credentialStore(awsVault), true, nil
	}
	dir, err := a.inHome(cmp.Or(a.Getenv("AWS_VAULT_PASS_PASSWORD_STORE_DIR"), a.Getenv("PASSWORD_STORE_DIR"), "~/.password-store"))
	if err != nil {
		return store, false, err
	}
	store, ok = a.passStore(awsVault, a.Getenv("AWS_VAULT_PASS_CMD"), dir, a.Getenv("AWS_VAULT_PASS_PREFIX"))
	return store, ok, nil
}
