// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"credbroker/internal/atomicfile"
	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
	"credbroker/internal/paths"
	"credbroker/internal/secret"
)

// initOptions is the command line of broker init.
type initOptions struct {
	backend        string // empty: the best one that works
	passphraseFile string
	// passphraseStdin makes a vault that opens with the passphrase on standard
	// input.
	passphraseStdin bool
	yes             bool
	json            bool
}

// initResult is the JSON of broker init.
type initResult struct {
	Backend        string `json:"backend"`
	PassphraseFile string `json:"passphraseFile,omitempty"`
	Unlocked       bool   `json:"unlocked,omitempty"` // the vault, with the passphrase it was made with
	PassProgram    string `json:"passProgram,omitempty"`
	StoreDir       string `json:"storeDir,omitempty"`   // of pass
	Note           string `json:"note,omitempty"`       // what this build lacks
	HTTPSProxy     string `json:"httpsProxy,omitempty"` // without a password
	ConfigFile     string `json:"configFile"`
	StateDir       string `json:"stateDir"`
	Changed        bool   `json:"changed"` // false: it was set up already
	initEnvironment
}

func newInitCommand(a *app) *cli.Command {
	return &cli.Command{
		Name:      "init",
		Usage:     "choose the store for keys and write the config",
		UsageText: "broker init [--backend BACKEND] [--passphrase-file FILE | --passphrase-stdin]\n            [--yes] [--json]",
		Description: about(`Tries the stores of this machine by writing, reading and deleting an item, and
pins one: the desktop's own (secret-service on Linux, keychain on macOS, wincred
on Windows), or file, encrypted files. A pass store is used only if asked for.
Files are encrypted with a passphrase that is asked for on a terminal, or with a
passphrase file. The choice never changes by itself. Records the environment that
mfa_command is started with. Run again, it says what is pinned, and records anew.`, "broker init --backend file"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "backend", Usage: "pin this `BACKEND`: " + strings.Join(backends(), ", ")},
			&cli.StringFlag{Name: "passphrase-file", Usage: "`FILE` that opens the file vault; made if missing"},
			switchFlag("passphrase-stdin", "read the passphrase of the file vault from standard input"),
			switchFlag("yes", "take what is found without asking"),
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := a.noWords(c); err != nil {
				return err
			}
			return a.init(c.Context, initOptions{
				backend: c.String("backend"), passphraseFile: c.String("passphrase-file"), passphraseStdin: c.Bool("passphrase-stdin"),
				yes: c.Bool("yes"), json: c.Bool("json"),
			})
		},
	}
}

// init sets broker up for this user. What is set up already stays as it is.
func (a *app) init(ctx context.Context, o initOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	p, err := a.recordLocation()
	if err != nil {
		return err
	}
	settings, err := awsconfig.LoadSettings(p.ConfigFile)
	if err != nil {
		return err
	}
	result := initResult{ConfigFile: p.ConfigFile, StateDir: p.StateDir}
	if settings.Vault.Backend != "" {
		if err := o.agrees(settings, p.ConfigFile); err != nil {
			return err
		}
		return a.initialised(p, settings, result, o.json)
	}
	pinned := awsconfig.DefaultSettings()
	if settings.AWS.HTTPSProxy == "" {
		if pinned.AWS.HTTPSProxy, err = a.offerProxy(ctx, o.yes); err != nil {
			return err
		}
	}
	var passphrase secret.String
	if pinned.Vault, passphrase, err = a.pin(ctx, o, p); err != nil {
		return err
	}
	if err := writeSettings(p.ConfigFile, pinned); err != nil {
		return err
	}
	result.Changed = true
	result.Unlocked = a.unlockNew(ctx, pinned.Vault, p, passphrase)
	return a.initialised(p, pinned, result, o.json)
}

// check refuses what no release of this platform can do.
func (o initOptions) check() error {
	if o.backend != "" && !slices.Contains(backends(), o.backend) {
		err := client.Usagef("--backend %s is not a store for keys%s", o.backend, here(o.backend))
		err.Hint = "choose one of " + strings.Join(backends(), ", ")
		return err
	}
	if (o.passphraseFile != "" || o.passphraseStdin) && o.backend != "" && o.backend != client.BackendFile {
		return client.Usagef("--passphrase-file and --passphrase-stdin are for --backend file")
	}
	if o.passphraseFile != "" && o.passphraseStdin {
		return client.Usagef("init takes --passphrase-file or --passphrase-stdin, not both")
	}
	return nil
}

