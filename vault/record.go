// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"credbroker/internal/ipc"
	"credbroker/internal/secret"
)

// MaxRecord is the largest record, in bytes. Windows Credential Manager takes
// 2560 bytes in UTF-16, keyctl 20000 for all keys of a user.
const MaxRecord = 1024 - 1

// Record is one long-lived key at rest. It carries its own name and whose key
// it is, so that an item which turns up in another's place is noticed.
type Record struct {
	Item            string // the name it is stored under
	Profile         string
	AccessKeyID     string
	SecretAccessKey secret.String
	AccountID       string // empty if AWS was not asked
	ARN             string // empty if AWS was not asked
	StoredAt        time.Time
	MFA             ipc.MFAChoice
}

// probeMark begins what a probe stores: no JSON, so no record.
const probeMark = "probe "

var errProbe = errors.New("it holds no key")

// recordJSON is the form at rest. Fields are only ever added to it; one that
// changes its meaning needs another Prefix.
type recordJSON struct {
	Item            string    `json:"item"`
	Profile         string    `json:"profile"`
	AccessKeyID     string    `json:"accessKeyId"`
	SecretAccessKey string    `json:"secretAccessKey"`
	AccountID       string    `json:"accountId,omitempty"`
	ARN             string    `json:"arn,omitempty"`
	StoredAt        time.Time `json:"storedAt"`
	ipc.MFAChoice
}

// encode returns the bytes to store.
func (r Record) encode() ([]byte, error) {
	data, err := json.Marshal(recordJSON{
		Item:            r.Item,
		Profile:         r.Profile,
		AccessKeyID:     r.AccessKeyID,
		SecretAccessKey: r.SecretAccessKey.Reveal(),
		AccountID:       r.AccountID,
		ARN:             r.ARN,
		StoredAt:        r.StoredAt.UTC().Truncate(time.Second),
		MFAChoice:       r.MFA,
	})
	if err != nil {
		return nil, fmt.Errorf("encode the record of %s: %w", r.AccessKeyID, err)
	}
	if len(data) > MaxRecord {
		return nil, fmt.Errorf("encode the record of %s: %d bytes are over %d", r.AccessKeyID, len(data), MaxRecord)
	}
	return data, nil
}

// decodeRecord reads what a store returned for the item called name. Its
// errors never quote the data: it may be half a secret.
func decodeRecord(name string, data []byte) (Record, error) {
	if bytes.HasPrefix(data, []byte(probeMark)) {
		return Record{}, &Error{Kind: ErrCorrupt, Text: "item " + name + " is a probe that was left behind", Err: errProbe}
	}
	if bytes.HasPrefix(data, []byte(sealMark)) {
		return Record{}, &Error{Kind: ErrCorrupt, Text: "item " + name + " holds no key", Err: errSeal}
	}
	var j recordJSON
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&j); err != nil || len(data) > MaxRecord || decoder.More() {
		return Record{}, &Error{Kind: ErrCorrupt, Text: fmt.Sprintf("item %s holds %d bytes that are no key", name, len(data))}
	}
	if j.Item != name {
		return Record{}, &Error{Kind: ErrMismatch, Text: fmt.Sprintf("item %s holds a copy of another item", name)}
	}
	r := Record{
		Item:            j.Item,
		Profile:         j.Profile,
		AccessKeyID:     j.AccessKeyID,
		SecretAccessKey: secret.New(j.SecretAccessKey),
		AccountID:       j.AccountID,
		ARN:             j.ARN,
		StoredAt:        j.StoredAt,
		MFA:             j.MFAChoice,
	}
	if !profileName.MatchString(r.Profile) || !keyID.MatchString(r.AccessKeyID) || !keySecret.MatchString(j.SecretAccessKey) {
		return Record{}, &Error{Kind: ErrCorrupt, Text: "item " + name + " holds no usable key"}
	}
	return r, nil
}

// bound refuses a record that was stored for another profile or key.
func (r Record) bound(profile, accessKeyID string) error {
	if r.Profile == profile && r.AccessKeyID == accessKeyID {
		return nil
	}
	return &Error{Kind: ErrMismatch, Text: fmt.Sprintf("item %s was stored as key %s of profile %s", r.Item, r.AccessKeyID, r.Profile)}
}
