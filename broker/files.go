// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

// view is what the files say. It is immutable.
type view struct {
	settings    awsconfig.Settings
	settingsErr error             // the file as it stands now; settings are the last good ones
	settled     bool              // settings have been good once
	aws         *awsconfig.Config // nil until the AWS files were good once
	awsErr      error
	files       awsconfig.Files
}

// usable returns why nothing can be planned from v, or nil.
func (v *view) usable() error {
	switch {
	case !v.settled:
		return v.settingsErr
	case v.aws == nil:
		return v.awsErr
	case v.settings.Vault.Backend == "":
		return fail(ipc.CodeNotInitialised, "choose a store for keys: broker init", "broker has no vault yet")
	}
	return nil
}

// store returns the vault that the settings pin.
func (v *view) store(o Options) ipc.Store {
	s := ipc.Store{Backend: v.settings.Vault.Backend}
	switch s.Backend {
	case "file":
		s.Dir, s.PassphraseFile = o.Places.VaultDir, v.settings.Vault.PassphraseFile
		if v.typed() {
			s.Holder = o.Places.HolderSocket
		}
	case "pass":
		s.Program, s.Dir, s.GnuPGHome = v.settings.Vault.PassProgram, v.settings.Vault.PasswordStoreDir, v.settings.Vault.GnuPGHome
	default:
		s.Keychain, s.Service = v.settings.Vault.Keychain, o.BusAddress
	}
	return s
}

// problems returns what status shows of broken files.
func (v *view) problems() []ipc.Error {
	list := []ipc.Error{}
	for _, err := range []error{v.settingsErr, v.awsErr} {
		if err != nil {
			list = append(list, *coded(err))
		}
	}
	return list
}

// files follows broker's own config and the two AWS files.
type files struct {
	places Places
	clock  Clock
	log    *slog.Logger
	now    atomic.Pointer[view]

	mu    sync.Mutex // held while reading
	seen  map[string]stamp
	first bool
}

// stamp tells one content of a file from the next without reading it.
type stamp struct {
	info    fs.FileInfo // nil for a file that is not there
	changed time.Time   // of content, owner or mode: nobody can set it back
	young   bool        // it changed so recently that it may again, unseen
}

// youth is how long after a change the next one may bear the same time: file
// systems count in ticks of milliseconds, some in seconds.
const youth = 2 * time.Second

func (p stamp) equal(q stamp) bool {
	if p.info == nil || q.info == nil {
		return p.info == nil && q.info == nil
	}
	return !p.young && os.SameFile(p.info, q.info) && p.info.Size() == q.info.Size() &&
		p.info.ModTime().Equal(q.info.ModTime()) && p.changed.Equal(q.changed)
}

// stampOf follows links: the file that they lead to is the one that is read.
func (f *files) stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	changed := changeTime(info)
	return stamp{info, changed, f.clock.Now().Sub(changed) < youth}
}

func newFiles(o Options) *files {
	f := &files{places: o.Places, clock: o.Clock, log: o.Log, seen: map[string]stamp{}, first: true}
	f.now.Store(&view{settings: awsconfig.DefaultSettings()})
	return f
}

// current returns the last view without looking at the disk.
func (f *files) current() *view { return f.now.Load() }

// refresh returns the view of the files as they are now. A file that does not
// parse leaves what it said before in force.
func (f *files) refresh() *view {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.now.Load()
	v := *old
	changed := false
	if f.changed(f.places.ConfigFile) {
		changed = true
		f.readSettings(&v)
	}
	v.files = f.awsFiles(v.settings)
	config, credentials := f.changed(v.files.Config), f.changed(v.files.Credentials)
	if config || credentials || v.files != old.files || f.first {
		changed = true
		f.readAWS(&v)
	}
	f.first = false
	if changed {
		f.now.Store(&v)
	}
	return f.now.Load()
}

// moment is how long after a change a file may be half written: whoever writes
// in place cuts it off first, and some editors move it away. A whole file takes
// a fraction of that, and who has just saved one will not notice the rest.
const moment = 50 * time.Millisecond

// settled returns the stamp of path, once a change that is going on is over. It
// waits for one moment at most: what goes on for longer is read as it stands.
func (f *files) settled(path string, last stamp) stamp {
	p := f.stampOf(path)
	wait := time.Duration(0)
	if p.info == nil && last.info != nil {
		wait = moment
	} else if p.info != nil {
		wait = moment - f.clock.Now().Sub(p.changed)
	}
	if wait <= 0 || wait > moment { // or a clock is off
		return p
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	<-timer.C
	return f.stampOf(path)
}

// changed reports whether path differs from when it was last read. The stamp
// is taken before the file is read: a change in between is seen next time.
func (f *files) changed(path string) bool {
	last, known := f.seen[path]
	p := f.settled(path, last)
	f.seen[path] = p
	return !known || !last.equal(p)
}

// failed notes that a file could not be read or understood. It is read again
// next time, since what was in the way need not be the file; only the first
// time is worth a warning.
func (f *files) failed(what string, err, before error, paths ...string) {
	for _, path := range paths {
		delete(f.seen, path)
	}
	warn := f.log.Debug
	if before == nil {
		warn = f.log.Warn
	}
	warn(what, "error", err)
}

func (f *files) readSettings(v *view) {
	before := v.settingsErr
	s, err := awsconfig.LoadSettings(f.places.ConfigFile)
	v.settingsErr = err
	if err != nil {
		f.failed("config not read", err, before, f.places.ConfigFile)
		return
	}
	v.settings, v.settled = s, true
}

func (f *files) readAWS(v *view) {
	before := v.awsErr
	c, err := f.loadAWS(v.files)
	v.awsErr = err
	if err != nil {
		f.failed("AWS files not read", err, before, v.files.Config, v.files.Credentials)
		return
	}
	v.aws = c
}

// loadAWS reads the AWS files. A named pipe, which a shell's <(…) makes, is
// refused: waiting for its writer would hold up every request.
func (f *files) loadAWS(at awsconfig.Files) (*awsconfig.Config, error) {
	for _, path := range []string{at.Config, at.Credentials} {
		if p := f.seen[path]; p.info != nil && p.info.Mode()&fs.ModeNamedPipe != 0 {
			return nil, fail(ipc.CodeConfigBroken, "see [aws] in the config of broker", "read %s: it is a named pipe", path)
		}
	}
	return awsconfig.Load(at)
}

func (f *files) awsFiles(s awsconfig.Settings) awsconfig.Files {
	return awsconfig.Files{
		Config:      firstOf(s.AWS.ConfigFile, f.places.AWSConfigFile),
		Credentials: firstOf(s.AWS.CredentialsFile, f.places.AWSCredentialsFile),
	}
}

// paths returns every file that is followed.
func (f *files) paths() []string {
	v := f.current()
	return []string{f.places.ConfigFile, v.files.Config, v.files.Credentials}
}

// directories returns the directories in which a change can change what a file
// says: those of every link on the way to it, or the nearest one that exists
// where something is missing.
func directories(path string) []string {
	var list []string
	for range 16 { // more links than a system would follow is a loop
		list = append(list, nearest(filepath.Dir(path)))
		target, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	return list
}

// nearest returns dir or its nearest parent that exists.
func nearest(dir string) string {
	for {
		_, err := os.Stat(dir)
		parent := filepath.Dir(dir)
		if err == nil || !errors.Is(err, fs.ErrNotExist) || parent == dir {
			return dir
		}
		dir = parent
	}
}
