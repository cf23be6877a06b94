// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"sync"
)

// tasks are goroutines that outlive the conversation that started them. The
// zero value is ready.
type tasks struct {
	group sync.WaitGroup

	mu     sync.Mutex
	closed bool
	next   int
	cancel map[int]context.CancelFunc
}

// start runs fn with the values of ctx but not its end: fn's context ends when
// fn returns or the daemon does. After close it ends at once.
func (t *tasks) start(ctx context.Context, fn func(ctx context.Context)) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		cancel()
	}
	if t.cancel == nil {
		t.cancel = map[int]context.CancelFunc{}
	}
	id := t.next
	t.next++
	t.cancel[id] = cancel
	t.group.Go(func() {
		defer t.finish(id)
		fn(ctx)
	})
}

func (t *tasks) finish(id int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cancel[id]()
	delete(t.cancel, id)
}

// close ends every task and waits for it.
func (t *tasks) close() {
	t.mu.Lock()
	t.closed = true
	for _, cancel := range t.cancel {
		cancel()
	}
	t.mu.Unlock()
	t.group.Wait()
}
