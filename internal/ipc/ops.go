// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"encoding/json"
	"strconv"
	"time"
)

// The operations of brokerd. No operation carries a long-lived secret in
// either direction.
const (
	OpHello       = "hello"       // no params → Hello
	OpCredentials = "credentials" // CredentialsParams → the credential_process document
	OpMFA         = "mfa"         // MFAParams → MFAResult; prompts
	OpStatus      = "status"      // no params → Status
	OpList        = "list"        // no params → KeyList
	OpServes      = "serves"      // CredentialsParams, or no params → Serves
	OpReserve     = "reserve"     // ReserveParams → Reservation
	OpAdopt       = "adopt"       // AdoptParams → Key
	OpRemove      = "remove"      // RemoveParams → Key
	OpRestore     = "restore"     // RestoreParams → KeyList
	OpExplain     = "explain"     // ExplainParams → Explanation; makes no call and asks nobody
	OpLock        = "lock"        // LockParams → LockResult
	OpRotate      = "rotate"      // RotateParams → Rotation, with events of the same; RotationPlan for a dry run; prompts
	OpNag         = "nag"         // no params → Notices: what a command is to say on its standard error
	OpSnooze      = "snooze"      // SnoozeParams → Key
	OpCreate      = "create"      // CreateParams → Rotation, with events of the same; prompts
	OpUsage       = "usage"       // UsageParams → Usage; prompts
	OpRevoke      = "revoke"      // RevokeParams → Revoked; prompts
	OpHolding     = "holding"     // HoldingParams → HoldingEvent each time something changes, Holding at the end
)

// Hello says which daemon answers.
type Hello struct {
	Version   string    `json:"version"`
	Protocol  int       `json:"protocol"`
	PID       int       `json:"pid"`
	StartedAt time.Time `json:"startedAt"`
}

// CredentialsParams asks for temporary credentials of one profile.
type CredentialsParams struct {
	Profile string `json:"profile"`
	// DurationSeconds is for how long AWS is to make the credentials: those of
	// the last role, or of the key's session. 0: what the profile says.
	DurationSeconds int `json:"durationSeconds,omitempty"`
	// RemainingSeconds is how much of DurationSeconds must be left, for a caller
	// that cannot come again when they run out. At most DurationSeconds.
	RemainingSeconds int `json:"remainingSeconds,omitempty"`
}

// Encode returns the JSON of p. It is written out, because every helper sends
// it; see encodeRequest.
func (p CredentialsParams) Encode() (json.RawMessage, error) {
	data := appendString([]byte(`{"profile":`), p.Profile)
	if p.DurationSeconds != 0 {
		data = strconv.AppendInt(append(data, `,"durationSeconds":`...), int64(p.DurationSeconds), 10)
	}
	if p.RemainingSeconds != 0 {
		data = strconv.AppendInt(append(data, `,"remainingSeconds":`...), int64(p.RemainingSeconds), 10)
	}
	return append(data, '}'), nil
}

// MFAParams answers, or cancels, the MFA prompts that are pending. With Code
// the first prompt of the conversation is answered by the caller's client
// without asking. Profile narrows to the flight that serves that profile.
type MFAParams struct {
	Code    string `json:"code,omitempty"`
	Profile string `json:"profile,omitempty"`
	Cancel  bool   `json:"cancel,omitempty"`
}

// MFAResult says what the answer, or the cancellation, did.
type MFAResult struct {
	Answered  []Pending `json:"answered"`
	Cancelled []Pending `json:"cancelled"`
}

// Pending is one MFA code that the daemon is waiting for.
type Pending struct {
	SerialNumber string    `json:"serialNumber"`
	AccessKeyID  string    `json:"accessKeyId"`
	Profiles     []string  `json:"profiles"` // the waiting profiles, sorted
	Waiters      int       `json:"waiters"`
	Attempt      int       `json:"attempt"`
	Reason       string    `json:"reason,omitempty"`
	Surface      string    `json:"surface"` // "command", "terminal", "dialog", "tty" or "wait"
	Since        time.Time `json:"since"`
	Deadline     time.Time `json:"deadline"`
}

