// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"encoding/json"

	"credbroker/internal/secret"
)

// The operations on the store of another program that keeps long-lived keys.
// Client and worker alone speak them: the daemon never learns of such a store.
const (
	OpForeignList   = "foreign-list"   // ForeignListParams → ForeignKeys; reads no secret
	OpForeignKey    = "foreign-key"    // ForeignParams → ForeignKey: reads one key, and answers only which it is
	OpForeignPut    = "foreign-put"    // ForeignPutParams → PutResult: from their store into ours, in one process
	OpForeignDelete = "foreign-delete" // ForeignParams → empty: delete their item, if it is still this key, and prove it absent
)

// Foreign names the store of another program. It holds no secret.
type Foreign struct {
	Owner string `json:"owner"` // the program, for messages and for the names it uses: "aws-vault" or "granted"
	Store
	Collection string `json:"collection,omitempty"` // secret-service: its name
	Prefix     string `json:"prefix,omitempty"`     // pass: the folder of its items; empty: the whole password store
}

// ForeignListParams asks which keys a foreign store has.
type ForeignListParams struct {
	Source Foreign `json:"source"`
}

// ForeignKeys are the names of the keys of a foreign store, sorted. What else
// its owner keeps there, sessions and tokens, is left out.
type ForeignKeys struct {
	Names []string `json:"names"`
}

// ForeignParams names one key of a foreign store.
type ForeignParams struct {
	Source Foreign `json:"source"`
	Name   string  `json:"name"` // as its owner spells it
	// AccessKeyID is which key it must be; empty in OpForeignKey.
	AccessKeyID string        `json:"accessKeyId,omitempty"`
	Passphrase  secret.String `json:"passphrase"` // of a "file" store; else zero
}

// Encode returns the JSON of p with the passphrase in it: MarshalJSON would
// redact it.
func (p ForeignParams) Encode() (json.RawMessage, error) {
	type plain ForeignParams // drops the method set, keeps the fields
	return json.Marshal(struct {
		plain
		Passphrase string `json:"passphrase"`
	}{plain(p), p.Passphrase.Reveal()})
}

// ForeignKey says which key an item of a foreign store is.
type ForeignKey struct {
	AccessKeyID string `json:"accessKeyId"`
}

// ForeignPutParams takes a key out of a foreign store into broker's. What
// PutParams would carry stays within the worker.
type ForeignPutParams struct {
	ForeignParams
	Item    string `json:"item"`
	Store   Store  `json:"store"`
	AWS     AWS    `json:"aws"`
	Profile string `json:"profile"`
	// NoVerify stores without asking AWS whose key it is.
	NoVerify bool `json:"noVerify,omitempty"`
	MFAChoice
}

// Encode returns the JSON of p with the passphrase in it.
func (p ForeignPutParams) Encode() (json.RawMessage, error) {
	type plain ForeignPutParams
	return json.Marshal(struct {
		plain
		Passphrase string `json:"passphrase"`
	}{plain(p), p.Passphrase.Reveal()})
}
