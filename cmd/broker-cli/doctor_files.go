// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"credbroker/internal/awsconfig"
)

// checkFiles looks at who may read and write what.
func (d *doctor) checkFiles(context.Context) string {
	const (
		othersWrite = 0o022
		othersRead  = 0o077
	)
	socketDir := filepath.Dir(d.places.Socket)
	if socketDir == d.places.StateDir || !hasModes { // said once; a pipe has none
		socketDir = ""
	}
	config := fs.FileMode(othersWrite)
	if strings.Contains(d.settings.AWS.HTTPSProxy, "@") {
		config = othersRead // it has the password of a proxy
	}
	for _, f := range []struct {
		path   string
		forbid fs.FileMode // bits that must not be set
	}{
		{filepath.Dir(d.files.Config), othersWrite},
		{d.files.Config, othersWrite}, // it holds no secret; see checkKeys for those that do
		{d.files.Credentials, othersRead},
		{filepath.Dir(d.places.ConfigFile), othersWrite},
		{d.places.ConfigFile, config},
		{d.settings.Vault.PassphraseFile, othersRead},
		{d.places.StateDir, othersRead},
		{d.places.StateFile, othersRead},
		{d.places.VaultDir, othersRead},
		{socketDir, othersRead}, // brokerd does not serve there
	} {
		d.checkMode(f.path, f.forbid)
	}
	return "nobody else can change them, or read what is secret"
}

// checkMode reports a file of the user's that others may read or write. A file
// of the system is none of the user's business, and one that is missing is
// another check's.
func (d *doctor) checkMode(path string, forbid fs.FileMode) {
	if path == "" {
		return
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		d.failed(levelProblem, err)
		return
	}
	open := info.Mode().Perm() & forbid
	if open == 0 || info.IsDir() && info.Mode()&fs.ModeSticky != 0 || !hasModes {
		return
	}
	what, fix := "read", "go-rwx"
	if open&0o022 != 0 {
		what = "write"
		if forbid == 0o022 {
			fix = "go-w"
		}
	}
	d.at(awsconfig.Pos{File: path}, finding{
		Level:   levelProblem,
		Message: fmt.Sprintf("mode %04o lets others %s it", info.Mode().Perm(), what),
		Hint:    fmt.Sprintf("chmod %s %s", fix, quoted(path)),
	})
}

// quoted returns a path as a shell takes it for one word.
func quoted(path string) string {
	if strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@:,") == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
