// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"credbroker/broker/rotation"
	"credbroker/internal/ipc"
)

// order is a wish of the user's, and where to say that it is done.
type order struct {
	undo, hold bool       // neither: to go on
	held       bool       // it stood where Hold stops it when this was said
	done       chan error // takes one
}

// over is the answer to who tells a rotation how to go on that has ended.
func (r *rotator) over() error {
	return fail(ipc.CodeNoRotation, "see how it ended: broker status", "%s: that has just ended", r.journal.What())
}

// obey carries out what the user has asked for.
func (r *rotator) obey(ctx context.Context) {
	r.b.rotations.mu.Lock()
	o, j := r.order, r.journal
	r.order = nil
	r.b.rotations.mu.Unlock()
	if o == nil {
		return
	}
	var err error
	switch {
	case o.undo:
		j, err = r.b.machine(r).Undo(ctx, j)
	case o.hold:
		j, err = r.b.machine(r).Hold(ctx, j)
	case o.held || !j.AtHold(): // else who said go on has not seen that it is held, which came later
		j, err = r.b.machine(r).Resume(ctx, j)
	}
	if err == nil {
		r.publish(j, rotation.Next{}, nil)
	}
	o.done <- err
}

// command has the rotation go on, or back, and waits until that is written down.
func (r *rotator) command(ctx context.Context, undo bool) error {
	return r.give(ctx, &order{undo: undo, done: make(chan error, 1)})
}

// hold has a rotation that is under way stop after the switch.
func (r *rotator) hold(ctx context.Context) error {
	if r.state().Hold {
		return nil
	}
	return r.give(ctx, &order{hold: true, done: make(chan error, 1)})
}

// give gives an order and waits until it is written down.
func (r *rotator) give(ctx context.Context, o *order) error {
	r.b.rotations.mu.Lock()
	if r.next.Why == rotation.Done {
		r.b.rotations.mu.Unlock()
		return r.over()
	}
	if r.order != nil {
		r.b.rotations.mu.Unlock()
		return fail(ipc.CodeBusy, "try again in a moment", "somebody else has just told the rotation how to go on")
	}
	o.held = r.journal.AtHold()
	r.order = o
	r.b.rotations.mu.Unlock()
	r.wake()
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
