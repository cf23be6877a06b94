// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// here says why a store that exists elsewhere is refused on this platform.
func here(backend string) string {
	switch {
	case backend == client.BackendKeychain && missingStore != "":
		return ": " + missingStore
	case slices.Contains([]string{client.BackendKeychain, client.BackendPass, client.BackendSecretService, client.BackendWinCred}, backend):
		return " on this system"
	}
	return ""
}

// platformStore is the store to try first.
func (a *app) platformStore() string {
	if nativeStore == client.BackendSecretService && a.SessionBus() == "" {
		return client.BackendFile
	}
	return nativeStore
}

// passSettings finds what pins a password store: the program in a directory of
// the system's, and what the environment says of places. From then on no
// environment counts.
func (a *app) passSettings(home string) (awsconfig.VaultSettings, error) {
	s := awsconfig.VaultSettings{
		Backend: client.BackendPass, PasswordStoreDir: filepath.Join(home, ".password-store"), GnuPGHome: a.Getenv("GNUPGHOME"),
	}
	if dir := a.Getenv("PASSWORD_STORE_DIR"); dir != "" {
		s.PasswordStoreDir = dir
	}
	for name, path := range map[string]string{"PASSWORD_STORE_DIR": s.PasswordStoreDir, "GNUPGHOME": s.GnuPGHome} {
		if path != "" && !filepath.IsAbs(path) {
			return s, client.Usagef("%s is %s, which is no absolute path", name, path)
		}
	}
	dirs := []string{"/usr/local/bin", "/usr/bin", "/bin"} // as in a worker's PATH
	for _, dir := range dirs {
		s.PassProgram = filepath.Join(dir, "pass")
		if _, err := os.Stat(s.PassProgram); err == nil {
			return s, nil
		}
	}
	err := client.Errorf(ipc.CodeKeychainGone, "there is no program pass in %s", strings.Join(dirs, ", "))
	err.Hint = "install pass and GnuPG from the system's packages, then: pass init KEY-ID"
	return s, err
}
