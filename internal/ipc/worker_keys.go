// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"encoding/json"
	"time"
)

// The operations of broker-vault with which a key is replaced by another one of
// its user. Each is harmless when it is done twice, but for OpCreateKey.
const (
	OpSeal         = "seal"           // SealParams → empty: store a new key for sealing, which never leaves the vault
	OpCreateKey    = "create-key"     // CreateKeyParams → CreatedKey: one CreateAccessKey, sealed into a file and stored
	OpSealedKey    = "sealed-key"     // SealedKeyParams → SealedKey: whose secret the file has
	OpStoreKey     = "store-key"      // StoreKeyParams → StoredKey: from the sealed file into the vault
	OpVerifyKey    = "verify-key"     // VerifyKeyParams → empty: one call of STS and one of IAM
	OpListKeys     = "list-keys"      // IAMParams → KeyStates
	OpServicesUsed = "services-used"  // ServicesUsedParams → ServicesUsed: IAM's report on a user, once it is made
	OpSetKeyStatus = "set-key-status" // KeyStatusParams → empty
	OpDeleteKey    = "delete-key"     // TargetParams → empty
	OpOnRotate     = "on-rotate"      // OnRotateParams → empty: the user's own program learns of a key
)

// IAMParams says in whose name a worker calls IAM: with the stored key, or, where
// a policy demands MFA, with a session of its user.
type IAMParams struct {
	ItemParams
	UserName string `json:"userName"`
	// Session is a credential_process document. Empty: the key signs itself.
	Session json.RawMessage `json:"session,omitempty"`
}

// TargetParams names another key of the same user.
type TargetParams struct {
	IAMParams
	Target string `json:"target"` // access key ID
}

// KeyStatusParams makes a key Active or Inactive.
type KeyStatusParams struct {
	TargetParams
	Active bool `json:"active"`
}

// KeyStates are all keys of a user, in IAM's order.
type KeyStates struct {
	Keys []KeyState `json:"keys"`
}

// KeyState is one key as IAM has it.
type KeyState struct {
	AccessKeyID string    `json:"accessKeyId"`
	Active      bool      `json:"active"`
	CreateDate  time.Time `json:"createDate"`
	// LastUsed is nil for a key that was never used, or whose use IAM does not
	// know yet; or when LastUsedError says why it is not known.
	LastUsed      *time.Time `json:"lastUsed,omitempty"`
	ServiceName   string     `json:"serviceName,omitempty"`
	Region        string     `json:"region,omitempty"`
	LastUsedError *Error     `json:"lastUsedError,omitempty"`
}

// SealParams stores a key for sealing under Seal. One that is there is kept.
type SealParams struct {
	Store Store  `json:"store"`
	Seal  string `json:"seal"` // an item name
}

// Sealed names the file that has the secret of a new key until it is stored, and
// what it belongs to: a file of anything else is refused.
type Sealed struct {
	Seal     string `json:"seal"`     // the item that it is sealed with
	File     string `json:"file"`     // absolute path
	Rotation string `json:"rotation"` // its ID
}

// KeyPlace is where a new key goes.
type KeyPlace struct {
	Profile string `json:"profile"`
	Item    string `json:"item"`
}

// CreateKeyParams makes a new key at IAM. It is sent once. Places get it at once
// where the vault lets them.
type CreateKeyParams struct {
	IAMParams
	Sealed
	AccountID string     `json:"accountId"`
	ARN       string     `json:"arn"`
	Places    []KeyPlace `json:"places"`
	MFAChoice
}

// CreatedKey is a new key of a user, whose secret is sealed.
type CreatedKey struct {
	AccessKeyID string `json:"accessKeyId"`
	// StoreError says why the key is not in the vault yet; nil when it is.
	StoreError *Error `json:"storeError,omitempty"`
}

// SealedKeyParams asks for the key in a sealed file.
type SealedKeyParams struct {
	Sealed
}

// SealedKey is what a sealed file says without being opened.
type SealedKey struct {
	AccessKeyID string `json:"accessKeyId,omitempty"` // empty: there is no file
}

// StoreKeyParams puts the key of a sealed file into the vault. A place that has
// it is left as it is.
type StoreKeyParams struct {
	Sealed
	Store       Store      `json:"store"`
	AccessKeyID string     `json:"accessKeyId"` // which must be in the file
	AccountID   string     `json:"accountId"`
	ARN         string     `json:"arn"`
	Places      []KeyPlace `json:"places"`
	MFAChoice
}

// StoredKey says what became of a key that was put into the vault.
type StoredKey struct {
	// Spoilt says that an item of a place is not what was written, or cannot be
	// read: the key wants items of other names. Nil: all places have it.
	Spoilt *Error `json:"spoilt,omitempty"`
}

// VerifyKeyParams tries a stored key.
type VerifyKeyParams struct {
	ItemParams
	ARN string `json:"arn"` // of the user whose key it must be; empty: not known yet
}

// OnRotateParams starts the user's program for a stored key: the secret goes to
// its standard input, and nowhere else.
type OnRotateParams struct {
	ItemParams
	Command []string `json:"command"` // an absolute path, and arguments
	Environ []string `json:"environ"` // beside what names the key
}
