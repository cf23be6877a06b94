// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"credbroker/broker/nag"
	"credbroker/internal/atomicfile"
	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
)

const (
	stateVersion = 1
	// markName is a file beside state.json that says that there was one. An
	// index that is missing beside it is lost, not new.
	markName = "initialised"
)

var (
	itemShape = regexp.MustCompile(`^broker\.v1\.[0-9a-f]{32}$`)
	// keyShape is an access key ID of an IAM user.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-prefixes
	keyShape = regexp.MustCompile(`^AKIA[A-Z0-9]{12,124}$`)
)

// record is what the index knows of one key.
type record struct {
	AccessKeyID  string    `json:"accessKeyId"`
	Item         string    `json:"item"` // its name in the vault
	AccountID    string    `json:"accountId,omitempty"`
	ARN          string    `json:"arn,omitempty"`
	UserName     string    `json:"userName,omitempty"`
	SerialNumber string    `json:"serialNumber,omitempty"`
	NoMFA        bool      `json:"noMfa,omitempty"`
	Region       string    `json:"region,omitempty"`
	AddedAt      time.Time `json:"addedAt"`
}

func (r record) key(profile string) ipc.Key {
	return ipc.Key{
		Profile: profile, AccessKeyID: r.AccessKeyID, AccountID: r.AccountID, ARN: r.ARN, UserName: r.UserName,
		SerialNumber: r.SerialNumber, NoMFA: r.NoMFA, Region: r.Region, AddedAt: r.AddedAt.UTC(),
	}
}

// doomed is an item that is to be deleted from the vault. It is written before
// the deletion begins, so that one that a crash cut short is finished.
type doomed struct {
	Profile     string `json:"profile"`
	AccessKeyID string `json:"accessKeyId"`
	Item        string `json:"item"`
}

// state is the content of state.json. It holds no secret.
type state struct {
	V          int               `json:"v"`
	Host       string            `json:"host"`
	Generation int64             `json:"generation"` // one more with each write
	Keys       map[string]record `json:"keys"`
	Doomed     []doomed          `json:"doomed,omitempty"`
	Facts      map[string]facts  `json:"facts,omitempty"` // by access key ID
	Marks      nag.Memory        `json:"marks,omitempty"` // by access key ID
}

// clone returns a copy that shares nothing.
func (s *state) clone() *state {
	c := *s
	c.Keys, c.Doomed = maps.Clone(s.Keys), slices.Clone(s.Doomed)
	c.Facts, c.Marks = maps.Clone(s.Facts), maps.Clone(s.Marks)
	return &c
}

// parseState reads state.json and believes nothing that broker does not write.
func parseState(data []byte) (*state, error) {
	var s state
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, errors.New("it is not the JSON that broker writes")
	}
	switch {
	case s.V != stateVersion:
		return nil, fmt.Errorf("it has version %d, not %d", s.V, stateVersion)
	case s.Host == "" || s.Generation < 1 || s.Keys == nil:
		return nil, errors.New("it is incomplete")
	}
	for profile, r := range s.Keys {
		if awsconfig.ValidProfileName(profile) != nil || !itemShape.MatchString(r.Item) || !keyShape.MatchString(r.AccessKeyID) {
			return nil, errors.New("it has an entry that is not a key")
		}
	}
	for _, d := range s.Doomed {
		if !itemShape.MatchString(d.Item) {
			return nil, errors.New("it has an entry that is not an item")
		}
	}
	return &s, nil
}

// index is the list of stored keys: state.json. brokerd is its only writer.
// A change is on the disk before it is in memory.
type index struct {
	path string
	host string
	log  *slog.Logger

	mu    sync.Mutex
	state *state // nil while there is none
	lost  error  // why there is none
}

func newIndex(path, host string, log *slog.Logger) *index {
	return &index{path: path, host: host, log: log, lost: fail(ipc.CodeNotInitialised, "choose a store for keys: broker init", "broker has no vault yet")}
}

// open reads the index once a vault is pinned. Beside a vault that was never
// used it begins an empty one.
func (x *index) open() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.state != nil {
		return
	}
	s, err := x.load()
	if errors.Is(err, fs.ErrNotExist) && x.unused() {
		x.state = &state{V: stateVersion, Host: x.host, Keys: map[string]record{}}
		if err = x.writeLocked(x.state.clone()); err == nil {
			x.lost = nil
			return
		}
		x.state = nil
	}
	if err != nil {
		x.lost = fail(ipc.CodeIndexLost, "rebuild it from the store: broker recover", "read the index of keys %s: %v", x.path, reason(err))
		return
	}
	x.state, x.lost = s, nil
}

// reason says what happened without repeating the path.
func reason(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "it is missing"
	}
	return err.Error()
}

// load reads state.json and holds it against the generation before, which an
// older copy put in its place would not outlive.
func (x *index) load() (*state, error) {
	data, err := atomicfile.Read(x.path, ipc.MaxState)
	if err != nil {
		return nil, err
	}
	s, err := parseState(data)
	if err != nil {
		return nil, err
	}
	if s.Host != x.host {
		return nil, fmt.Errorf("it belongs to host %q, this is %q", s.Host, x.host)
	}
	data, err = atomicfile.Read(x.previous(), ipc.MaxState)
	if err != nil {
		return s, nil //nolint:nilerr // the generation before is a witness, not a need
	}
	if before, err := parseState(data); err == nil && before.Generation > s.Generation {
		return nil, fmt.Errorf("generation %d is older than generation %d beside it", s.Generation, before.Generation)
	}
	return s, nil
}

