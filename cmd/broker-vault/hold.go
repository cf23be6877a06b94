// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"credbroker/internal/ipc"
	"credbroker/internal/secret"
)

// opKey is the one operation of a holder: no params → heldKey. Both ends of it
// are this program.
const opKey = "key"

// heldKey is the answer to opKey.
type heldKey struct {
	Key secret.String `json:"key"`
}

// maxAskers bounds the workers that ask a holder at one time.
const maxAskers = 64

// beginTime bounds what a holder does before it answers: it waits for the daemon,
// and for a holder that is about to end.
const beginTime = 10 * time.Second

// Why a holder ends, or does not begin.
var (
	errHeld     = errors.New("somebody else holds the key of the vault")
	errReleased = errors.New("the daemon does not want the key to be held any longer")
	errUnused   = errors.New("nobody has asked for the key for too long")
)

// holder is what broker-vault hold is: it has the key of a vault in its memory
// and hands it to workers of its user. It never had the passphrase.
//
// It ends when the daemon says so, or ends itself by whatever means; when
// nobody has asked for the key for idleLimit; when its place in the runtime
// directory is gone, as after a logout; and on a signal. Nothing is saved: the
// end of the process is how the key is forgotten.
type holder struct {
	key      secret.String
	idle     *idle
	listener *ipc.Listener
	end      context.CancelCauseFunc
}

// hold begins as a worker does, and stays.
func hold(in io.Reader, out io.Writer) error {
	signals, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer stop()
	life, end := context.WithCancelCause(signals)
	defer end(nil)
	var h *holder
	err := ipc.ServeOne(life, in, out, func(ctx context.Context, c *ipc.Conversation) (json.RawMessage, error) {
		if c.Request.Op != ipc.OpHold {
			return nil, c.UnknownOp()
		}
		ctx, cancel := context.WithTimeout(ctx, beginTime)
		defer cancel()
		var p ipc.HoldParams
		err := c.Decode(&p)
		if err == nil {
			h, err = newHolder(ctx, life, end, p)
		}
		if errors.Is(err, errHeld) {
			return nil, nil // as good
		}
		return nil, err
	})
	if err != nil || h == nil {
		return err
	}
	h.serve(life)
	return nil
}

// newHolder tells the daemon, and takes the socket. end ends life, which is the
// holder's.
func newHolder(ctx, life context.Context, end context.CancelCauseFunc, p ipc.HoldParams) (*holder, error) {
	if p.Key.IsZero() || p.IdleLimit <= 0 || !filepath.IsAbs(p.Socket) || !filepath.IsAbs(p.Daemon) {
		return nil, &ipc.Error{Code: ipc.CodeProtocol, Message: "the parameters of hold are incomplete"}
	}
	if err := register(ctx, life, end, p); err != nil {
		return nil, err
	}
	listener, err := takeSocket(ctx, p.Socket)
	if err != nil {
		return nil, &ipc.Error{
			Code: ipc.CodeInternal, Message: fmt.Sprintf("hold the key of the vault: %v", err),
			Hint: "try again; if it stays so, look at who made that socket",
		}
	}
	limit := time.Duration(p.IdleLimit) * time.Second
	return &holder{key: p.Key, idle: newIdle(limit, boot), listener: listener, end: end}, nil
}

// register opens the conversation that the holder lives by: it ends life when
// the daemon, which keeps it open, says so or is gone.
func register(ctx, life context.Context, end context.CancelCauseFunc, p ipc.HoldParams) error {
	params, err := json.Marshal(ipc.HoldingParams{IdleLimit: p.IdleLimit})
	if err != nil {
		return err
	}
	accepted := make(chan struct{}, 1)
	client := &ipc.Client{Socket: p.Daemon, Name: "broker-vault " + version}
	go func() {
		raw, err := client.Converse(life, ipc.Request{Op: ipc.OpHolding, Params: params}, orders{accepted, end})
		var answer ipc.Holding
		if err == nil && json.Unmarshal(raw, &answer) == nil && answer.Already {
			err = errHeld
		}
		end(cmp.Or(err, errReleased))
	}()
	select {
	case <-accepted:
		return nil
	case <-life.Done():
		return context.Cause(life)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// orders takes what the daemon says to a holder.
type orders struct {
	accepted chan<- struct{} // takes one
	end      context.CancelCauseFunc
}

var _ ipc.Surface = orders{}

// Prompt declines: nobody is here.
func (orders) Prompt(context.Context, ipc.Prompt) (string, error) { return "", errReleased }

// Event obeys. What this release does not know it leaves alone.
func (o orders) Event(raw json.RawMessage) {
	var e ipc.HoldingEvent
	if json.Unmarshal(raw, &e) != nil {
		return
	}
	if e.Lock {
		o.end(errReleased)
	}
	if e.Accepted {
		select {
		case o.accepted <- struct{}{}:
		default:
		}
	}
}

// takeSocket listens where workers ask. A holder that is about to end keeps its
// lock for a moment.
func takeSocket(ctx context.Context, socket string) (*ipc.Listener, error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		l, err := ipc.Listen(ipc.ListenOptions{
			Socket: socket, LockFile: filepath.Join(filepath.Dir(socket), "vault.lock"),
			Name: "broker-vault " + version, Log: slog.New(slog.DiscardHandler), MaxConversations: maxAskers,
		})
		if !errors.Is(err, ipc.ErrServed) {
			return l, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, err
		}
	}
}

// serve hands out the key until life ends. Who asks at that moment is not waited
// for: the key goes with the process.
func (h *holder) serve(life context.Context) {
	go func() {
		h.idle.wait(life)
		h.end(errUnused)
	}()
	go func() { h.end(h.listener.Serve(life, h.answer)) }()
	<-life.Done()
	_ = h.listener.Close() // a socket that stays behind is cleared by the next holder
}

func (h *holder) answer(_ context.Context, c *ipc.Conversation) (json.RawMessage, error) {
	if c.Request.Op != opKey {
		return nil, c.UnknownOp()
	}
	if !h.idle.use() {
		h.end(errUnused) // the machine has slept, and the clock was not looked at yet
		return nil, &ipc.Error{Code: ipc.CodeNoDaemon, Message: errUnused.Error()}
	}
	return json.Marshal(map[string]string{"key": h.key.Reveal()})
}