// Status is the daemon's state for people and scripts.
type Status struct {
	Hello
	Backend string `json:"backend,omitempty"`
	// Vault is there only for a vault that opens with a passphrase.
	Vault              *VaultLock `json:"vault,omitempty"`
	ConfigFile         string     `json:"configFile"`
	StateFile          string     `json:"stateFile"`
	Socket             string     `json:"socket"`
	AWSConfigFile      string     `json:"awsConfigFile"`
	AWSCredentialsFile string     `json:"awsCredentialsFile"`
	Prompts            int        `json:"prompts"` // MFA prompts since the start, repeats included
	Problems           []Error    `json:"problems"`
	Notes              []Error    `json:"notes,omitempty"`    // worth a look, and perhaps as it should be
	Reserved           []string   `json:"reserved,omitempty"` // items that a client is about to store
	Outages            []Outage   `json:"outages"`
	Pending            []Pending  `json:"pending"`
	Rotations          []Rotation `json:"rotations"`
	Sessions           []Session  `json:"sessions"`
	Keys               []Key      `json:"keys"`
}

// MaxState is the longest index of keys, in bytes, that brokerd and the clients
// read: some hundred bytes a key, and far above what thousands of them need.
const MaxState = 4 << 20

// Outage is a key and a Region for which the last call got no answer of AWS.
// What is cached goes on being served.
type Outage struct {
	AccessKeyID string    `json:"accessKeyId"`
	Region      string    `json:"region"`
	Code        Code      `json:"code"` // of the last failure
	Message     string    `json:"message"`
	Failures    int       `json:"failures"` // in a row
	Since       time.Time `json:"since"`
	// RetryAt is until when callers that cannot ask fail at once; nil if they
	// do not.
	RetryAt *time.Time `json:"retryAt,omitempty"`
}

// Session is one set of cached temporary credentials. It holds no secret.
type Session struct {
	Kind         string    `json:"kind"` // "session" (GetSessionToken) or "role"
	AccessKeyID  string    `json:"accessKeyId"`
	SourceKeyID  string    `json:"sourceKeyId"`             // the long-lived key at its root, or what a rotation put in its place
	MadeWith     string    `json:"madeWithKeyId,omitempty"` // the key at its root, where a rotation has replaced that
	SerialNumber string    `json:"serialNumber,omitempty"`
	RoleARN      string    `json:"roleArn,omitempty"`
	Expiration   time.Time `json:"expiration"`
}

// Key is one stored long-lived key. It holds no secret.
type Key struct {
	Profile      string    `json:"profile"`
	AccessKeyID  string    `json:"accessKeyId"`
	AccountID    string    `json:"accountId,omitempty"`
	ARN          string    `json:"arn,omitempty"`
	UserName     string    `json:"userName,omitempty"`
	SerialNumber string    `json:"serialNumber,omitempty"`
	NoMFA        bool      `json:"noMfa,omitempty"`
	Region       string    `json:"region,omitempty"`
	AddedAt      time.Time `json:"addedAt"`
	KeyFacts
	// Revoked is there while the key is revoked: nothing is made of it.
	Revoked *RevokedKey `json:"revoked,omitempty"`
}

// KeyList is every stored key, sorted by profile.
type KeyList struct {
	Keys []Key `json:"keys"`
}

// Serves tells broker exec which profiles it can hand over, and which AWS
// files the daemon reads.
//
// Asked with CredentialsParams, it also says whether such a request would be
// answered at once: without a code, and without a call to AWS.
type Serves struct {
	Ready              bool     `json:"ready,omitempty"`
	AWSConfigFile      string   `json:"awsConfigFile"`
	AWSCredentialsFile string   `json:"awsCredentialsFile"`
	Profiles           []string `json:"profiles"` // sorted; every profile whose plan starts at a stored key
	OverlayDir         string   `json:"overlayDir"`
}

