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

// checkKeys looks for long-lived keys in the AWS files: whoever reads the file
// has them, and SDKs prefer them to broker.
func (d *doctor) checkKeys(context.Context) string {
	config, err := awsconfig.Load(d.files)
	if err != nil {
		d.failed(levelProblem, err)
		return ""
	}
	d.config = config
	for _, name := range config.Profiles() {
		p, _ := config.Profile(name)
		id := p.Get("aws_access_key_id")
		if id == "" {
			continue
		}
		f := finding{Level: levelProblem, Profile: name}
		switch stored, ok := d.keys[name]; {
		case p.Get("aws_session_token") != "":
			f.Level = levelNote
			f.Message = fmt.Sprintf("profile %s has temporary credentials in this file; SDKs use them, expired or not", name)
			f.Hint = "remove them, and what writes them: broker renews such credentials by itself"
		case ok && stored == id:
			f.Message = fmt.Sprintf("profile %s has its key%s in this file too: SDKs use it and pass broker by", name, keyID(id))
			f.Hint = "the key is stored: remove aws_access_key_id and aws_secret_access_key from the file"
		case ok:
			f.Message = fmt.Sprintf("profile %s has another key%s in this file than the stored one: SDKs use it and pass broker by", name, keyID(id))
			f.Hint = fmt.Sprintf("store it in place of the other (broker add %s --replace), or remove its lines", name)
		default:
			f.Message = fmt.Sprintf("profile %s has a key%s in plain text", name, keyID(id))
			f.Hint = fmt.Sprintf("store it, then remove its lines: broker add %s", name)
		}
		d.at(p.Where("aws_access_key_id"), f)
	}
	return "none in the AWS files"
}

// checkShapes looks for what SDKs read differently.
func (d *doctor) checkShapes(context.Context) string {
	if d.config == nil {
		return "not looked at"
	}
	found, err := awsconfig.Disagreements(d.files)
	if err != nil {
		d.failed(levelProblem, err)
		return ""
	}
	for _, f := range found {
		level := levelProblem
		if f.Harmless {
			level = levelNote
		}
		d.at(f.Pos, finding{Level: level, Profile: f.Profile, Message: f.Message, Hint: f.Hint})
	}
	return "every SDK reads the AWS files alike"
}
