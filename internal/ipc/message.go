// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"encoding/json"
	"time"
)

// Protocol is the version of the conversation protocol that this code speaks.
const Protocol = 1

// OldestProtocol is the oldest version that a server of this code serves: the
// one before Protocol, for clients of the release before that are still there
// after an upgrade. Before 1 there was none.
const OldestProtocol = max(Protocol-1, 1)

// MaxLine is the longest line, in bytes and with its newline, that either side
// sends or accepts.
const MaxLine = 64 << 10

// Request is the first line of a conversation, sent by the client.
type Request struct {
	V      int             `json:"v"`
	Op     string          `json:"op"`
	Params json.RawMessage `json:"params,omitempty"`
	// Ask says where the client can put a question to its user.
	Ask Ask `json:"ask,omitempty"`
	// Deadline is how long the client will wait for the whole conversation, in
	// seconds; 0 leaves it to the server.
	Deadline int `json:"deadline,omitempty"`
	// Client names the program and its version, for messages only.
	Client string `json:"client,omitempty"`
}

// Ask says where a client can put a question to its user.
type Ask string

// The places where a client can ask.
const (
	AskNowhere  Ask = ""         // a background caller: it can only wait
	AskTerminal Ask = "terminal" // a command in the foreground of a terminal
	AskTTY      Ask = "tty"      // a helper whose controlling terminal may be used
)

// Reply is a line that the server sends. Exactly one field is set; Result and
// Error end the conversation.
type Reply struct {
	Prompt *Prompt         `json:"prompt,omitempty"`
	Event  json.RawMessage `json:"event,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *Error          `json:"error,omitempty"`
}

// PromptMFA is the kind of a Prompt for an MFA code.
const PromptMFA = "mfa"

// Reasons why a Prompt is put a second time.
const (
	ReasonWrongCode = "wrong_code"
	ReasonUsedCode  = "used_code"
)

// Prompt asks the client's user for something. The next line from the server,
// whatever it is, ends the prompt.
type Prompt struct {
	Kind         string    `json:"kind"`
	SerialNumber string    `json:"serialNumber"`
	Profile      string    `json:"profile,omitempty"` // the profile that is waiting
	AccessKeyID  string    `json:"accessKeyId,omitempty"`
	Attempt      int       `json:"attempt"` // 1 for the first
	Reason       string    `json:"reason,omitempty"`
	Deadline     time.Time `json:"deadline"`
}

// Answer is the line with which a client answers a Prompt. An empty answer
// cancels what the prompt was for.
type Answer struct {
	Answer string `json:"answer"`
	// Attempt and SerialNumber repeat those of the prompt, so that an answer
	// that crosses the next prompt on its way is not taken for that one's.
	// Zero means the prompt that is open.
	Attempt      int    `json:"attempt,omitempty"`
	SerialNumber string `json:"serialNumber,omitempty"`
	// Withdrawn says that the client could not put the prompt to anybody. It
	// is no cancellation: somebody else may be asked.
	Withdrawn bool `json:"withdrawn,omitempty"`
}
