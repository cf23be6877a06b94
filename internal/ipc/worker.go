// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"encoding/json"
	"fmt"
	"time"

	"credbroker/internal/secret"
)

// The operations of broker-vault. The worker speaks the same conversation
// protocol on its standard input and output: one request, one reply, exit.
const (
	OpProbe          = "probe"            // ProbeParams → empty: write, read back and delete a dummy item
	OpPut            = "put"              // PutParams → PutResult; started by the client only
	OpDelete         = "delete"           // ItemParams → empty: delete the item and prove it absent
	OpSessionToken   = "session-token"    // SessionTokenParams → the credential_process document
	OpCallerIdentity = "caller-identity"  // ItemParams → Identity
	OpListMFADevices = "list-mfa-devices" // ItemParams → MFADevices
	OpRecover        = "recover"          // RecoverParams → RecoverResult; started by the client only
	OpStrays         = "strays"           // StraysParams → Strays: items that nobody knows of
	OpUnlock         = "unlock"           // UnlockParams → empty: open the store and, with a passphrase, leave its key with a holder; started by the client only
	OpHold           = "hold"             // HoldParams → empty, and broker-vault hold goes on; started by a worker only
)

// Store names one vault backend and what it needs to open. It holds no secret.
type Store struct {
	Backend        string `json:"backend"`                  // "keychain", "secret-service", "wincred", "file" or "pass"
	Dir            string `json:"dir,omitempty"`            // absolute; file: the items; pass: the password store
	PassphraseFile string `json:"passphraseFile,omitempty"` // file: absolute path; empty: it opens with a passphrase
	Holder         string `json:"holder,omitempty"`         // file without PassphraseFile: the socket of who holds its key
	Keychain       string `json:"keychain,omitempty"`       // keychain: its name
	Service        string `json:"service,omitempty"`        // secret-service: bus address
	Program        string `json:"program,omitempty"`        // pass: absolute path of the program
	GnuPGHome      string `json:"gnupgHome,omitempty"`      // pass: absolute; empty = GnuPG's own choice
	// Silent says that nobody waits for this: a store that is locked is left so,
	// without a dialog. That of macOS cannot be told.
	Silent bool `json:"silent,omitempty"`
}

// AWS says how to reach AWS for one call.
type AWS struct {
	Region         string `json:"region"`              // never empty
	Partition      string `json:"partition,omitempty"` // empty = derived from the Region
	STSEndpointURL string `json:"stsEndpointUrl,omitempty"`
	IAMEndpointURL string `json:"iamEndpointUrl,omitempty"`
	// CloudTrailEndpointURL counts for brokerd only: no worker calls CloudTrail.
	CloudTrailEndpointURL string `json:"cloudTrailEndpointUrl,omitempty"`

	CABundle     string `json:"caBundle,omitempty"`   // absolute path of a PEM file
	HTTPSProxy   string `json:"httpsProxy,omitempty"` // from broker's own config only
	UseFIPS      bool   `json:"useFips,omitempty"`
	UseDualStack bool   `json:"useDualStack,omitempty"`
	// ClockOffset is the clock of AWS minus ours, in whole seconds.
	ClockOffset int `json:"clockOffset,omitempty"`
}

// ProbeParams asks whether a store works.
type ProbeParams struct {
	Store Store  `json:"store"`
	Item  string `json:"item"`
	// Create makes what the store needs and lacks: the directory and the
	// passphrase file of "file". Nothing that is there is changed.
	Create bool `json:"create,omitempty"`
}

// ItemParams names one stored key and what it must be: a worker refuses an
// item that is not bound to this profile and access key ID.
type ItemParams struct {
	Store       Store  `json:"store"`
	Item        string `json:"item"`
	Profile     string `json:"profile"`
	AccessKeyID string `json:"accessKeyId"`
	AWS         AWS    `json:"aws"`
}

// SessionTokenParams asks for one GetSessionToken call, sent once.
type SessionTokenParams struct {
	ItemParams
	SerialNumber    string `json:"serialNumber,omitempty"` // empty: a session without MFA
	TokenCode       string `json:"tokenCode,omitempty"`    // 6 digits, works once
	DurationSeconds int    `json:"durationSeconds"`        // 900 to 129600
}

// PutParams stores a key that the user brings. Like UnlockParams and HoldParams
// it carries a long-lived secret to a worker, and never goes to brokerd.
type PutParams struct {
	Item            string        `json:"item"`
	Store           Store         `json:"store"`
	AWS             AWS           `json:"aws"`
	Profile         string        `json:"profile"`
	AccessKeyID     string        `json:"accessKeyId"`
	SecretAccessKey secret.String `json:"secretAccessKey"`
	// NoVerify stores without asking AWS whose key it is.
	NoVerify bool `json:"noVerify,omitempty"`
	MFAChoice
}

// MFAChoice is what the user said of MFA when the key was stored. It is kept
// with the key, so that it outlives the index. The zero value says nothing.
type MFAChoice struct {
	SerialNumber string `json:"serialNumber,omitempty"`
	NoMFA        bool   `json:"noMfa,omitempty"`
}

// Encode returns the JSON of p with the secret in it: MarshalJSON would redact it.
func (p PutParams) Encode() (json.RawMessage, error) {
	type plain PutParams // drops the method set, keeps the fields
	return json.Marshal(struct {
		plain
		SecretAccessKey string `json:"secretAccessKey"`
	}{plain(p), p.SecretAccessKey.Reveal()})
}

