// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

// The exit statuses of brokerd.
const (
	daemonServed  = 75 // another one serves
	daemonRefused = 78 // it refused to start
)

// startLimit is how long a client waits for a daemon that it started. A
// machine with a hundred helpers waking at once takes seconds.
const startLimit = 20 * time.Second

// pollInterval is how often a client looks whether the daemon serves yet.
const pollInterval = 15 * time.Millisecond

// respawnDelay is how long a client whose daemon found another one waits for
// that one to serve, before it starts a daemon again.
const respawnDelay = 300 * time.Millisecond

// CallLimit returns how long the daemon may take to answer an op that asks
// nobody: one that is stopped, or stuck, must not hold a script for ever. The
// default leaves room to start a daemon on a busy machine; what deletes items
// waits for a worker, and maybe for a dialog of the store.
func CallLimit(op string) time.Duration {
	limit := 2 * startLimit
	if op == ipc.OpAdopt || op == ipc.OpRemove {
		limit += ipc.Limit(ipc.OpDelete) + ipc.DialogTime
	}
	return limit
}

// Call puts one request to the daemon, which is started if need be, and
// decodes the result.
func (a *App) Call(ctx context.Context, op string, params, result any) error {
	return a.callWithin(ctx, CallLimit(op), op, params, result)
}

func (a *App) callWithin(ctx context.Context, limit time.Duration, op string, params, result any) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	raw, err := a.Converse(ctx, ipc.Request{Op: op}, params, nil)
	if err != nil || result == nil {
		return err
	}
	if err := json.Unmarshal(raw, result); err != nil {
		return Errorf(ipc.CodeProtocol, "the daemon's answer to %s cannot be read", op)
	}
	return nil
}

// Converse holds one conversation. A daemon that is not there is started. One
// that goes away in the middle is asked once more, but only for what changes
// nothing by being asked twice: an MFA code must not be sent again.
func (a *App) Converse(ctx context.Context, req ipc.Request, params any, surface ipc.Surface) (json.RawMessage, error) {
	if params != nil {
		var err error
		if own, ok := params.(interface {
			Encode() (json.RawMessage, error)
		}); ok {
			req.Params, err = own.Encode()
		} else {
			req.Params, err = json.Marshal(params)
		}
		if err != nil {
			return nil, fmt.Errorf("encode the parameters of %s: %w", req.Op, err)
		}
	}
	p, err := a.Places()
	if err != nil {
		return nil, err
	}
	daemon := &ipc.Client{Socket: p.Socket, Name: "broker " + a.Version}
	for started, repeated := false, false; ; {
		raw, err := daemon.Converse(ctx, req, surface)
		switch {
		case !errors.Is(err, &ipc.Error{Code: ipc.CodeNoDaemon}):
			return raw, err
		case Unreached(err) && !started:
			started = true
		case !Unreached(err) && !repeated && repeatable(req.Op):
			repeated = true
		default:
			return nil, err
		}
		if err := a.startDaemon(ctx, daemon, p.LogFile); err != nil {
			return nil, err
		}
	}
}

// repeatable reports whether a request may be put again when its daemon died:
// it changes nothing, or the same as the first time.
func repeatable(op string) bool {
	return slices.Contains([]string{
		ipc.OpHello, ipc.OpCredentials, ipc.OpStatus, ipc.OpList, ipc.OpServes, ipc.OpExplain, ipc.OpReserve, ipc.OpAdopt, ipc.OpRestore,
	}, op)
}

// Unreached reports whether nobody listened, so that nothing was sent.
func Unreached(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}

