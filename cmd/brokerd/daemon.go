// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"credbroker/broker"
	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
	"credbroker/internal/paths"
)

// daemon is a broker with its place on this machine.
type daemon struct {
	places   paths.Places
	log      *slog.Logger
	file     *logFile
	listener *ipc.Listener
	state    *os.File // the lock of the state directory
	broker   *broker.Broker
	notifier notifier
	program  program
}

// newDaemon takes the socket, and then reads what it needs: whoever does not
// get the socket leaves no trace. The error is a refusal, or ipc.ErrServed.
func newDaemon(level slog.Level) (*daemon, error) {
	uid := os.Getuid()
	places, err := paths.Find(os.Getenv, uid)
	if err != nil {
		return nil, refusal{err}
	}
	file := &logFile{path: places.LogFile}
	d := &daemon{
		places:  places,
		program: thisProgram(),
		file:    file,
		log:     slog.New(slog.NewTextHandler(file, &slog.HandlerOptions{Level: level})),
	}
	err = d.take()
	if err == nil {
		d.broker, err = d.newBroker(uid)
	}
	if err == nil {
		return d, nil
	}
	if !errors.Is(err, ipc.ErrServed) {
		d.log.Error("refused to start", "error", err)
	}
	if d.listener != nil {
		_ = d.listener.Close() // the refusal is what counts
	}
	if d.state != nil {
		_ = d.state.Close() // as above
	}
	return nil, refusal{err}
}

// handOver is how long a daemon may hold the lock and serve nobody: it ends,
// and its conversations may go on for a while. Then it counts as stuck.
const handOver = grace + 3*time.Second

// take takes the socket and the state directory, or neither: while it waits for
// one that is about to end it keeps no other daemon from its place.
func (d *daemon) take() error {
	deadline := time.Now().Add(handOver)
	for {
		l, err := listen(ipc.ListenOptions{
			Socket: d.places.Socket, LockFile: d.places.LockFile, Name: "brokerd " + version, Log: d.log,
		})
		if err != nil {
			return err
		}
		d.state, err = holdState(d.places.StateDir, d.places.Socket)
		if err == nil {
			d.listener = l
			return nil
		}
		_ = l.Close() // nobody was served
		if !errors.Is(err, errKept) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// listen takes the place, from a daemon that is about to end if need be: the
// client that started this one found nobody to serve it.
func listen(o ipc.ListenOptions) (*ipc.Listener, error) {
	deadline := time.Now().Add(handOver)
	for {
		l, err := ipc.Listen(o)
		if !errors.Is(err, ipc.ErrServed) || ipc.Reachable(o.Socket) || time.Now().After(deadline) {
			return l, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (d *daemon) newBroker(uid int) (*broker.Broker, error) {
	// A config that breaks later leaves the last good one in force. At the
	// start there is none, and a guess could be another vault or endpoint.
	if _, err := awsconfig.LoadSettings(d.places.ConfigFile); err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("find the name of this host: %w", err)
	}
	bus := ipc.SessionBus(filepath.Join("/run/user", strconv.Itoa(uid)), os.Getenv("DBUS_SESSION_BUS_ADDRESS"), uid)
	calls := newCalls()
	own := commandEnviron(os.Environ(), bus, d.places.Home)
	recorded := func() ([]string, error) { return recordedEnviron(d.places.EnvironmentFile, own, uid) }
	d.notifier = newNotifier(bus)
	return broker.New(broker.Options{
		Version:        version,
		PID:            os.Getpid(),
		UID:            uid,
		StartedAt:      time.Now(),
		Hostname:       host,
		ProcDir:        "/proc",
		BusAddress:     bus,
		CommandEnviron: recorded,
		Dialog: newDialog(func() []string {
			environ, _ := recorded() // what is wrong with the file, status says
			return append(environ, d.notifier.pressed.environ()...)
		}),
		Notifier: d.notifier,
		Zone:     zoneNow,
		Replaced: d.program.replaced,
		Worker:   newWorker(sibling("broker-vault"), d.places.Home, bus, calls, d.log),
		STS:      awsSTS{calls},
		Trail:    awsTrail{calls},
		Clock:    clock{},
		Log:      d.log,
		Places: broker.Places{
			Home:               d.places.Home,
			ConfigFile:         d.places.ConfigFile,
			StateFile:          d.places.StateFile,
			VaultDir:           d.places.VaultDir,
			Socket:             d.places.Socket,
			HolderSocket:       d.places.HolderSocket,
			OverlayDir:         d.places.OverlayDir,
			AWSConfigFile:      d.places.AWSConfigFile,
			AWSCredentialsFile: d.places.AWSCredentialsFile,
		},
	})
}

// serve answers clients until it is asked to end or the socket is lost. The locks are
// given up last: by then nothing can write the index any more.
func (d *daemon) serve(asked context.Context) error {
	ctx, end := context.WithCancelCause(asked)
	working, stopWorking := context.WithCancel(context.WithoutCancel(ctx))
	var group sync.WaitGroup
	var ran error
	d.broker.TakeUp(working)
	group.Go(func() { ran = d.broker.Run(working) })
	hangup := make(chan os.Signal, 1) // before anybody is served: it would end us
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	group.Go(func() { d.mind(ctx, hangup, end) })

	d.log.Info("serving", "version", version, "process", os.Getpid(), "socket", d.places.Socket)
	err := d.listener.Serve(ctx, graceful(ctx, d.broker.Converse))
	if err == nil && asked.Err() == nil {
		err = context.Cause(ctx) // what mind lost
	}
	end(nil)
	stopWorking()
	group.Wait()
	d.notifier.notices.Close()
	if err == nil {
		err = ran
	}
	for _, lock := range []io.Closer{d.state, d.listener} {
		if cerr := lock.Close(); err == nil {
			err = cerr
		}
	}
	switch {
	case errors.Is(err, errReplaced):
		d.log.Info("ended", "why", err)
		err = nil
	case err != nil:
		d.log.Error("ended", "error", err)
	default:
		d.log.Info("ended")
	}
	return err
}
