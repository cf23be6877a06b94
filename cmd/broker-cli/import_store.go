// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
	"credbroker/internal/secret"
)

// foreignStore is one store of another program.
type foreignStore struct {
	ipc.Foreign
	where  string // for people: "aws-vault's files in /home/ann/.awsvault/keys"
	chosen bool   // by the user: then it must be there
	// shared says that other things than keys are in it. What has not the name of
	// a profile is none of ours to decrypt.
	shared bool
}

// passphraseOf is how the files of another program are opened.
type passphraseOf struct {
	variable string // that the program itself takes it from
	blank    bool   // without the variable, the program uses an empty one
}

// foreignSource takes keys out of the stores of another program. Their secrets
// go from there into the vault within one worker: this program sees which keys
// they are, and the passphrase of a store of files.
type foreignSource struct {
	a          *app
	config     *awsconfig.Config
	stores     []foreignStore
	open       passphraseOf
	elsewhere  string                       // the hint where none of the stores is there
	keys       map[string]ipc.ForeignParams // what is known of each, by profile
	where      map[string]string            // by profile
	passphrase secret.String                // that opened the latest
	known      bool                         // it has been given
}

var _ importSource = (*foreignSource)(nil)

func newForeignSource(a *app, config *awsconfig.Config, open passphraseOf, stores []foreignStore, elsewhere string) *foreignSource {
	return &foreignSource{a: a, config: config, stores: stores, open: open, elsewhere: elsewhere, keys: map[string]ipc.ForeignParams{}, where: map[string]string{}}
}

// list asks every store for names. One that was not chosen need not be there.
// Of a key that several have, the first counts, as with their program.
func (s *foreignSource) list(ctx context.Context) ([]candidate, error) {
	found, absent := []candidate{}, []string{}
	for _, store := range s.stores {
		var names ipc.ForeignKeys
		err := s.a.foreignVault(ctx, store.Foreign, ipc.Store{}, ipc.OpForeignList, ipc.ForeignListParams{Source: store.Foreign}, &names)
		if client.HasCode(err, ipc.CodeSourceGone) && !store.chosen {
			absent = append(absent, store.where)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", store.where, err)
		}
		for _, name := range names.Names {
			if _, ok := s.config.Profile(name); !ok && store.shared {
				continue
			}
			c := candidate{profile: name, where: store.where}
			if err := awsconfig.ValidProfileName(name); err != nil {
				c.leave = err
			} else if first, ok := s.where[name]; ok {
				c.leave = keyInvalid("it is taken from "+first, "")
			} else {
				s.keys[name], s.where[name] = ipc.ForeignParams{Source: store.Foreign, Name: name}, store.where
			}
			found = append(found, c)
		}
	}
	if len(absent) == len(s.stores) {
		err := client.Errorf(ipc.CodeSourceGone, "none of the stores that broker looked for is there: %s", strings.Join(absent, "; "))
		err.Hint = s.elsewhere
		return nil, err
	}
	return found, nil
}

// take finds out which key it is.
func (s *foreignSource) take(ctx context.Context, c candidate) (takenKey, error) {
	params := s.keys[c.profile]
	var key ipc.ForeignKey
	err := s.opened(ctx, params, func(passphrase secret.String) error {
		params.Passphrase = passphrase
		return s.a.foreignVault(ctx, params.Source, ipc.Store{}, ipc.OpForeignKey, params, &key)
	})
	if client.HasCode(err, ipc.CodeKeyInvalid) {
		return takenKey{}, &leftAlone{err}
	}
	if err != nil {
		return takenKey{}, err
	}
	params.AccessKeyID = key.AccessKeyID
	s.keys[c.profile] = params
	return takenKey{key.AccessKeyID, s.put(params)}, nil
}

// put returns the step in which a worker reads the key once more and stores it.
func (s *foreignSource) put(params ipc.ForeignParams) func(context.Context, ipc.ItemParams, ipc.MFAChoice) (ipc.PutResult, error) {
	return func(ctx context.Context, item ipc.ItemParams, choice ipc.MFAChoice) (stored ipc.PutResult, err error) {
		if item.Store.Backend == client.BackendPass && params.Source.Backend == client.BackendPass && item.Store.GnuPGHome != params.Source.GnuPGHome {
			err := client.Errorf(ipc.CodeUsage, "one worker cannot use two GNUPGHOMEs, that of %s and broker's own", params.Source.Owner)
			err.Hint = "set GNUPGHOME to the one that [vault] of broker's config names"
			return stored, err
		}
		err = s.a.foreignVault(ctx, params.Source, item.Store, ipc.OpForeignPut, ipc.ForeignPutParams{
			ForeignParams: params, Item: item.Item, Store: item.Store, AWS: item.AWS, Profile: item.Profile, MFAChoice: choice,
		}, &stored)
		return stored, err
	}
}

// drop has a worker delete the items, each only while it still is the key that
// was taken. Nothing else of that program is touched.
func (s *foreignSource) drop(ctx context.Context, profiles []string) ([]droppedKey, error) {
	var dropped []droppedKey
	var failed error
	for _, profile := range profiles {
		params := s.keys[profile]
		d := droppedKey{Profile: profile, AccessKeyID: params.AccessKeyID, Where: s.where[profile]}
		if err := s.a.foreignVault(ctx, params.Source, ipc.Store{}, ipc.OpForeignDelete, params, nil); err != nil {
			d.Why = client.AsCoded(err).Message
			failed = cmp.Or(failed, err)
		}
		dropped = append(dropped, d)
	}
	return dropped, failed
}

