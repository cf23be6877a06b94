// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode"

	"credbroker/internal/fakeaws"
)

const codeHelp = `NAME:
   broker-sandbox code - print the next unused code of a pretend phone

USAGE:
   broker-sandbox code --endpoint URL [--serial S]

DESCRIPTION:
   A code that was shown before, or that a request has carried, is not shown
   again: the command waits for the next time step if there is no other.

   EXAMPLE
   broker mfa "$(broker-sandbox code --endpoint URL)"
`

const accountHelp = `NAME:
   broker-sandbox account - print the account as JSON, with the keys that it has now

USAGE:
   broker-sandbox account --endpoint URL

DESCRIPTION:
   The document of "broker-sandbox serve", with the access keys that were made
   since, with their status, and without those that were deleted.
`

const logHelp = `NAME:
   broker-sandbox log - print the requests that the account has seen

USAGE:
   broker-sandbox log --endpoint URL [--json] [--follow]

DESCRIPTION:
   Oldest first: time, action, access key ID, serial number, result. With --json
   one object a line, with more fields. No secret and no code is in it: the field
   "code" only tells the codes of a device apart.
`

const setHelp = `NAME:
   broker-sandbox set - turn knobs of the account, all that are given or none

USAGE:
   broker-sandbox set --endpoint URL KNOB=VALUE...

KNOBS:
   now=+DUR                           set the clock of AWS ahead, or with - behind
   totp_step=DUR                      time step of every MFA device (30s)
   session_life=DUR                   life of sessions, whatever is asked for; 0s: as asked
   delay.ACTION=DUR                   hold requests back
   fail.ACTION=CODE[:COUNT]           refuse with a code of AWS, or 500 or 503
   drop.ACTION=before|after[:COUNT]   close the connection before or after the work
   body.ACTION=garbage|huge|html      do the work and answer something else
   throttle=N/s                       refuse what is over N requests a second
   key.ID=Active|Inactive|deleted     set the state of an access key or a session,
                                      everywhere at once
   policy=none|force-mfa|quarantine|deny:ACTION
                                      attach a policy to every user
   propagation=DUR[:flap]             how long a new or changed key is on its way;
                                      flap: each endpoint sees the new and the old
                                      state of it in turn until then
   last_used_lag=DUR                  how late use shows at IAM (at once) and in
                                      CloudTrail (5m)
   The value none takes back all from fail to throttle, and all from policy on.

   EXAMPLE
   broker-sandbox set --endpoint URL totp_step=1s fail.GetSessionToken=InternalFailure:1
`

const resetHelp = `NAME:
   broker-sandbox reset - put all knobs and keys back and empty the log

USAGE:
   broker-sandbox reset --endpoint URL

DESCRIPTION:
   Keys that were made are gone, those that were deleted are back. Sessions stay
   valid and used codes stay used.
`

// client talks to the controls of a running account.
type client struct {
	base string
	http *http.Client
}

