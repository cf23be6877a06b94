// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"credbroker/internal/client"
	"credbroker/internal/ipc"
	"credbroker/internal/secret"
	"credbroker/internal/tty"
)

// maxStdin is the most of standard input, in bytes, that add reads: two lines.
const maxStdin = 4 << 10

// readKey takes the key from where the user has it. Never from the command
// line: that is open to every process of the machine.
func (a *app) readKey(ctx context.Context, o addOptions) (keyPair, error) {
	switch {
	case o.csv != "":
		return a.keyFromCSV(ctx, o)
	case o.stdin:
		return keyFromStdin(a.Stdin)
	case o.fromEnv:
		return a.keyFromEnv(o.profile)
	}
	return keyFromTerminal(ctx)
}

func (a *app) keyFromCSV(ctx context.Context, o addOptions) (keyPair, error) {
	keys, err := readCSV(o.csv)
	if err != nil {
		return keyPair{}, err
	}
	if key, found := pick(keys, o.user); found {
		return key.keyPair, nil
	}
	if o.user != "" {
		return keyPair{}, keyInvalid(fmt.Sprintf("%s has no single key of %s: it has %s", o.csv, o.user, strings.Join(labels(keys), ", ")), "give the access key ID of one of them with --user")
	}
	i, err := choose(ctx, "Which key is for profile "+o.profile+"?", labels(keys))
	if errors.Is(err, client.ErrNoTerminal) {
		return keyPair{}, keyInvalid(fmt.Sprintf("%s has %d keys: %s", o.csv, len(keys), strings.Join(labels(keys), ", ")), "add --user NAME to choose one")
	}
	if err != nil {
		return keyPair{}, err
	}
	return keys[i].keyPair, nil
}

// keyFromStdin reads the access key ID and the secret from one line each.
func keyFromStdin(in io.Reader) (keyPair, error) {
	lines := bufio.NewScanner(io.LimitReader(in, maxStdin))
	var text [2]string
	for i := range text {
		if lines.Scan() {
			text[i] = strings.TrimSpace(lines.Text())
		}
	}
	if lines.Scan() && strings.TrimSpace(lines.Text()) != "" {
		return keyPair{}, keyInvalid("standard input has more than two lines", "give the access key ID on the first line and the secret on the second")
	}
	if err := lines.Err(); err != nil {
		return keyPair{}, fmt.Errorf("read standard input: %w", err)
	}
	return keyPair{text[0], secret.New(text[1])}, nil
}

// keyFromEnv takes the long-lived key of the environment, for a profile.
func (a *app) keyFromEnv(profile string) (keyPair, error) {
	id, err := a.envKeyID(profile)
	if err != nil {
		return keyPair{}, err
	}
	return keyPair{id, secret.New(a.Getenv("AWS_SECRET_ACCESS_KEY"))}, nil
}

// envKeyID returns the ID of the long-lived key in the environment.
func (a *app) envKeyID(profile string) (string, error) {
	if a.Getenv("AWS_SESSION_TOKEN") != "" || a.Getenv("AWS_SECURITY_TOKEN") != "" {
		return "", keyInvalid("the environment holds a temporary key: AWS_SESSION_TOKEN is set", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a long-lived key, and unset AWS_SESSION_TOKEN")
	}
	id := a.Getenv("AWS_ACCESS_KEY_ID")
	if id == "" {
		return "", keyInvalid("AWS_ACCESS_KEY_ID is not set", "set it and AWS_SECRET_ACCESS_KEY, or type the key: broker add "+profile)
	}
	return id, nil
}

func keyFromTerminal(ctx context.Context) (keyPair, error) {
	t, err := tty.Open()
	if err != nil {
		usage := client.Usagef("there is no terminal to type the key on")
		usage.Hint = "add --stdin, --csv FILE or --from-env"
		return keyPair{}, usage
	}
	defer func() { _ = t.Close() }() // what was written is on the screen
	id, err := t.ReadLine(ctx, "Access key ID: ")
	if err != nil {
		return keyPair{}, notTyped("the access key ID", err)
	}
	key := keyPair{AccessKeyID: strings.TrimSpace(id), SecretAccessKey: unseen()}
	if err := key.check(); err != nil {
		return keyPair{}, err
	}
	if key.SecretAccessKey, err = t.ReadSecret(ctx, "Secret access key (not shown): "); err != nil {
		return keyPair{}, notTyped("the secret access key", err)
	}
	return key, nil
}

// notTyped is the failure to read something from the terminal.
func notTyped(what string, err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("read %s: nothing was typed", what)
	}
	return fmt.Errorf("read %s: %w", what, err)
}

// offerDelete asks whether a key file may go: it holds the secret in plain text.
func (a *app) offerDelete(ctx context.Context, path string) error {
	ok, err := a.confirm(ctx, "Delete "+path+"? It holds the secret in plain text.")
	var usage *ipc.Error
	if errors.As(err, &usage) {
		a.printf("%s still holds the secret in plain text: delete it\n", path)
		return nil
	}
	if err != nil || !ok {
		return err
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("the key is stored, but its file is still there: %w", err)
	}
	a.printf("deleted %s\n", path)
	return nil
}

// choose lets the user pick one of several things by its number, from 1. It
// returns an index.
func choose(ctx context.Context, question string, things []string) (int, error) {
	t, ok := client.OpenTerminal()
	if !ok {
		return 0, client.ErrNoTerminal
	}
	defer func() { _ = t.TTY.Close() }() // what was written is on the screen
	fmt.Fprintln(t.TTY, client.Printable(question))
	for i, thing := range things {
		fmt.Fprintf(t.TTY, "  %d  %s\n", i+1, client.Printable(thing))
	}
	for {
		line, err := t.TTY.ReadLine(ctx, fmt.Sprintf("1 to %d: ", len(things)))
		if err != nil {
			return 0, notTyped("the choice", err)
		}
		if n, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && n >= 1 && n <= len(things) {
			return n - 1, nil
		}
		fmt.Fprintf(t.TTY, "broker: type the number before one of them, 1 to %d\n", len(things))
	}
}