// ReserveParams asks for a place in the vault before a key is stored.
type ReserveParams struct {
	Profile     string `json:"profile"`
	AccessKeyID string `json:"accessKeyId"`
	Replace     bool   `json:"replace,omitempty"`
}

// Reservation is a place in the vault. Nothing is stored yet, and nothing is
// lost if it is never used.
type Reservation struct {
	Item  string `json:"item"`
	Store Store  `json:"store"`
	AWS   AWS    `json:"aws"`
	// SerialNumber is what the AWS config names as mfa_serial for the profile.
	SerialNumber string `json:"serialNumber,omitempty"`
	// Region is what the profile, or its source, names as its Region: the one
	// to keep with the key. That of AWS may be a default, which is not.
	Region string `json:"region,omitempty"`
}

// AdoptParams enters an item that a worker has stored into the index.
type AdoptParams struct {
	Item        string `json:"item"`
	Profile     string `json:"profile"`
	AccessKeyID string `json:"accessKeyId"`
	Replace     bool   `json:"replace,omitempty"`
	KeyDetails
}

// KeyDetails is what the index keeps about a key beside its name.
type KeyDetails struct {
	AccountID    string `json:"accountId,omitempty"`
	ARN          string `json:"arn,omitempty"`
	UserName     string `json:"userName,omitempty"`
	SerialNumber string `json:"serialNumber,omitempty"`
	NoMFA        bool   `json:"noMfa,omitempty"`
	Region       string `json:"region,omitempty"`
}

// RemoveParams forgets the key of a profile: its item, index entry and sessions.
type RemoveParams struct {
	Profile string `json:"profile"`
	// Item is one that neither index nor journal names, to be deleted if it holds
	// AccessKeyID of Profile, or no key. Empty: the key that the profile has.
	Item        string `json:"item,omitempty"`
	AccessKeyID string `json:"accessKeyId,omitempty"` // with Item only
}

// RestoreParams replaces a lost index by what a worker found in the store.
type RestoreParams struct {
	Keys []AdoptParams `json:"keys"`
}

// LockParams says what to forget: the sessions of the key that Profile begins
// at, or, if it is empty, all of them and the key of a vault that opens with a
// passphrase.
type LockParams struct {
	Profile string `json:"profile,omitempty"`
}

// LockResult says what was forgotten.
type LockResult struct {
	Sessions int        `json:"sessions"` // that were dropped
	Prompts  int        `json:"prompts"`  // that were withdrawn, and everybody who waited for them told
	Vault    *VaultLock `json:"vault,omitempty"`
}

// VaultLock is the state of a vault that opens with a passphrase.
type VaultLock struct {
	Locked bool      `json:"locked"`
	Since  time.Time `json:"since"` // of being locked, or not; while the daemon has been there
	// IdleLimit is how long the vault stays unlocked without being used, in
	// seconds. 0 while it is locked.
	IdleLimit int `json:"idleLimit,omitempty"`
}

// HoldingParams tells the daemon that the caller holds the key of the vault.
// The conversation lasts as long as both: whichever end is left by the other
// gives up. The key itself never goes to the daemon.
type HoldingParams struct {
	IdleLimit int `json:"idleLimit"` // seconds, see VaultLock
}

// HoldingEvent is what the daemon has to say to who holds the key. Exactly one
// field is true.
type HoldingEvent struct {
	Accepted bool `json:"accepted,omitempty"` // the vault counts as unlocked from now on
	Lock     bool `json:"lock,omitempty"`     // forget the key: end, at once
}

// Holding is the answer to a caller whose key is not wanted, because somebody
// else holds it already.
type Holding struct {
	Already bool `json:"already"`
}
