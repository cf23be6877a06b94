// SPDX-License-Identifier: Apache-2.0

package ipc

import "time"

// ExplainParams asks for the plan of one profile.
type ExplainParams struct {
	Profile string `json:"profile"`
}

// Explanation is the plan by which a profile comes to credentials, as it would
// be followed now. It holds no secret. Lists are empty, never null.
type Explanation struct {
	Profile            string `json:"profile"`
	AWSConfigFile      string `json:"awsConfigFile"`
	AWSCredentialsFile string `json:"awsCredentialsFile"`
	// Wired says that the AWS files make SDKs ask broker for the profile.
	Wired bool `json:"wired"`
	// Outranked is the place, file:line, of what SDKs take before all that
	// broker can offer them in a file; empty: there is none.
	Outranked string `json:"outranked,omitempty"`
	// Key is the long-lived key at the root; Key.Profile is where it is stored.
	Key   Key           `json:"key"`
	Calls []PlannedCall `json:"calls"` // in the order of calling
	Code  PlannedCode   `json:"code"`
	// Now is what a caller would be given now from memory; null: nothing yet.
	Now *PlannedEntry `json:"now"`
	// Cannot is what AWS does not let the credentials do: each completes the
	// sentence "they cannot …".
	Cannot   []string  `json:"cannot"`
	Notes    []string  `json:"notes"` // what else to know, a sentence each
	Settings []Setting `json:"settings"`
}

// PlannedCall is one call to STS.
type PlannedCall struct {
	Action  string `json:"action"` // GetCallerIdentity, GetSessionToken or AssumeRole
	Profile string `json:"profile"`
	Region  string `json:"region"`
	// Endpoint is a URL; empty when the AWS SDK knows none for the Region.
	Endpoint          string            `json:"endpoint,omitempty"`
	DurationSeconds   int               `json:"durationSeconds,omitempty"`
	SerialNumber      string            `json:"serialNumber,omitempty"` // the call carries a code of this device
	RoleARN           string            `json:"roleArn,omitempty"`
	RoleSessionName   string            `json:"roleSessionName,omitempty"`
	ExternalID        string            `json:"externalId,omitempty"`
	SourceIdentity    string            `json:"sourceIdentity,omitempty"`
	Tags              map[string]string `json:"tags,omitempty"`
	TransitiveTagKeys []string          `json:"transitiveTagKeys,omitempty"`
	// Session is what this call brought before and is valid still; null: the
	// call is to be made.
	Session *Session `json:"session"`
}

// The times at which a code is asked for.
const (
	CodeNever = "never" // the key is used without MFA
	CodeNow   = "now"   // the next caller is asked
	CodeLater = "later" // not before PlannedCode.NotBefore
)

// PlannedCode says who will be asked for a code, and when.
type PlannedCode struct {
	When         string `json:"when"` // CodeNever, CodeNow or CodeLater
	SerialNumber string `json:"serialNumber,omitempty"`
	// NotBefore is when the session that spares the code ends.
	NotBefore *time.Time `json:"notBefore,omitempty"`
	// Surfaces are where it is asked for, the first that can: as Pending.Surface
	// has them. Command is the program of "command".
	Surfaces []string `json:"surfaces"`
	Command  string   `json:"command,omitempty"`
	Pending  bool     `json:"pending,omitempty"` // it is being waited for
}

// PlannedEntry is what memory holds for the last call of a plan.
type PlannedEntry struct {
	Session
	// Renewed says that it is short, or its source has gone: a new one is tried
	// first, and this one is handed out if that does not work.
	Renewed bool `json:"renewed"`
}

// Setting is one setting of a plan.
type Setting struct {
	Profile string `json:"profile,omitempty"` // whose it is; empty: everybody's
	Name    string `json:"name"`              // as it is spelled in broker's config
	Value   string `json:"value"`
	From    string `json:"from"` // "file:line", "key AKIA…", or FromDefault
}

// FromDefault is the From of a setting that nobody has set.
const FromDefault = "default"

// Setting returns the first setting of a name.
func (e Explanation) Setting(name string) (Setting, bool) {
	for _, s := range e.Settings {
		if s.Name == name {
			return s, true
		}
	}
	return Setting{}, false
}
