// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// keepAttributes gives the file to the extended attributes of the file from, of
// which its access list is one, and takes away what it got from its directory
// beyond them. What a user has set must be kept, or it is an error; a label that
// the system's policy chose for the new file instead stays.
//
// Attributes that vouch for a content, which is another now, are left behind:
// see xattr(7), and security.ima, security.evm and security.capability.
func keepAttributes(from, to int) error {
	names, err := attributes(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := keepAttribute(from, to, name); err != nil && users(name) {
			return fmt.Errorf("keep the attribute %s: %w", name, err)
		}
	}
	extra, err := attributes(to)
	if err != nil {
		return err
	}
	for _, name := range extra {
		if users(name) && !slices.Contains(names, name) {
			if err := unix.Fremovexattr(to, name); err != nil {
				return fmt.Errorf("take the attribute %s off: %w", name, err)
			}
		}
	}
	return nil
}

// users reports whether an attribute is the user's to set, not the system's.
func users(name string) bool {
	return strings.HasPrefix(name, "user.") || strings.HasPrefix(name, "system.")
}

func keepAttribute(from, to int, name string) error {
	switch name {
	case "security.ima", "security.evm", "security.capability":
		return nil
	}
	value, err := attribute(from, name)
	if err != nil {
		return err
	}
	if there, err := attribute(to, name); err == nil && bytes.Equal(there, value) {
		return nil
	}
	return unix.Fsetxattr(to, name, value, 0)
}

// attributes returns the names of a file's attributes; none where the file
// system has no such thing.
func attributes(fd int) ([]string, error) {
	list, err := grown(func(to []byte) (int, error) { return unix.Flistxattr(fd, to) })
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOSYS) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the attributes: %w", err)
	}
	return strings.FieldsFunc(string(list), func(r rune) bool { return r == 0 }), nil
}

func attribute(fd int, name string) ([]byte, error) {
	return grown(func(to []byte) (int, error) { return unix.Fgetxattr(fd, name, to) })
}

// grown calls get with a buffer that is large enough: 64 KiB are the kernel's
// limit for a list and for a value (xattr(7)).
func grown(get func([]byte) (int, error)) ([]byte, error) {
	const most = 64 << 10
	buffer := make([]byte, 1<<10)
	n, err := get(buffer)
	if errors.Is(err, unix.ERANGE) {
		buffer = make([]byte, most)
		n, err = get(buffer)
	}
	if err != nil {
		return nil, err
	}
	return buffer[:n], nil
}
