// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"credbroker/internal/atomicfile"
	"credbroker/internal/fakeaws"
)

const serveHelp = `NAME:
   broker-sandbox serve - serve STS, IAM and CloudTrail of a pretend AWS account on loopback

USAGE:
   broker-sandbox serve [--listen 127.0.0.1:0] [--tls] [--partition P] [--ready-file F]

DESCRIPTION:
   When it is ready it prints one JSON document on one line: endpoint, accountId,
   users with their access keys and MFA devices, roles; and caFile with --tls.
   Every start makes new keys. The phone of a device is "broker-sandbox code".

   EXAMPLE
   broker-sandbox serve --ready-file account.json
`

func (a *app) serve(ctx context.Context, args []string) error {
	set := a.options("serve", serveHelp)
	listen := set.String("listen", "127.0.0.1:0", "loopback `address` to listen on; port 0 takes a free one")
	useTLS := set.Bool("tls", false, "serve https with a certificate authority of its own")
	partition := set.String("partition", fakeaws.DefaultPartition, "the `partition` of the account, such as aws-cn or aws-us-gov")
	readyFile := set.String("ready-file", "", "also write the document to this `file` (0600), and remove it at the end")
	if err := set.parseNone(args); err != nil {
		return err
	}
	if err := checkLoopback(*listen); err != nil {
		return err
	}
	server, err := fakeaws.New(fakeaws.Options{Now: a.now, Partition: *partition})
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", *listen, err)
	}
	defer listener.Close()
	endpoint, caFile := "http://"+listener.Addr().String(), ""
	if *useTLS {
		config, file, err := a.authority()
		if err != nil {
			return err
		}
		defer os.RemoveAll(filepath.Dir(file))
		listener, endpoint, caFile = tls.NewListener(listener, config), "https://"+listener.Addr().String(), file
	}
	document, err := server.Document(endpoint, caFile)
	if err != nil {
		return err
	}
	if *readyFile != "" {
		defer os.Remove(*readyFile)
	}
	return serveUntil(ctx, listener, server, func() error { return a.announce(document, *readyFile) })
}

// checkLoopback refuses an address that other machines could reach: what is
// served here gives credentials, if pretended ones, to whoever asks.
func checkLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return usagef("serve: --listen %s is not host:port", address)
	}
	if addr, err := netip.ParseAddr(host); err != nil || !addr.IsLoopback() {
		return usagef("serve: --listen %s is not a loopback address such as 127.0.0.1:0", address)
	}
	return nil
}

// authority makes the certificate authority of --tls and writes its PEM into a
// private directory that is the caller's to remove.
func (a *app) authority() (*tls.Config, string, error) {
	config, pem, err := fakeaws.NewTLS(a.now())
	if err != nil {
		return nil, "", err
	}
	dir, err := os.MkdirTemp("", "broker-sandbox-")
	if err != nil {
		return nil, "", fmt.Errorf("make directory for the certificate authority: %w", err)
	}
	file := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(file, pem, 0o600); err != nil {
		return nil, "", errors.Join(fmt.Errorf("write certificate authority: %w", err), os.RemoveAll(dir))
	}
	return config, file, nil
}

// announce tells the world that the account is there: first in the file, then
// on stdout.
func (a *app) announce(document []byte, readyFile string) error {
	if readyFile != "" {
		if err := atomicfile.Write(readyFile, document, 0o600); err != nil {
			return fmt.Errorf("write ready file: %w", err)
		}
	}
	if _, err := a.stdout.Write(document); err != nil {
		return fmt.Errorf("write document: %w", err)
	}
	return nil
}

// serveUntil serves until ctx ends, and calls ready once requests are taken.
func serveUntil(ctx context.Context, listener net.Listener, handler http.Handler, ready func() error) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(os.Stderr, "broker-sandbox: ", 0),
	}
	ended := make(chan error, 1) // what Serve returned
	go func() { ended <- server.Serve(listener) }()
	if err := ready(); err != nil {
		return errors.Join(err, stop(server, ended))
	}
	select {
	case <-ctx.Done():
		return stop(server, ended)
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	}
}

// stop ends a server and waits for it. It closes rather than shuts down: a
// "log --follow" would hold that up for ever.
func stop(server *http.Server, ended <-chan error) error {
	err := server.Close()
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
