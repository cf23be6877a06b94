// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"credbroker/internal/ipc"
)

// conversation is what an operation needs of an ipc.Conversation.
type conversation interface {
	Decode(v any) error
	CanAsk() bool
	Prompt(ctx context.Context, p ipc.Prompt) (string, error)
	Sit() error
	Event(v any) error
	EndPeer() error
}

var _ conversation = (*ipc.Conversation)(nil)

// Converse serves one conversation. It is an ipc.Handler.
func (b *Broker) Converse(ctx context.Context, c *ipc.Conversation) (json.RawMessage, error) {
	op, ok := b.operation(c.Request.Op)
	if !ok {
		return nil, c.UnknownOp()
	}
	return b.serve(ctx, op, c.Request, c)
}

// operation is one entry of the table of operations.
type operation func(ctx context.Context, r ipc.Request, c conversation) (any, error)

// operation returns what serves the named operation.
func (b *Broker) operation(name string) (operation, bool) {
	switch name {
	case ipc.OpHello:
		return b.opHello, true
	case ipc.OpCredentials:
		return b.opCredentials, true
	case ipc.OpMFA:
		return b.opMFA, true
	case ipc.OpStatus:
		return b.opStatus, true
	case ipc.OpList:
		return b.opList, true
	case ipc.OpServes:
		return b.opServes, true
	case ipc.OpReserve:
		return b.opReserve, true
	case ipc.OpAdopt:
		return b.opAdopt, true
	case ipc.OpRemove:
		return b.opRemove, true
	case ipc.OpExplain:
		return b.opExplain, true
	case ipc.OpRestore:
		return b.opRestore, true
	case ipc.OpRotate:
		return b.opRotate, true
	case ipc.OpCreate:
		return b.opCreate, true
	case ipc.OpUsage:
		return b.opUsage, true
	case ipc.OpRevoke:
		return b.opRevoke, true
	case ipc.OpLock:
		return b.opLock, true
	case ipc.OpNag:
		return b.opNag, true
	case ipc.OpSnooze:
		return b.opSnooze, true
	case ipc.OpHolding:
		return b.opHolding, true
	}
	return nil, false
}

// serve runs one operation. The result of credentials is the document itself,
// byte for byte; every other one is encoded here.
func (b *Broker) serve(ctx context.Context, op operation, r ipc.Request, c conversation) (json.RawMessage, error) {
	result, err := op(ctx, r, c)
	if err != nil {
		// A context that ended says more about itself than we can.
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return nil, err
		}
		e := coded(err)
		b.opts.Log.LogAttrs(ctx, slog.LevelInfo, "operation refused", slog.String("op", r.Op),
			slog.String("code", string(e.Code)), slog.Any("error", e))
		return nil, e
	}
	if document, ok := result.(json.RawMessage); ok {
		return document, nil
	}
	data, err := json.Marshal(result)
	if err != nil {
		return nil, fmt.Errorf("encode the result of %s: %w", r.Op, err)
	}
	return data, nil
}

// callerOf says how the other end of a conversation can be asked.
func callerOf(r ipc.Request, c conversation) caller {
	if !c.CanAsk() {
		return caller{sit: c.Sit}
	}
	return caller{ask: r.Ask, prompt: c.Prompt, sit: c.Sit}
}

// planner looks at the files and returns what plans are made from now.
func (b *Broker) planner() (*planner, error) {
	v := b.refresh()
	if err := v.usable(); err != nil {
		return nil, err
	}
	keys, err := b.index.snapshot()
	if err != nil {
		return nil, err
	}
	return &planner{aws: v.aws, settings: v.settings, keys: keys}, nil
}

// plan returns the plan of a profile by the files as they are now.
func (b *Broker) plan(ctx context.Context, profile string, c caller) (*plan, error) {
	pl, err := b.planner()
	if err != nil {
		return nil, err
	}
	p, err := pl.plan(profile)
	if err == nil {
		err = b.servable(p)
	}
	if err == nil && p.key.AccountID == "" {
		p, err = b.identify(ctx, p, c)
	}
	return p, err
}

// refresh reads what has changed on the disk.
func (b *Broker) refresh() *view {
	v := b.files.refresh()
	if v.settled && v.settings.Vault.Backend != "" {
		b.index.open()
	}
	return v
}

func (b *Broker) opHello(context.Context, ipc.Request, conversation) (any, error) {
	return b.hello(), nil
}

func (b *Broker) hello() ipc.Hello {
	return ipc.Hello{Version: b.opts.Version, Protocol: ipc.Protocol, PID: b.opts.PID, StartedAt: b.opts.StartedAt.UTC()}
}

// opCredentials answers with the document that a helper copies to its output.
func (b *Broker) opCredentials(ctx context.Context, r ipc.Request, c conversation) (any, error) {
	var params ipc.CredentialsParams
	if err := c.Decode(&params); err != nil {
		return nil, err
	}
	p, err := b.plan(ctx, params.Profile, callerOf(r, c))
	if err != nil {
		return nil, err
	}
	if p, err = p.lasting(params, r.Ask == ipc.AskTerminal && c.CanAsk()); err != nil {
		return nil, err
	}
	e, err := b.obtain(ctx, p, callerOf(r, c))
	if err != nil {
		return nil, err
	}
	// Between its making and here it may have been dropped.
	if err := b.stands(e, p.profile); err != nil {
		return nil, err
	}
	if err := b.servable(p); err != nil {
		return nil, err
	}
	document, err := e.creds.Encode()
	if err != nil {
		return nil, fail(ipc.CodeAWSGarbage, "", "profile %s: %v", p.profile, err)
	}
	return json.RawMessage(document), nil
}