func (x *index) previous() string { return x.path + ".1" }

func (x *index) mark() string { return filepath.Join(filepath.Dir(x.path), markName) }

// unused reports whether there never was an index in this place.
func (x *index) unused() bool {
	return !exists(x.previous()) && !exists(x.mark())
}

// exists reports whether anything has the name path, or may have.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// reserve is the end of the longest index, in bytes, that only keys which are to
// be deleted may fill: one key too many can always be removed.
const reserve = 64 << 10

// fits refuses to write an index that would not be read again. size is how long
// next is.
func (x *index) fits(next *state, size int) error {
	most := ipc.MaxState - reserve
	if size <= most {
		return nil
	}
	before, err := json.Marshal(x.state)
	if err != nil {
		return err
	}
	// One that does not grow is written; its generation may be a digit longer.
	if x.state == nil || len(next.Doomed) > len(x.state.Doomed) || size <= len(before)+2 {
		most = ipc.MaxState
	}
	if size <= most {
		return nil
	}
	return fail(ipc.CodeRefused, "the index stays as it was; make room in it: broker remove PROFILE",
		"write the index of keys: it would be %d bytes long, and may be %d", size, most)
}

// writeLocked makes next, with the next generation, the index.
func (x *index) writeLocked(next *state) error {
	next.Generation++
	data, err := json.Marshal(next)
	if err == nil {
		err = x.fits(next, len(data)+1) // and the newline
	}
	if err != nil {
		return err
	}
	if err := atomicfile.MkdirAll(filepath.Dir(x.path), 0o700); err != nil {
		return fail(ipc.StorageCode(err), "", "write the index of keys: %v", err)
	}
	// The generation before first: a crash in between leaves two of one kind.
	for _, w := range []struct {
		path string
		data any
		skip bool
	}{
		{x.mark(), x.host, exists(x.mark())},
		{x.previous(), x.state, x.state == nil || x.state.Generation == 0},
		{x.path, json.RawMessage(data), false},
	} {
		if w.skip {
			continue
		}
		data, err := json.Marshal(w.data)
		if err == nil {
			err = atomicfile.Write(w.path, append(data, '\n'), 0o600)
		}
		if err != nil {
			return fail(ipc.StorageCode(err), "", "write the index of keys: %v", err)
		}
	}
	x.state = next
	return nil
}

// snapshot returns the keys by profile. The map must not be changed.
func (x *index) snapshot() (map[string]record, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.state == nil {
		return nil, x.lost
	}
	return x.state.Keys, nil
}

// whole returns the index with all that is known of its keys. It must not be
// changed.
func (x *index) whole() (*state, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.state == nil {
		return nil, x.lost
	}
	return x.state, nil
}

// update changes a copy of the index and makes it durable before it counts.
func (x *index) update(change func(*state) error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.state == nil {
		return x.lost
	}
	next := x.state.clone()
	if err := change(next); err != nil {
		return err
	}
	return x.writeLocked(next)
}

// replace puts keys in the place of an index that may be lost, if they may be:
// that is asked while nobody else changes the index.
func (x *index) replace(keys map[string]record, may func() error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := may(); err != nil {
		return err
	}
	next := &state{V: stateVersion, Host: x.host, Keys: keys}
	if x.state != nil {
		next = x.state.clone()
		next.Keys = keys
	} else if data, err := atomicfile.Read(x.previous(), ipc.MaxState); err == nil {
		if before, err := parseState(data); err == nil {
			next.Generation = before.Generation
		}
	}
	for _, r := range keys {
		next.spare(r.Item)
	}
	if err := x.writeLocked(next); err != nil {
		return err
	}
	x.lost = nil
	return nil
}

// learn keeps what AWS said about the user of a key, if the key is still there.
func (x *index) learn(profile string, r record) error {
	return x.update(func(s *state) error {
		have, ok := s.Keys[profile]
		if !ok || have.Item != r.Item {
			return fail(ipc.CodeNoKey, "", "key %s of profile %s was removed meanwhile", r.AccessKeyID, profile)
		}
		have.AccountID, have.ARN, have.UserName = r.AccountID, r.ARN, r.UserName
		s.Keys[profile] = have
		return nil
	})
}

// doomed returns the items that are to be deleted.
func (x *index) doomed() []doomed {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.state == nil {
		return nil
	}
	return slices.Clone(x.state.Doomed)
}

// heal writes the index again if somebody took it away or changed it: what is
// in memory is what was written last.
func (x *index) heal() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.state == nil {
		return nil
	}
	if s, err := x.load(); err == nil && s.Generation == x.state.Generation {
		return nil
	}
	x.log.Warn("the index of keys was changed behind our back and is written again", "path", x.path)
	return x.writeLocked(x.state.clone())
}
