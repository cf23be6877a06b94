// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"credbroker/credproc"
	"credbroker/internal/ipc"
	"credbroker/internal/secret"
)

// AWS is what a worker asks of AWS in the name of one long-lived key. Its
// errors are *AWSError; each call ends with its context.
type AWS interface {
	GetCallerIdentity(ctx context.Context) (ipc.Identity, error)
	// ListMFADevices lists the devices of an IAM user, of the caller if
	// userName is empty.
	ListMFADevices(ctx context.Context, userName string) ([]ipc.MFADevice, error)
	// GetSessionToken sends its request once and returns the
	// credential_process document.
	GetSessionToken(ctx context.Context, in SessionToken) (json.RawMessage, error)
	IAM
}

// SessionToken is the input of GetSessionToken.
type SessionToken struct {
	SerialNumber    string // with TokenCode, or both empty
	TokenCode       string
	DurationSeconds int
	AccountID       string // for the document: AWS does not repeat it
}

// Limits bound what a worker waits for.
type Limits struct {
	Dialog time.Duration // opening a store that may show a dialog of its own
	Call   time.Duration // one call of a store
	AWS    time.Duration // one call of AWS, connecting included
}

// DefaultLimits are those of the product. A user needs up to a minute to find
// and answer a password dialog; a store without one answers in milliseconds.
func DefaultLimits() Limits {
	return Limits{Dialog: ipc.DialogTime, Call: ipc.KeychainTime, AWS: ipc.AWSTime}
}

// Budget returns the longest time that a request may take: the sum of its
// deadlines. A worker that is still there after it is stuck in a library and
// must end; whoever started it kills it ipc.KillDelay later.
func Budget(op string, params json.RawMessage) time.Duration {
	budget := ipc.Limit(op) - ipc.KillDelay
	if hasDialog(params) {
		budget += ipc.DialogTime - ipc.KeychainTime
	}
	return budget
}

// hasDialog reports whether the store of a request can ask its user.
func hasDialog(params json.RawMessage) bool {
	var p struct {
		Store ipc.Store `json:"store"`
	}
	// What is malformed here is refused where it is decoded in earnest.
	return json.Unmarshal(params, &p) == nil && asks(p.Store)
}

// asks reports whether a store can show a dialog of its own.
func asks(store ipc.Store) bool { return store.Backend != "file" && store.Backend != "wincred" }

// Options are what a Worker is made of. All but Unlock, Foreign, Session and Limits are
// required.
type Options struct {
	// Open opens the store that a request names, and no other. With create it
	// makes what the store needs and lacks; nothing that is there is changed.
	Open func(ctx context.Context, store ipc.Store, create bool) (Backend, error)
	// Unlock opens a file vault with a passphrase. hold then leaves its key with
	// who hands it to the workers that come after. nil: no such vault is opened.
	Unlock func(ctx context.Context, p ipc.UnlockParams) (b Backend, hold func(context.Context) error, err error)
	// Foreign opens the store of another program. nil: no such store is opened.
	Foreign func(ctx context.Context, source ipc.Foreign, passphrase secret.String) (ForeignStore, error)
	// AWS returns calls that are signed with a long-lived key.
	AWS func(to ipc.AWS, accessKeyID string, secretAccessKey secret.String) (AWS, error)
	// Session returns calls that are signed with temporary credentials. nil: no
	// request may bring any.
	Session func(to ipc.AWS, session credproc.Credentials) (IAM, error)
	Now     func() time.Time
	Limits  Limits // zero = DefaultLimits
}

// Worker carries out the operations of broker-vault. It keeps nothing between
// them and may be used by several goroutines, though each process runs one.
type Worker struct{ o Options }

// New returns a Worker.
func New(o Options) (*Worker, error) {
	if o.Open == nil || o.AWS == nil || o.Now == nil {
		return nil, errors.New("make a worker: Open, AWS and Now are required")
	}
	if o.Limits == (Limits{}) {
		o.Limits = DefaultLimits()
	}
	return &Worker{o}, nil
}

