// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// maxFile is the largest AWS file, in bytes, that is read. Organisations with
// a thousand accounts generate files of about a megabyte.
const maxFile = 16 << 20

// Files are the two AWS files of a user. An empty path is no file.
type Files struct {
	Config      string // ~/.aws/config
	Credentials string // ~/.aws/credentials
}

// Locate finds the AWS files as the SDKs do: AWS_CONFIG_FILE and
// AWS_SHARED_CREDENTIALS_FILE, else .aws in the home directory, which is HOME,
// USERPROFILE or HOMEDRIVE with HOMEPATH, else home. A variable that is empty
// counts as not set. A leading "~" in the first two is the home directory.
func Locate(getenv func(string) string, home string) Files {
	return locate(getenv, home, string(os.PathSeparator))
}

func locate(getenv func(string) string, home, separator string) Files {
	switch {
	case getenv("HOME") != "":
		home = getenv("HOME")
	case getenv("USERPROFILE") != "":
		home = getenv("USERPROFILE")
	case getenv("HOMEDRIVE")+getenv("HOMEPATH") != "":
		home = getenv("HOMEDRIVE") + getenv("HOMEPATH")
	}
	place := func(variable, base string) string {
		path := getenv(variable)
		if path == "" {
			path = strings.Join([]string{"~", ".aws", base}, separator)
		}
		if path == "~" || strings.HasPrefix(path, "~/") || strings.HasPrefix(path, "~"+separator) {
			path = strings.TrimSuffix(home, separator) + path[1:]
		}
		return path
	}
	return Files{
		Config:      place("AWS_CONFIG_FILE", "config"),
		Credentials: place("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
	}
}

// ReadFile returns the content of an AWS file, through links; nothing for a file
// that does not exist, or an empty path. The caller wipes it. An error is of
// CodeConfigBroken. It waits for whoever writes into a pipe.
func ReadFile(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, unreadable(path, err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	size := int64(0)
	if info, err := f.Stat(); err == nil {
		size = info.Size()
	}
	if size > maxFile {
		return nil, tooLarge(path)
	}
	// One buffer of the right size: a buffer that grows would leave copies of
	// the file, and of the secrets in it, behind on the heap.
	data := make([]byte, size+1)
	n, err := io.ReadFull(f, data)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return data[:n], nil
	case err != nil:
		return nil, unreadable(path, err)
	}
	rest, err := io.ReadAll(io.LimitReader(f, maxFile)) // a pipe, or the file is growing
	if err != nil {
		return nil, unreadable(path, err)
	}
	if data = append(data, rest...); len(data) > maxFile {
		return nil, tooLarge(path)
	}
	return data, nil
}

func tooLarge(path string) error {
	return errorAt(Pos{File: path}, CodeConfigBroken, "is larger than %d MiB", maxFile>>20)
}

func unreadable(path string, err error) error {
	var perr *fs.PathError
	if errors.As(err, &perr) {
		err = perr.Err
	}
	return errorAt(Pos{File: path}, CodeConfigBroken, "%s", fmt.Sprintf("cannot be read: %v", err))
}
