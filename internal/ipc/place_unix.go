// SPDX-License-Identifier: Apache-2.0

//go:build unix

package ipc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// place is a bound socket with what makes it ours: the directory, verified and
// held open, and the lock in it.
type place struct {
	path, lockPath string
	dir, lock      *os.File
	socket         net.Listener
	inode          inode // of the socket
}

// inode names a file for as long as somebody holds it.
type inode struct{ dev, ino uint64 }

func inodeOf(st *unix.Stat_t) inode {
	return inode{dev: uint64(st.Dev), ino: st.Ino} // Dev is 32 bits wide on other systems
}

// takePlace locks and binds. The lock comes first: what is at the socket path
// is touched by its holder only.
func takePlace(path, lockPath string) (*place, error) {
	if filepath.Dir(path) != filepath.Dir(lockPath) {
		return nil, fmt.Errorf("the lock file %s is in another directory", lockPath)
	}
	dir, err := openDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	lock, err := takeLock(dir, filepath.Base(lockPath))
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	p := &place{path: path, lockPath: lockPath, dir: dir, lock: lock}
	if err := p.bind(); err != nil {
		return nil, errors.Join(err, lock.Close(), dir.Close())
	}
	return p, nil
}

// openDir opens the directory at path, makes it if it is missing, and verifies
// through the descriptor that nobody else can enter it or put another in its
// place: it is a directory and not a link, ours, closed to all others, in a
// parent that is ours or the system's and lets nobody rename it.
func openDir(path string) (*os.File, error) {
	parentPath, name := filepath.Dir(path), filepath.Base(path)
	if err := os.MkdirAll(parentPath, 0o700); err != nil {
		return nil, err
	}
	parent, err := os.OpenFile(parentPath, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = parent.Close() }() // only looked at
	if err := checkParent(parent); err != nil {
		return nil, err
	}
	err = unix.Mkdirat(int(parent.Fd()), name, 0o700)
	made := err == nil
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make directory %s: %w", path, err)
	}
	fd, err := unix.Openat(int(parent.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) {
		return nil, fmt.Errorf("%w: %s is not a directory, or is a link to one", ErrUnsafe, path)
	}
	if err != nil {
		return nil, fmt.Errorf("open directory %s: %w", path, err)
	}
	dir := os.NewFile(uintptr(fd), path)
	if made { // a umask may have taken bits of ours
		err = dir.Chmod(0o700)
	}
	if err == nil {
		err = checkDir(dir)
	}
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

func checkParent(dir *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &st); err != nil {
		return fmt.Errorf("check directory %s: %w", dir.Name(), err)
	}
	if uid := int(st.Uid); uid != os.Geteuid() && uid != 0 {
		return fmt.Errorf("%w: %s belongs to uid %d", ErrUnsafe, dir.Name(), uid)
	}
	if st.Mode&0o002 != 0 && st.Mode&unix.S_ISVTX == 0 {
		return fmt.Errorf("%w: anybody can rename what is in %s (mode %04o)", ErrUnsafe, dir.Name(), st.Mode&0o7777)
	}
	return nil
}

func checkDir(dir *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &st); err != nil {
		return fmt.Errorf("check directory %s: %w", dir.Name(), err)
	}
	if uid := int(st.Uid); uid != os.Geteuid() {
		return fmt.Errorf("%w: %s belongs to uid %d", ErrUnsafe, dir.Name(), uid)
	}
	if st.Mode&0o077 != 0 {
		return fmt.Errorf("%w: %s is open to others (mode %04o): run chmod 700 %[2]s", ErrUnsafe, dir.Name(), st.Mode&0o7777)
	}
	return nil
}

