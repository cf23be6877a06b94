// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrLocked is wrapped when another process held a lock for as long as the
// caller would wait.
var ErrLocked = errors.New("another process holds it")

// lockPoll is how often a lock that another process holds is tried: no
// system's lock has a deadline, and holders need milliseconds.
const lockPoll = 5 * time.Millisecond

// Lock takes the lock file at path and returns what releases it; so does the end
// of the process, however it comes. The file is made if it is missing, and never
// removed: two processes could then hold locks on two files of one name. Lock
// waits for whoever holds it, in this process too, until ctx ends, and then wraps
// ErrLocked.
func Lock(ctx context.Context, path string) (release func(), err error) {
	f, err := openLock(path)
	if err != nil {
		return nil, fmt.Errorf("open lock file %s: %w", path, bare(err))
	}
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		locked, err := tryLock(f)
		switch {
		case ctx.Err() != nil:
			// Also with the lock in hand: whoever asked has been told that
			// nothing happened.
			_ = f.Close() // nothing was written
			return nil, fmt.Errorf("lock %s: %w", path, ErrLocked)
		case locked:
			return func() { _ = f.Close() }, nil // which ends the lock, whatever it says
		case err != nil:
			_ = f.Close() // as above
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}