// endpointFlag adds --endpoint; the function it returns gives the client once
// the flags are parsed.
func endpointFlag(set options) func() (*client, error) {
	endpoint := set.String("endpoint", "", "`URL` that \"broker-sandbox serve\" printed")
	return func() (*client, error) {
		u, err := url.Parse(*endpoint)
		switch {
		case *endpoint == "":
			return nil, usagef("%s: --endpoint is required", set.Name())
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || !isLoopback(u.Hostname()):
			return nil, usagef("%s: --endpoint %q is not an http or https URL on loopback", set.Name(), *endpoint)
		}
		return &client{base: strings.TrimSuffix(*endpoint, "/") + fakeaws.ControlPath, http: &http.Client{
			Transport: &http.Transport{
				DialContext:     (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
				TLSClientConfig: insecure(),
			},
		}}, nil
	}
}

// insecure accepts any certificate: the authority of --tls is not known here,
// and need not be, for the peer is on loopback and is told nothing.
func insecure() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// do sends one request; the answer's body is the caller's to close.
func (c *client) do(ctx context.Context, method, path string, params any) (io.ReadCloser, error) {
	var body io.Reader
	if params != nil {
		data, err := json.Marshal(params)
		if err != nil {
			return nil, fmt.Errorf("ask the sandbox: %w", err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("ask the sandbox: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("reach the sandbox: %w; is \"broker-sandbox serve\" running?", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	var refused struct{ Error string }
	if err := json.NewDecoder(resp.Body).Decode(&refused); err != nil || refused.Error == "" {
		return nil, fmt.Errorf("ask the sandbox: %s; %s is not a broker-sandbox", resp.Status, c.base)
	}
	return nil, errors.New(refused.Error)
}

func (a *app) account(ctx context.Context, args []string) error {
	set := a.options("account", accountHelp)
	connect := endpointFlag(set)
	if err := set.parseNone(args); err != nil {
		return err
	}
	c, err := connect()
	if err != nil {
		return err
	}
	body, err := c.do(ctx, http.MethodGet, "account", nil)
	if err != nil {
		return err
	}
	defer body.Close()
	var document json.RawMessage
	if err := json.NewDecoder(body).Decode(&document); err != nil {
		return fmt.Errorf("read the account: %w", err)
	}
	_, err = fmt.Fprintf(a.stdout, "%s\n", document)
	return err
}

func (a *app) code(ctx context.Context, args []string) error {
	set := a.options("code", codeHelp)
	connect := endpointFlag(set)
	serial := set.String("serial", "", "serial `number` of the device; the first user's if not given")
	if err := set.parseNone(args); err != nil {
		return err
	}
	c, err := connect()
	if err != nil {
		return err
	}
	body, err := c.do(ctx, http.MethodPost, "code", map[string]string{"serialNumber": *serial})
	if err != nil {
		return err
	}
	defer body.Close()
	var reply struct{ Code string }
	if err := json.NewDecoder(body).Decode(&reply); err != nil {
		return fmt.Errorf("read the code: %w", err)
	}
	_, err = fmt.Fprintln(a.stdout, reply.Code)
	return err
}

func (a *app) log(ctx context.Context, args []string) error {
	set := a.options("log", logHelp)
	connect := endpointFlag(set)
	asJSON := set.Bool("json", false, "print one JSON object a line")
	follow := set.Bool("follow", false, "go on printing until the account ends")
	if err := set.parseNone(args); err != nil {
		return err
	}
	c, err := connect()
	if err != nil {
		return err
	}
	path := "log"
	if *follow {
		path += "?follow=1"
	}
	body, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	err = a.printLog(body, *asJSON)
	if *follow && err != nil {
		return nil // the account has ended, or we were told to
	}
	return err
}

// printLog copies the log line by line.
func (a *app) printLog(r io.Reader, asJSON bool) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if asJSON {
			if _, err := fmt.Fprintln(a.stdout, lines.Text()); err != nil {
				return err
			}
			continue
		}
		var e fakeaws.Entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		if _, err := fmt.Fprintf(a.stdout, "%s  %-17s  %-20s  %s  %s\n", e.Time.Format(time.RFC3339),
			column(e.Action), column(e.AccessKeyID), column(e.SerialNumber), column(e.Result)); err != nil {
			return err
		}
	}
	return lines.Err()
}

// column is a word of the log, which anybody on this machine may have sent, fit
// for a terminal.
func column(word string) string {
	if word == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return '?'
	}, word)
}

func (a *app) set(ctx context.Context, args []string) error {
	set := a.options("set", setHelp)
	connect := endpointFlag(set)
	knobs, err := set.parse(args)
	if err != nil {
		return err
	}
	c, err := connect()
	switch {
	case err != nil:
		return err
	case len(knobs) == 0:
		return usagef("set: no KNOB=VALUE given")
	}
	return c.tell(ctx, "set", knobs)
}

func (a *app) reset(ctx context.Context, args []string) error {
	set := a.options("reset", resetHelp)
	connect := endpointFlag(set)
	if err := set.parseNone(args); err != nil {
		return err
	}
	c, err := connect()
	if err != nil {
		return err
	}
	return c.tell(ctx, "reset", struct{}{})
}

// tell sends a command that has no answer but ok.
func (c *client) tell(ctx context.Context, path string, params any) error {
	body, err := c.do(ctx, http.MethodPost, path, params)
	if err != nil {
		return err
	}
	return body.Close()
}