// passphraseTries is how often a passphrase is asked for.
const passphraseTries = 3

// opened runs f with the passphrase that is known, and asks for another if that
// does not fit: each key of a store of files can have its own.
func (s *foreignSource) opened(ctx context.Context, params ipc.ForeignParams, f func(secret.String) error) error {
	if params.Source.Backend != client.BackendFile {
		return f(secret.String{})
	}
	// Set to nothing it counts, too.
	if slices.ContainsFunc(s.a.Env, func(entry string) bool { return strings.HasPrefix(entry, s.open.variable+"=") }) {
		return f(secret.New(s.a.Getenv(s.open.variable)))
	}
	var err error
	if s.known || s.open.blank {
		if err = f(s.passphrase); !client.HasCode(err, ipc.CodeSourcePassword) {
			return err
		}
	}
	t, ok := client.OpenTerminal()
	if !ok {
		none := client.Errorf(ipc.CodeSourcePassword, "there is no terminal to type the passphrase of %s on", params.Source.Dir)
		none.Hint = "run this in a terminal, or set " + s.open.variable + " as for " + params.Source.Owner
		return none
	}
	defer func() { _ = t.TTY.Close() }() // what was written is on the screen
	for try := 1; ; try++ {
		passphrase, rerr := t.TTY.ReadSecret(ctx, fmt.Sprintf("Passphrase of %s's key %s (not shown): ", params.Source.Owner, params.Name))
		if rerr != nil {
			return notTyped("the passphrase", rerr)
		}
		err = f(passphrase)
		if err == nil {
			s.passphrase, s.known = passphrase, true
		}
		if try == passphraseTries || !client.HasCode(err, ipc.CodeSourcePassword) {
			return err
		}
		fmt.Fprintln(t.TTY, "broker: that passphrase does not open it")
	}
}

// fileStore is a store of files of another program, chosen or not.
func (a *app) fileStore(owner, dir string) foreignStore {
	return foreignStore{
		Foreign: ipc.Foreign{Owner: owner, Store: ipc.Store{Backend: client.BackendFile, Dir: dir}},
		where:   owner + "'s files in " + dir,
	}
}

// collectionStore is a keyring of another program within the desktop's.
func (a *app) collectionStore(owner, collection string) foreignStore {
	return foreignStore{
		Foreign: ipc.Foreign{Owner: owner, Store: ipc.Store{Backend: client.BackendSecretService}, Collection: collection},
		where:   owner + "'s keyring " + collection,
	}
}

// keychainStore is the items of another program in a keychain of macOS.
func (a *app) keychainStore(owner, keychain string) foreignStore {
	return foreignStore{
		Foreign: ipc.Foreign{Owner: owner, Store: ipc.Store{Backend: client.BackendKeychain, Keychain: keychain}},
		where:   owner + "'s items in the keychain " + keychain,
	}
}

// credentialStore is the items of another program in Windows' Credential Manager.
func (a *app) credentialStore(owner string) foreignStore {
	return foreignStore{
		Foreign: ipc.Foreign{Owner: owner, Store: ipc.Store{Backend: client.BackendWinCred}},
		where:   owner + "'s items in the Credential Manager",
	}
}

// passStore is a password store that another program uses, or ok is false if
// there is no program for it.
func (a *app) passStore(owner, program, dir, prefix string) (store foreignStore, ok bool) {
	program = cmp.Or(program, client.BackendPass)
	if !filepath.IsAbs(program) {
		dirs := []string{"/usr/local/bin", "/usr/bin", "/bin"} // as in a worker's PATH
		i := slices.IndexFunc(dirs, func(dir string) bool {
			_, err := os.Stat(filepath.Join(dir, program))
			return err == nil
		})
		if i < 0 {
			return foreignStore{}, false
		}
		program = filepath.Join(dirs[i], program)
	}
	where := owner + "'s items in the password store " + filepath.Join(dir, prefix)
	return foreignStore{
		Foreign: ipc.Foreign{
			Owner: owner, Store: ipc.Store{Backend: client.BackendPass, Dir: dir, Program: program, GnuPGHome: a.Getenv("GNUPGHOME")}, Prefix: prefix,
		},
		where: where, shared: prefix == "",
	}, true
}

// inHome returns a path that may begin with ~, as the keyring library has it.
func (a *app) inHome(path string) (string, error) {
	p, err := a.Places()
	if err != nil {
		return "", err
	}
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		return filepath.Join(p.Home, rest), nil
	}
	if !filepath.IsAbs(path) {
		return "", client.Usagef("%s is no absolute path", path)
	}
	return filepath.Clean(path), nil
}

// holdsFiles reports whether a directory has a file that could be a key.
func holdsFiles(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		return !e.IsDir() && !strings.HasPrefix(e.Name(), ".")
	})
}

// errNoStore says that broker does not read a store of another program here.
func errNoStore(owner, backend string) error {
	return client.Errorf(ipc.CodeUnsupported, "broker does not read %s's %s store by itself here", owner, backend)
}
