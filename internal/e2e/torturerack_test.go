// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"credbroker/internal/fakeaws"
	"credbroker/internal/ipc"
	"credbroker/internal/testprograms"
	"credbroker/vault/vaulttest"
)

// kind is what a rack is like.
type kind int

const (
	plain kind = iota // eve's key, which needs no code, in a vault with a passphrase file
	coded             // ann's, who may do nothing without MFA, and each code works once
	typed             // eve's, in a vault that opens with a passphrase
	twins             // eve's for two profiles, with on_rotate; AWS learns slowly of new keys
	keyed             // eve's, in a real keyring
	kinds
)

func (k kind) String() string { return [...]string{"plain", "coded", "typed", "twins", "keyed"}[k] }

const (
	racked  = "ops"   // the profile whose key is rotated
	created = "extra" // the profile that gets a key by add --create
)

// codeStep is the life of a code in a rack.
const codeStep = 2 * time.Second

// rack is a world in which a rotation is cut short, at one point after the
// other: the same key is rotated again and again.
type rack struct {
	*world
	kind       kind
	iam        string   // the IAM user
	places     []string // the profiles that have the key
	told       string   // the file in which on_rotate says which key it was told of
	keyring    *vaulttest.Keyring
	ahead      time.Duration // how far the clock of AWS was set
	asked      int           // how often the user has had to tell the rotation to go on
	last       cut           // the last schedule
	watcher    *background   // the user, who watches; nil: nobody does
	watched    *background   // the client of the last schedule
	dealt      bool          // the last schedule was cut short as planned
	dealtAgain bool          // and once more

	// Of the last schedule, for what it has to come to: see begins.
	before   map[string]indexed // the index before it
	faults   []string           // those of AWS that are set now
	withheld bool               // AWS is kept from knowing of the new key
	held     int                // how often it was held until the user let it go on
	freed    bool               // the user has
	turned   bool               // it was seen on its way back
	undo     *background        // the user who took it back
}

func newRack(t *testing.T, more ...string) *rack {
	t.Helper()
	return newRackOf(t, plain, more...)
}

// newRackOf makes a rack whose journal, sealed file, index and vault are on
// small disks. more are settings of [rotation].
func newRackOf(t *testing.T, k kind, more ...string) *rack {
	t.Helper()
	r := &rack{world: newWorld(t), kind: k, iam: "eve", places: []string{racked}}
	r.bin = r.wrapVault(tortured)
	r.env = slices.Clone(r.env)
	for i := range r.env {
		if strings.HasPrefix(r.env[i], "PATH=") {
			r.env[i] = "PATH=" + r.bin + ":" + systemPath()
		}
	}
	for _, dir := range []string{r.stateDir(), r.rotations(), r.vaultDir()} {
		mount(t, "tmpfs", r.made(dir), "tmpfs", 0, "size=1m,mode=0700")
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(r.remains())
		}
	})
	settings := append([]string{"[rotation]", "verify_for = 0s", "keep_disabled = 0s"}, more...)
	switch k {
	case coded:
		r.iam = "ann"
		settings = append(settings, "[profile "+racked+"]", "mfa_command = "+filepath.Join(r.bin, "broker-sandbox")+" code --endpoint "+r.account.Endpoint)
		r.initialise(settings...)
		r.add(racked, r.iam)
		r.set("policy=force-mfa", "totp_step="+codeStep.String())
	case typed:
		r.world.typed()
		overwrite(t, r.configPath(), r.config()+strings.Join(settings, "\n")+"\n")
	case twins:
		r.told = filepath.Join(r.dir, "told")
		tell := filepath.Join(r.dir, "tell")
		overwrite(t, tell, "#!/bin/sh\nread -r secret\necho \"$BROKER_ACCESS_KEY_ID\" >>"+r.told+"\n")
		if err := os.Chmod(tell, 0o700); err != nil {
			t.Fatal(err)
		}
		settings[1] = "verify_for = 1s"
		r.initialise(append(settings, "on_rotate = "+tell)...)
		r.places = append(r.places, "twin")
	case keyed:
		bus, err := vaulttest.StartBus()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = bus.Remove() }) // whoever is on it has been killed
		r.keyring = bus.StartKeyring(t)
		r.env = append(r.env, "DBUS_SESSION_BUS_ADDRESS="+bus.Address)
		r.must(r.run("broker", "init", "--backend", "secret-service", "--yes"))
		r.pointToSandbox(settings...)
	case plain:
		r.initialise(settings...)
	}
	text := ""
	for _, profile := range r.places {
		if k != coded && k != typed {
			r.add(profile, r.iam, "--no-mfa")
		}
		text += "[profile " + profile + "]\nregion = eu-west-1\n"
	}
	r.awsConfig(text)
	return r
}

// remains lists what is on the small disks, and what the worker was told.
func (r *rack) remains() string {
	out, err := exec.Command("sh", "-c", `df "$0"; ls -laR --full-time "$0"; cd "$1"; ls -la --full-time blow calls falling dealt; cat blow calls; ls -l /proc/[0-9]*/fd 2>/dev/null | grep filler; date --rfc-3339=ns`,
		r.stateDir(), r.bin).CombinedOutput()
	return fmt.Sprintf("%s%v %v", out, err, testprograms.Running(r.bin))
}