// PutResult is what a worker learnt of a key while it stored it.
type PutResult struct {
	Identity Identity    `json:"identity"` // zero with NoVerify
	Devices  []MFADevice `json:"devices"`
	// DevicesError says why the devices are not known; nil when they are.
	DevicesError *Error `json:"devicesError,omitempty"`
}

// Identity is the answer of GetCallerIdentity.
type Identity struct {
	AccountID string `json:"accountId"`
	ARN       string `json:"arn"`
	UserID    string `json:"userId"`
	UserName  string `json:"userName,omitempty"` // without its IAM path; empty for a root user
}

// MFADevice is one device of an IAM user.
type MFADevice struct {
	SerialNumber string    `json:"serialNumber"`
	EnableDate   time.Time `json:"enableDate"`
}

// MFADevices is the answer of ListMFADevices.
type MFADevices struct {
	Devices []MFADevice `json:"devices"`
}

// RecoverParams asks for every item of ours in a store, each verified with
// GetCallerIdentity.
type RecoverParams struct {
	Store Store `json:"store"`
	AWS   AWS   `json:"aws"`
}

// RecoverResult lists what a store holds.
type RecoverResult struct {
	Keys []RecoveredKey `json:"keys"`
}

// RecoveredKey is one item found in a store.
type RecoveredKey struct {
	Item        string      `json:"item"`
	Profile     string      `json:"profile,omitempty"`
	AccessKeyID string      `json:"accessKeyId,omitempty"`
	StoredAt    time.Time   `json:"storedAt"`
	Identity    Identity    `json:"identity"`
	Devices     []MFADevice `json:"devices"`
	MFAChoice
	// Error says why the item is of no use, or why AWS did not confirm it.
	Error *Error `json:"error,omitempty"`
}

// MostStrays is how many items that nobody knows of are named at once, and
// MostKnown how many names may be known for them to be looked for: both have to
// fit into a line.
const (
	MostStrays = 20
	MostKnown  = 1000
)

// StraysParams asks for the items of ours in a store that are not known. Their
// names alone are listed; with Read, each one that is found is read.
type StraysParams struct {
	Store Store    `json:"store"`
	Known []string `json:"known"` // at most MostKnown
	Read  bool     `json:"read,omitempty"`
}

// Strays are items that nobody knows of, by name.
type Strays struct {
	Items []Stray `json:"items"`          // at most MostStrays
	More  int     `json:"more,omitempty"` // how many there are beside them
}

// Stray is one item that nobody knows of. All but Item is there only if it was
// read and holds a key.
type Stray struct {
	Item        string    `json:"item"`
	Profile     string    `json:"profile,omitempty"`
	AccessKeyID string    `json:"accessKeyId,omitempty"`
	StoredAt    time.Time `json:"storedAt,omitzero"`
	// Error says why it was not read, or holds no key.
	Error *Error `json:"error,omitempty"`
}

// Problem is what to say of an item that nobody knows of. Its message is the
// same whether the item was read or not.
func (s Stray) Problem() *Error {
	remove := "to delete it: broker remove --item " + s.Item
	e := &Error{Code: CodeKeyUnexplained, Message: "the vault has an item that neither index nor journal names: " + s.Item}
	switch {
	case s.AccessKeyID != "":
		e.Hint = fmt.Sprintf("it holds key %s, stored for profile %s on %s; to take it into the index: broker recover; %s",
			s.AccessKeyID, s.Profile, s.StoredAt.UTC().Format(time.DateOnly), remove)
	case s.Error != nil:
		e.Hint = "it holds no key that can be read; " + remove
	default:
		e.Hint = "to see what it holds: broker doctor; " + remove
	}
	return e
}

// UnlockParams opens a store for the workers that come after. A store with a
// dialog of its own shows that. A file vault that opens with a passphrase is
// given it here; the worker derives its key, proves it, and leaves the key, not
// the passphrase, with a holder.
type UnlockParams struct {
	Store      Store         `json:"store"`
	Passphrase secret.String `json:"passphrase"` // zero for a store that asks by itself
	// Create makes a vault for this passphrase where there is none. It proves
	// the vault as a probe does.
	Create bool `json:"create,omitempty"`
	// Daemon is the socket of the daemon that the holder lives as long as.
	// Empty: nobody is to hold the key, it is only proven.
	Daemon string `json:"daemon,omitempty"` // absolute path
}

// Encode returns the JSON of p with the passphrase in it.
func (p UnlockParams) Encode() (json.RawMessage, error) {
	type plain UnlockParams
	return json.Marshal(struct {
		plain
		Passphrase string `json:"passphrase"`
	}{plain(p), p.Passphrase.Reveal()})
}

// HoldParams makes a worker the holder of a vault's key.
type HoldParams struct {
	Socket    string        `json:"socket"` // absolute path, where workers ask for the key
	Daemon    string        `json:"daemon"` // absolute path, as in UnlockParams
	Key       secret.String `json:"key"`
	IdleLimit int           `json:"idleLimit"` // seconds without a question after which it ends
}

// Encode returns the JSON of p with the key in it.
func (p HoldParams) Encode() (json.RawMessage, error) {
	type plain HoldParams
	return json.Marshal(struct {
		plain
		Key string `json:"key"`
	}{plain(p), p.Key.Reveal()})
}
