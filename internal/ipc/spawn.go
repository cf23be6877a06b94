// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

// How long the steps of a worker may take. The worker holds itself to them;
// Run kills it KillDelay after their sum.
const (
	KeychainTime = 5 * time.Second  // one call of the store
	DialogTime   = 60 * time.Second // one call during which the platform's dialog may be up
	AWSTime      = 15 * time.Second // one call of AWS, connecting included
	OnRotateTime = 2 * time.Minute  // the user's on_rotate
	ReportTime   = 30 * time.Second // IAM's report on a user, from its beginning to its end
	KillDelay    = 5 * time.Second
)

// foreignRead is for one key of another program: macOS asks for each of them.
const foreignRead = DialogTime

// drainTime is how long Run goes on reading after the worker's end: only a
// process that left the worker's process group can still hold the pipe.
const drainTime = time.Second

// maxStderr is how much of a worker's standard error is kept, in bytes.
const maxStderr = 4 << 10

// keyPlaces is how many profiles that share a key a limit allows for. A store
// that needs all of its time for each call, and has more, is given up, and what
// is not stored yet is stored by the next worker.
const keyPlaces = 4

// Limit returns how long a worker may live for op, dialogs not counted.
func Limit(op string) time.Duration {
	keychain, aws := 0, 0
	switch op {
	case OpProbe: // open, write, read back, delete, prove absent
		keychain = 5
	case OpDelete: // open, read, delete, prove absent; of a missing item: open, read, probe
		keychain = 6
	case OpPut: // whose key, which devices; open, write, read back, clean up
		keychain, aws = 4, 2
	case OpSessionToken, OpCallerIdentity, OpListMFADevices: // open, read
		keychain, aws = 2, 1
	case OpSetKeyStatus, OpDeleteKey, OpDenySessions, OpAllowSessions, OpListQuarantines: // open, read
		keychain, aws = 2, 1
	case OpVerifyKey: // open, read; STS, IAM
		keychain, aws = 2, 2
	case OpListKeys: // open, read; the list, the last use of each of two keys
		keychain, aws = 2, 3
	case OpSeal: // open, read, write, read back, clean up
		keychain = 5
	case OpStoreKey: // open, read the seal; for each of some places: write, read back, clean up
		keychain = 2 + 3*keyPlaces
	case OpCreateKey: // open, read the seal, read the key; as OpStoreKey; make the key, or delete it again
		keychain, aws = 3+3*keyPlaces, 2
	case OpOnRotate: // open, read; the program
		return Limit(OpCallerIdentity) - AWSTime + OnRotateTime
	case OpServicesUsed: // open, read; the report
		return Limit(OpCallerIdentity) - AWSTime + ReportTime
	case OpSealedKey: // waits for a worker that may be writing
		keychain = 1
	// A foreign store may ask its user, whatever broker's own does.
	case OpForeignList: // list
		return DialogTime + KeychainTime + KillDelay
	case OpForeignKey: // read
		return DialogTime + foreignRead + KillDelay
	case OpForeignDelete: // read; delete, prove absent
		return DialogTime + foreignRead + 2*KeychainTime + KillDelay
	case OpForeignPut: // read; then as OpPut
		return DialogTime + foreignRead + Limit(OpPut)
	case OpRecover: // as many keys as there are: nobody has a hundred
		return 10 * time.Minute
	case OpStrays: // open, list; some reads, which take no time where the list did not
		keychain = 6
	case OpUnlock: // deriving the key is slow on purpose, and slower where memory is short
		return time.Minute + KillDelay
	default:
		keychain = 1
	}
	return time.Duration(keychain)*KeychainTime + time.Duration(aws)*AWSTime + KillDelay
}

// WorkerCommand starts broker-vault.
type WorkerCommand struct {
	Path string // absolute
	// Env is the whole environment of the worker. It must hold no secret.
	Env    []string
	Client string // "brokerd 1.2.0", for messages
	Log    Logger // what a worker says on its standard error; nil drops it
	// Dialog says that the store may ask its user: one of the calls to it may
	// take DialogTime.
	Dialog bool
}

// Run has one worker do op and returns its result. The worker has ended, with
// every process of its group, when Run returns. Nothing of params reaches its
// arguments or environment. Params that can Encode themselves are sent
// with their secret.
//
// The error is an *Error: the worker's own, or CodeKeychainTimeout if it did
// not end in time, CodeDeadline if ctx did end, or CodeInternal if it died or
// could not be started. If params hold an MFA code and the worker may have
// sent it, Spent is set.
func (w WorkerCommand) Run(ctx context.Context, op string, params any) (json.RawMessage, error) {
	request, err := workerRequest(w.Client, op, params)
	if err != nil {
		return nil, &Error{Code: CodeInternal, Message: fmt.Sprintf("start worker for %s: %v", op, err), cause: err}
	}
	defer clear(request)
	limit := Limit(op)
	if w.Dialog {
		limit += DialogTime - KeychainTime
	}
	return w.run(ctx, op, limit, request, spends(params))
}