// startDaemon starts brokerd, which stands beside this program, and waits
// until it, or one that somebody else started meanwhile, serves.
func (a *App) startDaemon(ctx context.Context, daemon *ipc.Client, logFile string) error {
	if where := Foreign(os.DirFS("/"), func(name string) (string, error) { return os.Readlink("/" + name) }); where != "" {
		return &ipc.Error{
			Code:    ipc.CodeNoDaemon,
			Message: "no daemon listens on " + daemon.Socket + ", and none is started " + where,
			Hint:    "run brokerd outside and share its socket through BROKER_SOCKET, or run brokerd here yourself",
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	begun := a.Now()
	ended, err := a.spawnDaemon()
	poll, respawn := time.NewTicker(pollInterval), time.NewTimer(0)
	defer poll.Stop()
	defer respawn.Stop()
	var again <-chan time.Time
	for err == nil {
		var hello ipc.Hello
		herr := daemon.Call(ctx, ipc.OpHello, nil, &hello)
		if herr == nil || !errors.Is(herr, &ipc.Error{Code: ipc.CodeNoDaemon}) {
			return herr
		}
		select {
		case status := <-ended:
			if status != daemonServed {
				return a.startFailure(status, logFile, begun)
			}
			// Another one is about to serve, or was until a moment ago: a
			// daemon that dies lets go of its socket before its lock.
			respawn.Reset(respawnDelay)
			ended, again = nil, respawn.C
		case <-again:
			ended, err = a.spawnDaemon()
		case <-poll.C:
		case <-ctx.Done():
			return Errorf(ipc.CodeNoDaemon, "start the daemon: it does not serve on %s", daemon.Socket)
		}
	}
	return &ipc.Error{Code: ipc.CodeNoDaemon, Message: "start the daemon: " + err.Error(), Hint: AsCoded(err).Hint}
}

// startFailure says why brokerd did not start. Its standard error went nowhere:
// the reason is in its log, unless that could not be written.
func (a *App) startFailure(status int, logFile string, since time.Time) error {
	if p, err := a.Places(); err == nil && status == daemonRefused {
		if _, err := awsconfig.LoadSettings(p.ConfigFile); err != nil {
			return err
		}
	}
	message := fmt.Sprintf("start the daemon: brokerd ended with status %d", status)
	if status == daemonRefused {
		message = "start the daemon: brokerd refuses to serve here"
	}
	if why := lastRefusal(logFile, since); why != "" {
		message += ": " + why
	}
	return &ipc.Error{
		Code:    ipc.CodeNoDaemon,
		Message: message,
		Hint:    "correct that and try again; brokerd in a terminal, and " + logFile + ", say more",
	}
}

// maxLogTail is how much of the log's end is looked at, in bytes.
const maxLogTail = 8 << 10

// lastRefusal returns the error of the last line of the log in which a brokerd
// refused to start, if it is not older than since; else "".
func lastRefusal(logFile string, since time.Time) string {
	f, err := os.Open(logFile)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return ""
	} else if _, err := f.Seek(max(info.Size()-maxLogTail, 0), io.SeekStart); err != nil {
		return ""
	}
	tail, err := io.ReadAll(io.LimitReader(f, maxLogTail))
	if err != nil {
		return ""
	}
	why := ""
	for line := range strings.Lines(string(tail)) {
		at, rest, _ := strings.Cut(strings.TrimPrefix(line, "time="), " ")
		if when, err := time.Parse(time.RFC3339, at); err != nil || when.Before(since.Truncate(time.Millisecond)) {
			continue
		}
		if _, text, ok := strings.Cut(strings.TrimSpace(rest), `msg="refused to start" error=`); ok {
			if why, err = strconv.Unquote(text); err != nil {
				why = text // slog quotes only what needs it
			}
		}
	}
	return why
}

// spawnDaemon starts brokerd so that it outlives this program and holds
// nothing of it: an SDK waits for as long as anybody has its helper's standard
// output or error open. The channel delivers the exit status if it ends.
func (a *App) spawnDaemon() (<-chan int, error) {
	path, err := a.Sibling("brokerd")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path) // without a context: it is to stay
	cmd.Dir = filepath.VolumeName(path) + "/"
	cmd.Env = daemonEnv(a.Env)
	detach(cmd)
	err = cmd.Start() // fds 0 to 2 are /dev/null
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notInstalled("brokerd", path)
	}
	if err != nil {
		return nil, err
	}
	ended := make(chan int, 1) // takes the one status without a reader
	go func() {
		_ = cmd.Wait() // how it ended is in ProcessState
		ended <- cmd.ProcessState.ExitCode()
	}()
	return ended, nil
}

// daemonPrefixes is how the names of more of them begin.
func daemonPrefixes() []string { return []string{"LC_", "BROKER_"} }

// daemonEnv reduces an environment to what a daemon may know.
func daemonEnv(env []string) []string {
	out := systemEnv()
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		if slices.Contains(daemonNames(), name) ||
			slices.ContainsFunc(daemonPrefixes(), func(p string) bool { return strings.HasPrefix(name, p) }) {
			out = append(out, entry)
		}
	}
	return out
}

// AskRunning puts one request to the daemon if it runs.
func (a *App) AskRunning(ctx context.Context, op string, result any) error {
	p, err := a.Places()
	if err != nil {
		return err
	}
	daemon := &ipc.Client{Socket: p.Socket, Name: "broker " + a.Version}
	raw, err := daemon.Converse(ctx, ipc.Request{Op: op}, nil)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, result)
}
