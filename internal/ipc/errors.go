// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"errors"
	"syscall"
)

// Code names a failure that a user can meet. internal/client maps each code to its
// exit status; scripts may rely on the spelling.
type Code string

// The codes. Their groups follow the exit statuses of broker.
const (
	CodeInternal         Code = "internal"          // a defect in broker
	CodeUsage            Code = "usage"             // the command line or a parameter is malformed
	CodeProtocol         Code = "protocol"          // unknown version or op; the message names both versions
	CodeOutdated         Code = "outdated"          // an older release of the daemon still runs
	CodeNoDaemon         Code = "no_daemon"         // the daemon cannot be reached or started
	CodeForeignDaemon    Code = "foreign_daemon"    // the socket belongs to somebody else
	CodeBusy             Code = "busy"              // too many conversations
	CodeDeadline         Code = "deadline"          // the work took longer than the caller waits
	CodeConfigBroken     Code = "config_broken"     // a config file does not parse; the message names file and line
	CodeConfigUnwritable Code = "config_unwritable" // an AWS file cannot be edited as it is; the message says why
	CodeNotInitialised   Code = "not_initialised"   // no vault is pinned: run broker init
	CodeUnsupported      Code = "unsupported"       // a profile that broker cannot serve yet
	CodeStorage          Code = "storage"           // a state file cannot be read or written
	CodeDiskFull         Code = "disk_full"         // nothing can be written: the disk, or the quota, is full
	CodeReadOnly         Code = "read_only"         // nothing can be written: the file system is mounted read-only
	CodeProfileInvalid   Code = "profile_invalid"   // the profile contradicts itself
	CodeProfileLoop      Code = "profile_loop"      // source_profile or include_profile runs in a circle
	CodeMFARequired      Code = "mfa_required"      // nobody typed a code in time
	CodeMFAWrong         Code = "mfa_wrong"         // AWS refused the code, twice
	CodeMFAUsed          Code = "mfa_used"          // the code was used before
	CodeMFACancelled     Code = "mfa_cancelled"     // the user cancelled
	CodeMFATimeout       Code = "mfa_timeout"       // the flight ended without a code
	CodeMFASerial        Code = "mfa_serial"        // AWS does not accept the serial number for this user
	CodeMFAPasskey       Code = "mfa_passkey"       // a passkey cannot be used with STS
	CodeMFANotPending    Code = "mfa_not_pending"   // no code is being waited for
	CodeMFAUnknown       Code = "mfa_unknown"       // the key has no serial number on record
	CodeKeychainLocked   Code = "keychain_locked"   // the store is locked
	CodeKeychainDenied   Code = "keychain_denied"   // the store or its user refused
	CodeKeychainTimeout  Code = "keychain_timeout"  // the store did not answer
	CodeKeychainGone     Code = "keychain_gone"     // the store is not there
	CodeKeychainCorrupt  Code = "keychain_corrupt"  // the item is missing or is not what the index says
	CodeKeychainFailed   Code = "keychain_failed"   // any other failure of the store
	CodeWrongPassphrase  Code = "wrong_passphrase"  // the file vault does not open
	CodeSourceLocked     Code = "source_locked"     // the store of another program is locked, or refused
	CodeSourceTimeout    Code = "source_timeout"    // the store of another program did not answer
	CodeSourcePassword   Code = "source_passphrase" // the passphrase does not open the store of another program
	CodeSourceGone       Code = "source_gone"       // the store of another program is not there
	CodeSourceFailed     Code = "source_failed"     // any other failure of the store of another program, or of one item in it
	CodeIndexLost        Code = "index_lost"        // state.json is missing or unreadable: run broker recover
	CodeNoKey            Code = "no_key"            // no key is stored for the profile
	CodeNoProfile        Code = "no_profile"        // the profile exists nowhere
	CodeKeyExists        Code = "key_exists"        // the profile has another key
	CodeKeyInvalid       Code = "key_invalid"       // the key is not one that broker stores
	CodeKeyGone          Code = "key_gone"          // IAM does not have the key any more
	CodeKeyInactive      Code = "key_inactive"      // the key is Inactive at IAM
	CodeKeyQuota         Code = "key_quota"         // the user has two keys, which is all that IAM allows
	CodeKeyInUse         Code = "key_in_use"        // something else uses a key that was to be taken out of use
	CodeKeyUnexplained   Code = "key_unexplained"   // the user has a key that may be somebody else's
	CodeKeyNotValid      Code = "key_not_valid"     // AWS does not accept a key that it has made, or that is to remain
	CodeKeyTooOld        Code = "key_too_old"       // the key is older than refuse_after allows
	CodeKeyDue           Code = "key_due"           // a key is due for rotation or deletion
	CodeOnRotate         Code = "on_rotate"         // the user's on_rotate failed: the old key goes on working
	CodeNoRotation       Code = "no_rotation"       // there is no rotation that could go on or back
	CodeRefused          Code = "refused"           // refused by policy
	CodeAWSUnreachable   Code = "aws_unreachable"   // no connection to AWS, or it broke
	CodeAWSSlow          Code = "aws_slow"          // connected, and no whole answer came in time
	CodeAWSCertificate   Code = "aws_certificate"   // the certificate in AWS's place is not one that is trusted
	CodeAWSProxy         Code = "aws_proxy"         // the proxy of broker's config cannot be reached, or refuses
	CodeAWSThrottled     Code = "aws_throttled"     // AWS asks to slow down
	CodeAWSDenied        Code = "aws_denied"        // AWS denies the action
	CodeAWSExplicitDeny  Code = "aws_explicit_deny" // a policy denies the action on purpose
	CodeAWSQuarantined   Code = "aws_quarantined"   // AWS's quarantine policy for leaked keys denies the action
	CodeRoleDenied       Code = "role_denied"       // AWS does not let this caller assume the role, and does not say why
	CodeAWSKeyUnknown    Code = "aws_key_unknown"   // AWS does not take the key: inactive, deleted or never one; AWS does not tell these apart
	CodeAWSSecret        Code = "aws_secret"        // the signature does not match: wrong secret access key
	CodeAWSClock         Code = "aws_clock"         // the clock is too far off
	CodeAWSExpired       Code = "aws_expired"       // AWS refuses the session as expired or unknown
	CodeAWSRegion        Code = "aws_region"        // the Region is disabled for the account
	CodeAWSDuration      Code = "aws_duration"      // the duration is over what the role allows
	CodeAWSUnavailable   Code = "aws_unavailable"   // AWS answers, with a failure of its own (HTTP 5xx)
	CodeAWSGarbage       Code = "aws_garbage"       // the answer is not one of AWS's
	CodeAWSBlocked       Code = "aws_blocked"       // AWS serves the account, or this user, no more: suspended, or not signed up
	CodeAWSFailed        Code = "aws_failed"        // any other refusal of AWS
)

// Error is a failure as it crosses a process boundary: from worker to daemon
// and from daemon to client. Code decides; Message and Hint are for people.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`        // lower case, names the act and the thing
	Hint    string `json:"hint,omitempty"` // what to do next
	// Spent reports that an MFA code left this machine in the call that
	// failed: it must never be sent again, whatever became of it.
	Spent bool `json:"spent,omitempty"`

	cause error // what happened on this side of the boundary, or nil
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause, which does not cross the boundary.
func (e *Error) Unwrap() error { return e.cause }

// Is makes errors.Is(err, &Error{Code: c}) true for every Error of code c.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Message == ""
}

// StorageCode returns the code of a write that failed with err: CodeDiskFull
// or CodeReadOnly where that is why, else CodeStorage.
func StorageCode(err error) Code {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return CodeDiskFull
	case errors.Is(err, syscall.EROFS):
		return CodeReadOnly
	}
	return CodeStorage
}