// agrees refuses to change what is pinned: the keys stay in the old store, and
// nothing would find them.
func (o initOptions) agrees(s awsconfig.Settings, configFile string) error {
	if o.backend != "" && o.backend != s.Vault.Backend {
		return &ipc.Error{
			Code:    ipc.CodeRefused,
			Message: fmt.Sprintf("the store is pinned to %s in %s and does not change: the keys in it would be lost to broker", s.Vault.Backend, configFile),
			Hint:    "to start over, remove each key with broker remove, then the section [vault] of that file",
		}
	}
	typed := s.Vault.PassphraseFile == ""
	if o.passphraseStdin && !typed || o.passphraseFile != "" && typed {
		return &ipc.Error{
			Code:    ipc.CodeRefused,
			Message: fmt.Sprintf("the vault was made with a passphrase%s, as %s says, and opens with nothing else", map[bool]string{false: " file"}[typed], configFile),
			Hint:    "to start over, remove each key with broker remove, then the section [vault] of that file",
		}
	}
	if o.passphraseFile == "" {
		return nil
	}
	path, err := filepath.Abs(o.passphraseFile)
	if err != nil || path != s.Vault.PassphraseFile {
		return &ipc.Error{
			Code:    ipc.CodeRefused,
			Message: fmt.Sprintf("the vault is opened by %s, as %s says: another passphrase file does not open it", s.Vault.PassphraseFile, configFile),
			Hint:    "move the file if you must, and change passphrase_file in [vault] to its new place",
		}
	}
	return nil
}

// initialised records the environment, and says what is pinned and what comes
// next.
func (a *app) initialised(p paths.Places, s awsconfig.Settings, result initResult, asJSON bool) (err error) {
	if result.initEnvironment, err = a.recordEnvironment(p); err != nil {
		return err
	}
	result.Backend, result.PassphraseFile = s.Vault.Backend, s.Vault.PassphraseFile
	if s.AWS.HTTPSProxy != "" {
		result.HTTPSProxy = client.ShownProxy(s.AWS.HTTPSProxy)
	}
	result.PassProgram, result.StoreDir, result.Note = s.Vault.PassProgram, s.Vault.PasswordStoreDir, missingStore
	if asJSON {
		return a.printJSON(result)
	}
	verb := "is"
	if result.Changed {
		verb = "is now"
	}
	a.printf("the store for keys %s %s\nconfig: %s\n", verb, result.Backend, result.ConfigFile)
	if result.PassphraseFile != "" {
		a.printf("passphrase file: %s (whoever has it and the vault has the keys)\n", result.PassphraseFile)
	}
	if result.StoreDir != "" {
		a.printf("password store: %s, folder broker, by %s\n", result.StoreDir, result.PassProgram)
	}
	if result.Note != "" {
		a.printf("note: %s\n", result.Note)
	}
	if result.HTTPSProxy != "" {
		a.printf("proxy: %s\n", result.HTTPSProxy)
	}
	a.printEnvironment(result.initEnvironment)
	if result.Backend == client.BackendFile && result.PassphraseFile == "" && !result.Unlocked {
		a.printf("the vault opens with its passphrase\nnext: broker unlock\n")
		return nil
	}
	a.printf("next: %s\n", a.firstKey())
	return nil
}

// recordLocation returns the places, after XDG_CONFIG_HOME and XDG_STATE_HOME
// were looked at, once and for all: from then on everybody reads the location
// file, also where those variables are not set. Files that are in the default
// place already stay there.
func (a *app) recordLocation() (paths.Places, error) {
	p, err := a.Places()
	if err != nil {
		return p, err
	}
	for _, made := range []string{p.LocationFile, p.ConfigFile, p.StateFile} {
		if _, err := os.Lstat(made); !errors.Is(err, fs.ErrNotExist) {
			return p, err
		}
	}
	location := paths.XDGLocation(a.Getenv, p.Home)
	if location == (paths.Location{}) {
		return p, nil
	}
	if err := paths.WriteLocation(p.LocationFile, location); err != nil {
		return p, fmt.Errorf("record where broker keeps its files: %w", err)
	}
	return a.Places()
}

