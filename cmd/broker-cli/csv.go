// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"credbroker/internal/secret"
)

// maxCSV is the longest key file, in bytes, that is read. The console's own
// have some hundred.
const maxCSV = 1 << 20

// csvKey is one row of a key file.
type csvKey struct {
	keyPair
	UserName string // empty if the file has no such column
}

// label names a row in messages and choices.
func (k csvKey) label() string {
	if k.UserName == "" {
		return k.AccessKeyID
	}
	return k.UserName + " (" + k.AccessKeyID + ")"
}

// readCSV reads the access keys of a file as the IAM console writes it.
func readCSV(path string) ([]csvKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the key file: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxCSV+1))
	defer clear(data)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read the key file: %w", err)
	}
	if len(data) > maxCSV {
		return nil, keyInvalid(path+" is too large for a key file", "download the file from the IAM console again")
	}
	keys, err := parseCSV(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

// parseCSV reads a key file. The console has written it with and without a byte
// order mark, with CRLF and LF, and with these columns:
//
//	Access key ID,Secret access key
//	User Name,Access key ID,Secret access key
//	User name,Password,Access key ID,Secret access key,Console login link
//
// Rows without a key, of users who have a password only, are left out. Errors
// name columns and lines, never values.
func parseCSV(data []byte) ([]csvKey, error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	r.FieldsPerRecord = -1
	r.TrimLeadingSpace = true
	header, err := r.Read()
	if err != nil {
		return nil, keyInvalid("not a key file: there is no header line", "download the file from the IAM console again")
	}
	column := func(name string) int {
		return slices.IndexFunc(header, func(h string) bool { return strings.EqualFold(strings.TrimSpace(h), name) })
	}
	id, key, user := column("access key id"), column("secret access key"), column("user name")
	if id < 0 || key < 0 {
		return nil, keyInvalid(`not a key file: the header lacks "Access key ID" or "Secret access key"`, "download the file from the IAM console again")
	}
	var keys []csvKey
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			var where *csv.ParseError
			if errors.As(err, &where) {
				return nil, keyInvalid(fmt.Sprintf("line %d is malformed", where.Line), "download the file from the IAM console again")
			}
			return nil, err
		}
		cell := func(i int) string {
			if i < 0 || i >= len(row) {
				return ""
			}
			return strings.TrimSpace(row[i])
		}
		if cell(id) == "" && cell(key) == "" {
			continue
		}
		keys = append(keys, csvKey{keyPair{cell(id), secret.New(cell(key))}, cell(user)})
	}
	if len(keys) == 0 {
		return nil, keyInvalid("the file holds no access key", "make one in the IAM console, which offers its file once")
	}
	return keys, nil
}

// pick chooses a row: the only one, else the one that want names by its user
// name or access key ID. found is false when the choice is the user's.
func pick(keys []csvKey, want string) (key csvKey, found bool) {
	if len(keys) == 1 && want == "" {
		return keys[0], true
	}
	var matches []csvKey
	for _, k := range keys {
		if want != "" && (k.UserName == want || k.AccessKeyID == want) {
			matches = append(matches, k)
		}
	}
	if len(matches) == 1 {
		return matches[0], true
	}
	return csvKey{}, false
}

// labels lists rows.
func labels(keys []csvKey) []string {
	var all []string
	for _, k := range keys {
		all = append(all, k.label())
	}
	return all
}
