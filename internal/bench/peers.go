// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// peer is another credential helper.
type peer struct {
	name string
	argv []string
}

// peerList is the flag -peer.
type peerList []peer

func (l *peerList) String() string { return "" }

// Set takes NAME=COMMAND. The command is cut at blanks: there is no shell.
func (l *peerList) Set(text string) error {
	name, command, _ := strings.Cut(text, "=")
	argv := strings.Fields(command)
	if name == "" || len(argv) == 0 {
		return fmt.Errorf("%q is not NAME=COMMAND", text)
	}
	*l = append(*l, peer{name, argv})
	return nil
}

// known are the programs that are looked for.
func known() []string { return []string{"aws-vault", "assume", "granted", "aws-sso"} }

// peers times every other helper there is beside ours. Those with sessions of
// their own must be set up by hand and named by -peer; aws-vault is set up here
// with a key in a file and no session, which is less work than a warm call.
func (b *bench) peers(w *world, list peerList) error {
	for _, name := range known() {
		path, err := exec.LookPath(name)
		named := false
		for _, p := range list {
			named = named || p.name == name
		}
		switch {
		case named:
		case err != nil:
			b.notes = append(b.notes, name+" is not installed.")
		case name != "aws-vault":
			b.notes = append(b.notes, name+" is installed and was not measured: name it with -peer once it has a session.")
		default:
			p, err := b.awsVault(w, path)
			if err != nil {
				b.notes = append(b.notes, "aws-vault is installed and was not measured: "+firstLine(err.Error()))
				continue
			}
			if err := b.compare(w, "aws-vault, stored key without a session", p); err != nil {
				return err
			}
		}
	}
	for _, p := range list {
		if err := b.compare(w, p.name, program{argv: p.argv}); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) compare(w *world, name string, p program) error {
	t, err := interleave(b.n.run, w.helper(), p)
	if err != nil {
		return err
	}
	b.add(result{
		figure: name + " / broker, warm", got: ratio(t[1], t[0]), unit: "×", must: 3, goal: 4.5, atLeast: true,
		detail: fmt.Sprintf("%.2f ms and %.2f ms", ms(t[1]), ms(t[0])),
	})
	return nil
}

// awsVault stores the key in aws-vault's own file backend.
func (b *bench) awsVault(w *world, path string) (program, error) {
	key := b.sandbox.account.Users[0].AccessKeys[0]
	env := []string{
		"HOME=" + w.home, "PATH=/usr/local/bin:/usr/bin:/bin", "AWS_CONFIG_FILE=" + filepath.Join(b.dir, "aws-vault-config"),
		"AWS_VAULT_BACKEND=file", "AWS_VAULT_FILE_DIR=" + filepath.Join(b.dir, "aws-vault"), "AWS_VAULT_FILE_PASSPHRASE=bench",
		"AWS_ACCESS_KEY_ID=" + key["accessKeyId"], "AWS_SECRET_ACCESS_KEY=" + key["secretAccessKey"],
	}
	if _, err := (program{argv: []string{path, "add", "--env", "bench"}, env: env}).output(); err != nil {
		return program{}, err
	}
	p := program{argv: []string{path, "export", "--no-session", "--format=json", "bench"}, env: env[:len(env)-2]}
	began := time.Now()
	text, err := p.output()
	switch {
	case err != nil:
		return program{}, err
	case time.Since(began) > 5*time.Second:
		return program{}, fmt.Errorf("it takes %s", time.Since(began))
	case !strings.Contains(text, key["accessKeyId"]):
		return program{}, fmt.Errorf("it does not print the key that it was given")
	}
	return p, nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