// offerProxy returns the proxy to record: brokerd and its workers look at no
// variable.
func (a *app) offerProxy(ctx context.Context, yes bool) (string, error) {
	proxy := a.ProxyVariable()
	if proxy == "" || yes {
		return proxy, nil
	}
	ok, err := a.confirm(ctx, "Reach AWS through the proxy "+client.ShownProxy(proxy)+", which the environment names?")
	if err != nil || !ok {
		return "", err
	}
	return proxy, nil
}

// pin tries the stores and returns the one to use. The platform's own is left
// for file only when it is not there at all: one that is locked, or denies, may
// hold keys tomorrow.
//
// The passphrase is that of a vault which opens with one, else zero.
func (a *app) pin(ctx context.Context, o initOptions, p paths.Places) (vault awsconfig.VaultSettings, passphrase secret.String, err error) {
	vault.Backend = o.backend
	if vault.Backend == "" {
		vault.Backend = a.platformStore()
	}
	if vault.Backend == client.BackendPass {
		if vault, err = a.passSettings(p.Home); err != nil {
			return vault, passphrase, err
		}
	}
	if vault.Backend != client.BackendFile && o.passphraseFile == "" && !o.passphraseStdin {
		err := a.probe(ctx, a.Store(vault, p))
		if err == nil {
			return vault, passphrase, nil
		}
		if vault.Backend == client.BackendPass {
			return awsconfig.VaultSettings{}, secret.String{}, err // its own hint says more
		}
		if o.backend != "" || !errors.Is(err, &ipc.Error{Code: ipc.CodeKeychainGone}) {
			return vault, passphrase, orFiles(err)
		}
	}
	if passphrase, err = a.newPassphrase(ctx, o); err != nil {
		return vault, passphrase, err
	}
	if !passphrase.IsZero() {
		vault, err = a.makeTyped(ctx, p, passphrase)
		return vault, passphrase, err
	}
	file := filepath.Join(filepath.Dir(p.ConfigFile), "passphrase")
	if o.passphraseFile != "" {
		if file, err = filepath.Abs(o.passphraseFile); err != nil {
			return vault, passphrase, fmt.Errorf("find the passphrase file: %w", err)
		}
	}
	vault = awsconfig.VaultSettings{Backend: client.BackendFile, PassphraseFile: file}
	return vault, passphrase, a.probe(ctx, a.Store(vault, p))
}

// orFiles offers the other store, as long as none is pinned.
func orFiles(err error) error {
	coded := client.AsCoded(err)
	coded.Hint = "make it work, or keep keys in files: broker init --backend file"
	return coded
}

// probe has a worker write, read back and delete an item, and make what the
// store needs and lacks.
func (a *app) probe(ctx context.Context, store ipc.Store) error {
	item, err := probeItem()
	if err != nil {
		return err
	}
	return a.vault(ctx, store, ipc.OpProbe, ipc.ProbeParams{Store: store, Item: item, Create: true}, nil)
}

// maxConfig is the longest config of broker's own, in bytes, that init adds to.
const maxConfig = 1 << 20

// writeSettings adds settings to broker's config, and leaves what the user has
// written there as it stands. A store that was pinned while this init waited for
// its user stays pinned.
func writeSettings(path string, s awsconfig.Settings) error {
	text, err := awsconfig.Render(s)
	if err != nil {
		return err
	}
	before, err := atomicfile.Read(path, maxConfig)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write config: %w", err)
	}
	now, err := awsconfig.ParseSettings(path, before)
	if err != nil {
		return err
	}
	if now.Vault.Backend != "" {
		return &ipc.Error{
			Code:    ipc.CodeRefused,
			Message: fmt.Sprintf("another broker init has pinned the store to %s in %s meanwhile", now.Vault.Backend, path),
			Hint:    "nothing was changed there: see what is pinned with broker init",
		}
	}
	if len(before) > 0 {
		_, sections, _ := strings.Cut(string(text), "\n") // the first line is a comment
		text = []byte(strings.TrimRight(string(before), "\n") + "\n" + sections)
	}
	if err := atomicfile.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("write config: %w", err)
	}
	if err := atomicfile.Write(path, text, 0o600); err != nil {
		return fmt.Errorf("write config: %w", err)
	}
	return nil
}
