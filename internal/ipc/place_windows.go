// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"
)

// pipes is where named pipes are.
const pipes = `\\.\pipe\`

// place is a listening pipe with the lock that stands for it. Neither can be
// taken away while we hold it: an open file without FILE_SHARE_DELETE keeps its
// name, and a pipe has it until its last handle is closed.
type place struct {
	lock   *os.File
	socket net.Listener
}

// takePlace locks and listens. The pipe alone would do to keep others off:
// the lock also keeps them off the state while conversations end.
func takePlace(path, lockPath string) (*place, error) {
	if !strings.HasPrefix(strings.ToLower(path), pipes) {
		return nil, fmt.Errorf(`it is not a pipe: %sNAME`, pipes)
	}
	user, err := currentUser()
	if err != nil {
		return nil, err
	}
	if err := privateDir(filepath.Dir(lockPath), user); err != nil {
		return nil, err
	}
	lock, err := takeLock(lockPath)
	if err != nil {
		return nil, err
	}
	socket, err := listenPipe(path, user)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &place{lock: lock, socket: socket}, nil
}

// onlyUser is the security descriptor of what only one user may open.
func onlyUser(user *windows.SID) string { return "D:P(A;OICI;GA;;;" + user.String() + ")" }

// listenPipe makes the pipe: for this user, of this machine, and the first of
// its name. Whoever made one before us would get the clients.
func listenPipe(path string, user *windows.SID) (net.Listener, error) {
	// winio refuses remote clients (FILE_PIPE_REJECT_REMOTE_CLIENTS) and
	// demands to be the first (FILE_CREATE). A line fits into each buffer, so
	// that writing one never waits.
	socket, err := winio.ListenPipe(path, &winio.PipeConfig{
		SecurityDescriptor: onlyUser(user), InputBufferSize: MaxLine, OutputBufferSize: MaxLine,
	})
	switch {
	case errors.Is(err, windows.ERROR_ALREADY_EXISTS), errors.Is(err, windows.ERROR_PIPE_BUSY), errors.Is(err, fs.ErrExist):
		return nil, ErrServed
	case errors.Is(err, windows.ERROR_ACCESS_DENIED):
		return nil, fmt.Errorf("%w: somebody else has made the pipe", ErrUnsafe)
	}
	return socket, err
}

// privateDir makes the directory for this user alone, if it is missing, and
// refuses a link or junction in its place.
func privateDir(path string, user *windows.SID) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	sd, err := windows.SecurityDescriptorFromString(onlyUser(user))
	if err != nil {
		return err
	}
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	access := windows.SecurityAttributes{Length: uint32(unsafe.Sizeof(windows.SecurityAttributes{})), SecurityDescriptor: sd}
	if err := windows.CreateDirectory(name, &access); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make directory %s: %w", path, err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() { // nor is a directory with a reparse point one
		return fmt.Errorf("%w: %s is not a directory, or is a link to one", ErrUnsafe, path)
	}
	return nil
}

// takeLock opens the lock file so that nobody else can: the lock is that it is
// open. The file is never removed.
func takeLock(path string) (*os.File, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	handle, err := windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE, windows.FILE_SHARE_READ, nil,
		windows.OPEN_ALWAYS, windows.FILE_ATTRIBUTE_NORMAL|windows.FILE_FLAG_OPEN_REPARSE_POINT, 0)
	if errors.Is(err, windows.ERROR_SHARING_VIOLATION) {
		return nil, ErrServed
	}
	if err != nil {
		return nil, fmt.Errorf("open lock file %s: %w", path, err)
	}
	lock := os.NewFile(uintptr(handle), path)
	var info windows.ByHandleFileInformation
	err = windows.GetFileInformationByHandle(handle, &info)
	if err == nil && info.FileAttributes&windows.FILE_ATTRIBUTE_REPARSE_POINT != 0 {
		err = fmt.Errorf("%w: the lock file %s is a symbolic link", ErrUnsafe, path)
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// intact reports that nobody can have taken the place away.
func (p *place) intact() bool { return true }

// renew has nothing to do: see intact.
func (p *place) renew() (*place, error) { return p, nil }

// stop ends listening, and with it the pipe.
func (p *place) stop() { _ = p.socket.Close() } // clients then find no daemon

// release gives up the lock.
func (p *place) release() error { return p.lock.Close() }

// openFiles returns 0: Windows has no limit that we could meet.
func openFiles() uint64 { return 0 }