// Run carries out one operation and returns its result. Every error is an
// *ipc.Error; none holds a secret, not even one made of a panic.
func (w *Worker) Run(ctx context.Context, op string, params json.RawMessage) (result json.RawMessage, err error) {
	defer func() {
		if recover() != nil { // the value may quote a secret
			result, err = nil, &ipc.Error{
				Code: ipc.CodeInternal, Message: "the worker failed in " + op, Spent: op == ipc.OpSessionToken,
				Hint: "this is a defect in broker: please report it",
			}
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, Budget(op, params))
	defer cancel()
	out, err := w.run(ctx, op, params)
	if err != nil {
		return nil, wire(err)
	}
	if document, ok := out.(json.RawMessage); ok {
		return document, nil
	}
	result, err = json.Marshal(out)
	if err != nil {
		return nil, &ipc.Error{Code: ipc.CodeInternal, Message: fmt.Sprintf("encode the result of %s: %v", op, err)}
	}
	return result, nil
}

func (w *Worker) run(ctx context.Context, op string, params json.RawMessage) (any, error) {
	switch op {
	case ipc.OpProbe:
		return with(ctx, op, params, w.probe)
	case ipc.OpPut:
		return with(ctx, op, params, w.put)
	case ipc.OpDelete:
		return with(ctx, op, params, w.delete)
	case ipc.OpSessionToken:
		return with(ctx, op, params, w.sessionToken)
	case ipc.OpCallerIdentity:
		return with(ctx, op, params, w.callerIdentity)
	case ipc.OpListMFADevices:
		return with(ctx, op, params, w.listMFADevices)
	case ipc.OpRecover:
		return with(ctx, op, params, w.recover)
	case ipc.OpStrays:
		return with(ctx, op, params, w.strays)
	case ipc.OpUnlock:
		return with(ctx, op, params, w.unlock)
	case ipc.OpSeal:
		return with(ctx, op, params, w.seal)
	case ipc.OpCreateKey:
		return with(ctx, op, params, w.createKey)
	case ipc.OpSealedKey:
		return with(ctx, op, params, w.sealedKey)
	case ipc.OpStoreKey:
		return with(ctx, op, params, w.storeKey)
	case ipc.OpVerifyKey:
		return with(ctx, op, params, w.verifyKey)
	case ipc.OpOnRotate:
		return with(ctx, op, params, w.onRotate)
	case ipc.OpListKeys:
		return with(ctx, op, params, w.listKeys)
	case ipc.OpServicesUsed:
		return with(ctx, op, params, w.servicesUsed)
	case ipc.OpSetKeyStatus:
		return with(ctx, op, params, w.setKeyStatus)
	case ipc.OpDeleteKey:
		return with(ctx, op, params, w.deleteKey)
	case ipc.OpDenySessions:
		return with(ctx, op, params, w.denySessions)
	case ipc.OpAllowSessions:
		return with(ctx, op, params, w.allowSessions)
	case ipc.OpListQuarantines:
		return with(ctx, op, params, w.listQuarantines)
	case ipc.OpForeignList:
		return with(ctx, op, params, w.foreignList)
	case ipc.OpForeignKey:
		return with(ctx, op, params, w.foreignKey)
	case ipc.OpForeignPut:
		return with(ctx, op, params, w.foreignPut)
	case ipc.OpForeignDelete:
		return with(ctx, op, params, w.foreignDelete)
	}
	return nil, &ipc.Error{
		Code:    ipc.CodeProtocol,
		Message: fmt.Sprintf("%.40q is no operation of a worker that speaks protocol %d", op, ipc.Protocol),
		Hint:    "install broker, broker-cli, brokerd and broker-vault of one version",
	}
}

// with decodes the parameters of an operation and runs it.
func with[P any](ctx context.Context, op string, params json.RawMessage, f func(context.Context, P) (any, error)) (any, error) {
	var p P
	if err := json.Unmarshal(params, &p); err != nil { // which may quote them
		return nil, &ipc.Error{Code: ipc.CodeProtocol, Message: "the parameters of " + op + " are malformed"}
	}
	return f(ctx, p)
}

// open opens the store of a request. The store's own dialog may be up meanwhile.
func (w *Worker) open(ctx context.Context, store ipc.Store, create bool) (*Store, error) {
	limit, call := w.o.Limits.Call, w.o.Limits.Call
	if asks(store) {
		limit = w.o.Limits.Dialog
	}
	if store.Backend == "keychain" { // macOS asks whenever it likes, once; the Budget bounds all of it
		call = w.o.Limits.Dialog
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	backend, err := w.o.Open(ctx, store, create)
	if err != nil {
		return nil, err
	}
	return NewStore(backend, call), nil
}

// aws makes one call of AWS under its deadline.
func (w *Worker) aws(ctx context.Context, to ipc.AWS, r Record, call func(context.Context, AWS) error) error {
	caller, err := w.o.AWS(to, r.AccessKeyID, r.SecretAccessKey)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, w.o.Limits.AWS)
	defer cancel()
	return call(ctx, caller)
}