func (w WorkerCommand) run(ctx context.Context, op string, limit time.Duration, request []byte, code bool) (json.RawMessage, error) {
	late := &Error{
		Code:    CodeKeychainTimeout,
		Message: fmt.Sprintf("the vault worker did not end %s within %v and was stopped", op, limit),
		Hint:    "the keychain does not answer: see whether it asks for a password, or restart it",
		Spent:   code,
	}
	ctx, stop := context.WithTimeoutCause(ctx, limit, late)
	defer stop()
	out, complaints := capped{limit: MaxLine}, capped{limit: maxStderr}
	cmd := exec.CommandContext(ctx, w.Path)
	cmd.Env, cmd.Dir = w.Env, filepath.VolumeName(w.Path)+"/"
	if cmd.Env == nil {
		cmd.Env = []string{} // nil would hand ours on
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(request), &out, &complaints
	cmd.WaitDelay = drainTime
	wait, err := StartGroup(cmd)
	if err != nil {
		return nil, &Error{
			Code: CodeInternal, Message: fmt.Sprintf("start worker for %s: %v", op, err),
			Hint: "broker-vault stands beside broker and brokerd: is the installation whole?", cause: err,
		}
	}
	err = wait() // a worker leaves nobody behind
	w.logComplaints(op, &complaints)
	return readReply(ctx, op, &out, err, code)
}

// readReply makes the worker's answer from its output. A whole line counts,
// however the worker ended after it.
func readReply(ctx context.Context, op string, out *capped, err error, code bool) (json.RawMessage, error) {
	line, _, whole := bytes.Cut(out.buf, []byte("\n"))
	var r Reply
	if whole && json.Unmarshal(line, &r) == nil {
		switch {
		case r.Error != nil && r.Error.Code != "":
			return nil, r.Error
		case r.Result != nil:
			return r.Result, nil
		}
	}
	var late *Error
	switch {
	case errors.As(context.Cause(ctx), &late):
		return nil, late
	case ctx.Err() != nil:
		return nil, &Error{Code: CodeDeadline, Message: fmt.Sprintf("%s was given up", op), Spent: code, cause: context.Cause(ctx)}
	case err == nil && len(out.buf) > 0:
		err = errors.New("its answer is not of this protocol")
	case err == nil:
		err = errors.New("no reason is known")
	}
	return nil, &Error{
		Code: CodeInternal, Message: fmt.Sprintf("the vault worker ended without an answer to %s: %v", op, err),
		Hint:  "nothing is lost: try again; if it was killed, this machine may have run out of memory",
		Spent: code, cause: err,
	}
}

// workerRequest returns the one line for the worker's standard input.
func workerRequest(client, op string, params any) ([]byte, error) {
	req := Request{V: Protocol, Op: op, Client: client}
	var err error
	switch p := params.(type) {
	case nil:
	case interface {
		Encode() (json.RawMessage, error)
	}:
		req.Params, err = p.Encode()
	default:
		req.Params, err = json.Marshal(p)
	}
	if err != nil {
		return nil, err
	}
	return encodeLine(req)
}

// spends reports whether params hold an MFA code.
func spends(params any) bool {
	switch p := params.(type) {
	case SessionTokenParams:
		return p.TokenCode != ""
	case *SessionTokenParams:
		return p.TokenCode != ""
	}
	return false
}

// logComplaints logs what a worker wrote to its standard error. What a library
// prints when it fails is not ours to vouch for: anything that could be a
// secret access key, a session token or a code is taken out.
func (w WorkerCommand) logComplaints(op string, c *capped) {
	if w.Log == nil || len(c.buf) == 0 {
		return
	}
	text := c.buf
	if c.cut { // the first half of a secret would not look like one
		text = bytes.TrimRight(text, secretAlphabet)
	}
	// Compiled here and not once: it is seldom needed, and never by a helper.
	secrets := regexp.MustCompile(`[A-Za-z0-9/+=_-]{32,}|\b[0-9]{6}\b`)
	w.Log.Warn("worker wrote to its standard error", "op", op, "cut", c.cut,
		"text", string(secrets.ReplaceAll(text, []byte("[redacted]"))))
}

// secretAlphabet is what keys and tokens of AWS are made of.
const secretAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/+=_-"

// capped keeps the first bytes that are written to it and drops the rest: a
// writer that failed would end a worker in the midst of its work.
type capped struct {
	buf   []byte
	limit int
	cut   bool
}

func (c *capped) Write(p []byte) (int, error) {
	if room := c.limit - len(c.buf); len(p) > room {
		c.buf, c.cut = append(c.buf, p[:room]...), true
	} else {
		c.buf = append(c.buf, p...)
	}
	return len(p), nil
}