// takeLock locks the file name in dir. The file is never removed: two
// processes could then hold locks on two files of one name.
func takeLock(dir *os.File, name string) (*os.File, error) {
	const flags = unix.O_RDWR | unix.O_CREAT | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err := unix.Openat(int(dir.Fd()), name, flags, 0o600)
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%w: the lock file %s is a symbolic link", ErrUnsafe, name)
	}
	if err != nil {
		return nil, fmt.Errorf("open lock file %s: %w", name, err)
	}
	lock := os.NewFile(uintptr(fd), name)
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	switch {
	case err != nil:
	case st.Mode&unix.S_IFMT != unix.S_IFREG || int(st.Uid) != os.Geteuid():
		err = fmt.Errorf("%w: the lock file %s is not a file of ours", ErrUnsafe, name)
	default:
		err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrServed
		}
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// bind puts a socket at the path. The lock must be held.
func (p *place) bind() error {
	if err := p.clear(); err != nil {
		return err
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		// The file that bind makes has the mode of the socket itself, less
		// the umask (unix_bind_bsd in net/unix/af_unix.c): it never is open
		// to others, not even between bind and a chmod.
		cerr := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) })
		return errors.Join(cerr, err)
	}}
	// Listening does not wait: there is nothing for a context to end.
	l, err := config.Listen(context.Background(), "unix", p.path) //nolint:forbidigo // binding ends by itself
	if err != nil {
		return err
	}
	// Close would remove whatever stands at the path by then: the socket of
	// our successor.
	l.(*net.UnixListener).SetUnlinkOnClose(false) //nolint:errcheck // what the network "unix" returns
	p.socket = l
	if err := p.verify(); err != nil {
		return errors.Join(err, p.socket.Close())
	}
	return nil
}

// clear removes the socket that a daemon of ours left behind. Anything else at
// the path is left as it is.
func (p *place) clear() error {
	var st unix.Stat_t
	name := filepath.Base(p.path)
	err := unix.Fstatat(int(p.dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case st.Mode&unix.S_IFMT != unix.S_IFSOCK:
		return fmt.Errorf("%w: what is there is not a socket", ErrUnsafe)
	case int(st.Uid) != os.Geteuid():
		return fmt.Errorf("%w: the socket that is there belongs to uid %d", ErrUnsafe, st.Uid)
	}
	return unix.Unlinkat(int(p.dir.Fd()), name, 0)
}

// verify makes sure that the socket was made in the directory that was
// verified, and notes its inode.
func (p *place) verify() error {
	name := filepath.Base(p.path)
	var st unix.Stat_t
	if err := unix.Fstatat(int(p.dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("%w: the directory was swapped: %w", ErrUnsafe, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK || int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%w: the socket was swapped", ErrUnsafe)
	}
	p.inode = inodeOf(&st)
	if st.Mode&0o777 == 0o600 {
		return nil
	}
	// Systems other than Linux, or a umask that took bits of ours.
	return unix.Fchmodat(int(p.dir.Fd()), name, 0o600, 0)
}

// intact reports whether the path still leads to our socket. As long as we
// hold it, its inode number is given to no other file.
func (p *place) intact() bool { return at(p.path) == p.inode }

// at returns the inode at path, links not followed, or zero.
func at(path string) inode {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return inode{}
	}
	return inodeOf(&st)
}

// renew takes the place again after the path was lost and gives up the old
// one. On an error the old place is as it was.
func (p *place) renew() (*place, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(p.lock.Fd()), &st); err != nil {
		return nil, err
	}
	if at(p.lockPath) == inodeOf(&st) {
		// Only the socket is gone, and nobody else can have bound one.
		again := &place{path: p.path, lockPath: p.lockPath, dir: p.dir, lock: p.lock}
		if err := again.bind(); err != nil {
			return nil, err
		}
		_ = p.socket.Close() // nobody can reach it any more
		return again, nil
	}
	again, err := takePlace(p.path, p.lockPath)
	if err != nil {
		return nil, err
	}
	_ = p.socket.Close() // as above
	_ = p.release()      // a lock that nobody contends for
	return again, nil
}

// stop ends listening and removes the socket if the path still leads to it.
// While we hold the lock no other daemon binds, so that nothing comes between
// the look and the removal.
func (p *place) stop() {
	if p.intact() {
		_ = unix.Unlinkat(int(p.dir.Fd()), filepath.Base(p.path), 0) // a stale socket harms nobody
	}
	_ = p.socket.Close() // as above
}

// release gives up the lock.
func (p *place) release() error { return errors.Join(p.lock.Close(), p.dir.Close()) }

// openFiles returns the limit of open files, or 0 if there is none.
func openFiles() uint64 {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil || files.Cur >= 1<<20 {
		return 0
	}
	return files.Cur
}

// isSilent reports whether nothing that conn was sent waits to be read.
func isSilent(conn net.Conn) bool {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false // closed: it is about to leave
	}
	silent := false
	err = raw.Control(func(fd uintptr) {
		_, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		silent = errors.Is(err, unix.EAGAIN)
	})
	return err == nil && silent
}