func (w *world) made(dir string) string {
	w.t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	return dir
}

func (w *world) stateDir() string  { return filepath.Join(w.home, ".local", "state", "broker") }
func (w *world) rotations() string { return filepath.Join(w.stateDir(), "rotations") }
func (w *world) vaultDir() string  { return filepath.Join(w.stateDir(), "vault") }

func (r *rack) config() string {
	r.t.Helper()
	data, err := os.ReadFile(r.configPath())
	if err != nil {
		r.t.Fatal(err)
	}
	return string(data)
}

// indexed is a key as the index has it.
type indexed struct{ AccessKeyID, Item string }

// index reads the index from the disk: profile → key.
func (r *rack) index() (map[string]indexed, error) {
	var index struct{ Keys map[string]indexed }
	data, err := os.ReadFile(filepath.Join(r.stateDir(), "state.json"))
	if err == nil {
		err = json.Unmarshal(data, &index)
	}
	return index.Keys, err
}

// store is the vault, for a worker that this test starts by hand.
func (r *rack) store() (store ipc.Store, bus string) {
	switch r.kind {
	case keyed:
		return ipc.Store{Backend: "secret-service", Service: r.keyring.Address, Silent: true}, r.keyring.Address
	case typed:
		return ipc.Store{Backend: "file", Dir: r.vaultDir(), Holder: filepath.Join(r.dir, "run", "vault.sock")}, ""
	}
	return ipc.Store{Backend: "file", Dir: r.vaultDir(), PassphraseFile: filepath.Join(r.home, ".config", "broker", "passphrase")}, ""
}

// byHand has a worker that nobody else knows of ask AWS whose key it is that the
// index names for a profile.
func (r *rack) byHand(profile string) error {
	index, err := r.index()
	if err != nil {
		return err
	}
	key := index[profile]
	if status := r.keysOf(r.iam)[key.AccessKeyID]; status != "Active" {
		return fmt.Errorf("key %q of profile %s is %q at IAM", key.AccessKeyID, profile, status)
	}
	store, bus := r.store()
	worker := ipc.WorkerCommand{Path: filepath.Join(r.bin, "vault"), Env: ipc.WorkerEnv(store, r.home, bus), Client: "test"}
	_, err = worker.Run(context.Background(), ipc.OpCallerIdentity, ipc.ItemParams{
		Store: store, Item: key.Item, Profile: profile, AccessKeyID: key.AccessKeyID,
		AWS: ipc.AWS{Region: "us-east-1", STSEndpointURL: r.account.Endpoint, IAMEndpointURL: r.account.Endpoint, ClockOffset: int(r.ahead / time.Second)},
	})
	return err
}

// items counts the items of the vault.
func (r *rack) items() int {
	r.t.Helper()
	if r.kind == keyed {
		return len(r.keyring.Labels())
	}
	items, err := filepath.Glob(filepath.Join(r.vaultDir(), "broker.v1.*"))
	if err != nil {
		r.t.Fatal(err)
	}
	return len(items)
}

// control asks the pretend account without starting broker-sandbox.
func (r *rack) control(method, what string, params, result any) {
	r.t.Helper()
	body, err := json.Marshal(params)
	if err != nil {
		r.t.Fatal(err)
	}
	req, err := http.NewRequest(method, r.account.Endpoint+fakeaws.ControlPath+what, bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(result); err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("%s %v: status %d: %v, %v", what, params, resp.StatusCode, result, err)
	}
}

func (r *rack) set(knobs ...string) {
	r.t.Helper()
	r.control(http.MethodPost, "set", knobs, &map[string]string{})
}

func (r *rack) keysOf(userName string) map[string]string {
	r.t.Helper()
	var all struct {
		Users []struct {
			UserName   string
			AccessKeys []struct{ AccessKeyID, Status string }
		}
	}
	r.control(http.MethodGet, "account", nil, &all)
	keys := map[string]string{}
	for _, u := range all.Users {
		for _, k := range u.AccessKeys {
			if u.UserName == userName {
				keys[k.AccessKeyID] = k.Status
			}
		}
	}
	return keys
}

// ages has time pass at AWS.
func (r *rack) ages(by time.Duration) {
	r.t.Helper()
	r.ahead += by
	r.set(fmt.Sprintf("now=+%v", r.ahead))
}

// seen returns the rotations that the daemon tells of, if there is a daemon.
func (r *rack) seen() (all []ipc.Rotation, served bool) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var s ipc.Status
	err := (&ipc.Client{Socket: r.socket(), Name: "test"}).Call(ctx, ipc.OpStatus, nil, &s)
	return s.Rotations, err == nil
}

// rotating returns the rotations that status shows. It starts a daemon if there
// is none.
func (r *rack) rotating() []ipc.Rotation {
	r.t.Helper()
	var all []ipc.Rotation
	r.eventually("status", func() error { // a daemon may be killed meanwhile
		served := false
		if all, served = r.seen(); served {
			return nil
		}
		out := r.run("broker", "status", "--json")
		if out.status != 0 {
			return errors.New(out.stderr)
		}
		var s ipc.Status
		err := json.Unmarshal([]byte(out.stdout), &s)
		all = s.Rotations
		return err
	})
	return all
}
