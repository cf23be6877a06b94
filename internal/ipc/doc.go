// SPDX-License-Identifier: Apache-2.0

// Package ipc is the conversation protocol of broker: JSON lines between a
// client and brokerd on a unix socket, or a named pipe of Windows, and between
// either of them and a broker-vault worker on its standard input and output.
//
// No message to or from brokerd carries a long-lived secret, and the kernel
// says who the peer is before a byte is read or sent: both are what the rest of
// broker builds on.
//
// # The protocol, version 1
//
// A conversation is one connection. C is the client, S is brokerd.
//
//	C: {"v":1,"op":"credentials","params":{"profile":"dev"},"ask":"terminal","deadline":50,"client":"broker 1.2.0"}
//	S: {"prompt":{"kind":"mfa","serialNumber":"arn:aws:iam::111122223333:mfa/ann","attempt":1,"deadline":"2026-01-02T03:09:05Z"}}
//	C: {"answer":"111111"}
//	S: {"prompt":{"kind":"mfa","serialNumber":"arn:aws:iam::111122223333:mfa/ann","attempt":2,"reason":"wrong_code","deadline":"2026-01-02T03:09:05Z"}}
//	C: {"answer":"123456","attempt":2}
//	S: {"result":{"Version":1,"AccessKeyId":"ASIAIOSFODNN7EXAMPLE","SecretAccessKey":"c2VjcmV0","SessionToken":"dG9rZW4+","Expiration":"2026-01-02T15:04:05Z"}}
//	S.
//
// "S." is the end of the connection. The transcript is replayed by a test, as
// are those in testdata.
//
// Lines. A line is a JSON object (RFC 8259) in UTF-8 that ends with a newline
// and has at most 65536 bytes with it. Fields that the reader does not know are
// ignored, and field names are spelled as here. A line that is none of this
// protocol ends the conversation with the error "protocol".
//
// The request is the first line of C:
//
//	v         the protocol version, 1
//	op        what to do: see the Op constants for operations, parameters and results
//	params    an object; may be missing
//	ask       where C can ask its user: "terminal" for a command in the foreground,
//	          "tty" for a helper whose controlling terminal may be used; anything
//	          else, or nothing: C cannot ask
//	deadline  seconds after which C gives up; S then answers with the error
//	          "deadline". 0 or missing: none. At most a day counts
//	client    name and version of the program, for messages
//
// C has 5 seconds to send it. A C that connects and sends nothing whole is
// disconnected without a word, or with the error "busy" if its place is needed
// before. A v or an op that S does not know is the error "protocol", whose
// message names both sides' versions, and whose hint says which of them is the
// older. The number v grows when an old side would misunderstand a new one; S
// then goes on speaking v-1.
//
// S answers with any number of prompts and events, and at last with exactly one
// result or error. Then it closes the connection.
//
//	prompt    a question for the user of C, only if C can ask: see Prompt
//	event     progress, or one row of a long answer: any JSON value
//	result    the answer. That of "credentials" is the document that a helper
//	          prints, byte for byte
//	error     code, message, hint: see Error and Code
//
// A result that does not fit into a line comes in parts: events {"part":"…"},
// each a piece of it in base64, then the result {"parts":N} with their number.
// 8 MiB is the most.
//
// An object with none of these is from a later version and is ignored.
//
// A prompt is open until the next line of S, whatever that is. The event
// {"withdrawn":true} says nothing else: the question has been answered in
// another place. C answers with
//
//	answer        the text; "" cancels what the prompt was for
//	attempt       that of the prompt, optional
//	serialNumber  that of the prompt, optional
//	withdrawn     true: C could not ask. It cancels nothing: S may ask elsewhere
//
// An answer that arrives when no prompt is open, or that repeats an attempt or
// a serialNumber which is not that of the open prompt, came too late and is
// dropped. After 64 answers S ends the conversation.
//
// C hangs up by closing the connection, also for writing only. S then gives up
// what it did for C alone. S drops a C that leaves a line unread for 2 seconds.
//
// The error "busy" says that nothing was done for C, because S has more clients
// than places, or more that must wait than seats. C asks again, after pauses
// that grow and are uneven, until its own deadline.
//
// # Who is there
//
// S looks at the peer's uid (SO_PEERCRED) before it reads or writes a byte and
// closes the connection of every other user: root is one. It holds the peer's
// pidfd during the conversation. C looks at the uid of S and at the owner of
// the socket before it sends a byte. File descriptors that are sent along are
// closed unseen.
//
// macOS says the same with LOCAL_PEERCRED, and has no pidfd. On Windows the
// socket is a named pipe whose name holds the user's SID. Only that user may
// open it, and only from this machine; S must be the first to make it, and each
// side looks up the process at the other end and compares its user's SID, before
// a byte.
//
// The socket has mode 0600 and stands in a directory of mode 0700, beside a lock
// file that is never removed. S locks that file before it touches the path of
// the socket; see Listen.
//
// # Workers
//
// broker-vault reads one request from its standard input and writes one result
// or error to its standard output: the same lines, without prompts. The end of
// its input is no hanging up. See WorkerCommand and ServeOne.
package ipc
