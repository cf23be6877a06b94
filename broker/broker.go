// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"credbroker/broker/nag"
	"credbroker/credproc"
	"credbroker/internal/ipc"
)

// Worker runs operations of broker-vault. Each call is one process with its own
// deadline. Errors are *ipc.Error; Spent is set when an MFA code left this
// machine. Implementations must be safe for concurrent use.
type Worker interface {
	// SessionToken makes one GetSessionToken call, sent once.
	SessionToken(ctx context.Context, p ipc.SessionTokenParams) (credproc.Credentials, error)
	// CallerIdentity asks AWS whose key it is.
	CallerIdentity(ctx context.Context, p ipc.ItemParams) (ipc.Identity, error)
	// ListMFADevices lists the devices of the key's user.
	ListMFADevices(ctx context.Context, p ipc.ItemParams) (ipc.MFADevices, error)
	// Delete removes the item and proves it absent. An item that is absent
	// already is no error.
	Delete(ctx context.Context, p ipc.ItemParams) error
	// Strays lists the items of a store that the caller does not know of.
	Strays(ctx context.Context, p ipc.StraysParams) (ipc.Strays, error)
	KeyWorker
	PolicyWorker
}

// KeyWorker is what a Worker does to replace a key. See the operations of the
// same names in package ipc.
type KeyWorker interface {
	Seal(ctx context.Context, p ipc.SealParams) error
	CreateKey(ctx context.Context, p ipc.CreateKeyParams) (ipc.CreatedKey, error)
	SealedKey(ctx context.Context, p ipc.SealedKeyParams) (ipc.SealedKey, error)
	StoreKey(ctx context.Context, p ipc.StoreKeyParams) (ipc.StoredKey, error)
	VerifyKey(ctx context.Context, p ipc.VerifyKeyParams) error
	ListKeys(ctx context.Context, p ipc.IAMParams) (ipc.KeyStates, error)
	ServicesUsed(ctx context.Context, p ipc.ServicesUsedParams) (ipc.ServicesUsed, error)
	SetKeyStatus(ctx context.Context, p ipc.KeyStatusParams) error
	DeleteKey(ctx context.Context, p ipc.TargetParams) error
	OnRotate(ctx context.Context, p ipc.OnRotateParams) error
}

// PolicyWorker is what a Worker does to revoke sessions. See package ipc.
type PolicyWorker interface {
	DenySessions(ctx context.Context, p ipc.DenyParams) error
	AllowSessions(ctx context.Context, p ipc.IAMParams) error
	// Quarantines returns the names of the policies.
	Quarantines(ctx context.Context, p ipc.IAMParams) ([]string, error)
}

// STS is what the daemon asks of AWS with temporary credentials. Errors are
// *ipc.Error. Implementations must be safe for concurrent use.
type STS interface {
	// Reach makes one unsigned request and returns the clock of AWS minus ours.
	Reach(ctx context.Context, to ipc.AWS) (time.Duration, error)
	// Endpoint says which Region and URL a call goes to, without calling. The
	// URL is empty when AWS has no such Region.
	Endpoint(ctx context.Context, to ipc.AWS) (region, url string)
	// AssumeRole returns credentials whose AccountID is that of the assumed
	// role's ARN in the answer, or empty when the answer has none.
	AssumeRole(ctx context.Context, to ipc.AWS, source credproc.Credentials, in AssumeRoleInput) (credproc.Credentials, error)
}

// Trail is what the daemon asks of CloudTrail with temporary credentials. Errors
// are *ipc.Error. Implementations must be safe for concurrent use.
type Trail interface {
	// Home returns the Region of to's partition that has the events of IAM, and
	// of the global endpoint of STS.
	Home(to ipc.AWS) string
	// LookupEvents returns one page of the events of a key in the Region of to,
	// the newest first, and the token of the next one, or "".
	LookupEvents(ctx context.Context, to ipc.AWS, source credproc.Credentials, in LookupInput) (events []TrailEvent, next string, err error)
}

// LookupInput says which events of CloudTrail are wanted.
type LookupInput struct {
	AccessKeyID string
	Since       time.Time
	Next        string // of the page before; empty: the first
}

// TrailEvent is one event of CloudTrail.
type TrailEvent struct {
	At          time.Time
	EventSource string
	EventName   string
	SourceIP    string
	UserAgent   string
	Refused     bool
}

// Dialog asks for MFA codes in a window of the desktop. Implementations must be
// safe for concurrent use; one question is asked at a time.
type Dialog interface {
	// Ready reports whether there is a desktop, and something to ask with.
	Ready() bool
	// Ask shows a question until ctx ends and returns what was typed, or "" if
	// the user closed it. An error says that nobody was asked.
	Ask(ctx context.Context, p ipc.Prompt) (string, error)
}

// Notice is what a Notifier shows: Title, Text, and what its actions are about.
type Notice = nag.Notice

// The actions of a notice: what the user may answer to it.
const (
	ActionRotate = "rotate" // begin the rotation of the key
	ActionSnooze = "snooze" // be quiet about the key for a while
)

// Notifier shows notices on the desktop. Implementations must be safe for
// concurrent use; one notice is shown at a time.
type Notifier interface {
	// Ready reports whether there is a desktop that shows notices, and somebody
	// to see them: never where the screen is known to be locked.
	Ready() bool
	// Notify shows a notice until it is closed, or ctx ends, and returns the
	// action that was chosen, or "" for none. An error says that nobody saw it.
	Notify(ctx context.Context, n Notice) (action string, err error)
}

// AssumeRoleInput is everything AWS sees of one AssumeRole call beside the
// credentials that sign it. Empty fields are not sent.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
type AssumeRoleInput struct {
	RoleARN           string            `json:"roleArn"`
	RoleSessionName   string            `json:"roleSessionName"` // 2 to 64 of [\w+=,.@-]
	ExternalID        string            `json:"externalId,omitempty"`
	SourceIdentity    string            `json:"sourceIdentity,omitempty"`
	Tags              map[string]string `json:"tags,omitempty"`
	TransitiveTagKeys []string          `json:"transitiveTagKeys,omitempty"`
	DurationSeconds   int               `json:"durationSeconds"` // 900 to 43200
}

// Clock tells the time in two ways. Deadlines hold by both, whichever is
// earlier: the wall clock can be set back, the boot clock cannot.
type Clock interface {
	Now() time.Time      // wall clock
	Boot() time.Duration // since boot, suspend included (CLOCK_BOOTTIME)
}

// Places are absolute paths. AWSConfigFile and AWSCredentialsFile are the
// defaults that [aws] config_file and credentials_file override.
type Places struct {
	Home               string
	ConfigFile         string // broker's own
	StateFile          string
	VaultDir           string // of the file backend
	HolderSocket       string // where the key of a vault that opens with a passphrase is asked for
	Socket             string
	OverlayDir         string // overlays of broker exec
	AWSConfigFile      string
	AWSCredentialsFile string
}

// Options are what a Broker needs. All fields are required unless they say
// otherwise.
type Options struct {
	Version   string
	PID       int       // of this daemon
	UID       int       // whose processes keep an overlay alive
	StartedAt time.Time // for hello
	Hostname  string    // the index is refused on another host
	Places    Places
	// ProcDir is where the kernel lists processes, for the overlay janitor;
	// empty switches the janitor off.
	ProcDir string
	// BusAddress is the session bus for the secret-service backend; may be empty.
	BusAddress string
	// CommandEnviron returns the whole environment of an mfa_command, beside
	// BROKER_MFA_SERIAL. It is called before each run, and for status. The
	// environment is good whatever the error says: that tells why it is not the
	// one that broker init recorded. nil: the environment is empty.
	CommandEnviron func() ([]string, error)
	// Replaced reports whether the program that runs is not the one that is
	// installed any more. nil: never.
	Replaced func() bool
	// Dialog asks in a window of the desktop; nil asks nowhere.
	Dialog Dialog
	// Notifier shows notices on the desktop; nil shows none.
	Notifier Notifier
	// Zone returns the time zone of the user's clock as it is now. nil: that of
	// the program's start.
	Zone   func() *time.Location
	Worker Worker
	STS    STS
	Trail  Trail
	Clock  Clock
	Log    *slog.Logger
}

func (o Options) check() error {
	switch {
	case o.Worker == nil || o.STS == nil || o.Trail == nil || o.Clock == nil || o.Log == nil:
		return errors.New("new broker: Worker, STS, Trail, Clock and Log are required")
	case o.Hostname == "":
		return errors.New("new broker: Hostname is required")
	}
	for name, path := range map[string]string{
		"ConfigFile": o.Places.ConfigFile, "StateFile": o.Places.StateFile,
		"VaultDir": o.Places.VaultDir, "HolderSocket": o.Places.HolderSocket, "OverlayDir": o.Places.OverlayDir,
		"AWSConfigFile": o.Places.AWSConfigFile, "AWSCredentialsFile": o.Places.AWSCredentialsFile,
	} {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("new broker: %s %q is not an absolute path", name, path)
		}
	}
	return nil
}

// Broker serves conversations. It is safe for concurrent use.
type Broker struct {
	opts  Options
	files *files
	index *index
	tasks tasks

	offset atomic.Int64 // clock of AWS minus ours, in seconds
	drift  atomic.Int64 // wall clock minus boot clock when offset was learnt

	mu       sync.Mutex
	sessions map[sessionID]*entry        // of GetSessionToken
	roles    map[roleKey]*entry          // of AssumeRole
	issued   map[string]ipc.Session      // what AWS has made and takes still, by access key ID
	short    map[roleKey]bool            // roles that AWS gives for one hour at most
	mints    map[any]*mint               // calls under way that carry no code
	flights  map[sessionID]*flight       // calls that wait for a code
	devices  map[string]*device          // by serial number
	cooling  map[sessionID]time.Duration // cancelled: background callers wait until then
	renamed  map[string]string           // access key ID that a switch took: the one that has its place
	breakers map[path]*breaker           // where AWS is out of reach
	refused  map[string]bool             // access key IDs whose last session AWS did not take
	prompts  int
	locks    locks
	vault    vaultState

	rotations rotations
	revoked   *revocations
	beginning sync.Mutex // of a rotation: one at a time

	strays strayState

	facts factsState
	nags  nagState

	popUps      storm   // questions that came up unasked
	asksUnasked *flight // the one whose question is up, or nil
}

// New checks the options and reads the files. A file that is broken is no
// error here: it shows in status, and in the answers that depend on it.
func New(opts Options) (*Broker, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	b := &Broker{
		opts:     opts,
		files:    newFiles(opts),
		sessions: map[sessionID]*entry{},
		roles:    map[roleKey]*entry{},
		issued:   map[string]ipc.Session{},
		short:    map[roleKey]bool{},
		mints:    map[any]*mint{},
		flights:  map[sessionID]*flight{},
		devices:  map[string]*device{},
		cooling:  map[sessionID]time.Duration{},
		renamed:  map[string]string{},
		breakers: map[path]*breaker{}, refused: map[string]bool{},
		locks: locks{keys: map[string]uint64{}, by: map[string]string{}},
		vault: vaultState{since: opts.Clock.Now()},
	}
	b.revoked = newRevocations(opts.Places.StateFile)
	b.index = newIndex(opts.Places.StateFile, opts.Hostname, opts.Log)
	b.refresh()
	return b, nil
}

// Run does what no conversation asks for: it follows changes of files, finishes
// removals and tidies up, until ctx ends. Then it ends the flights and calls
// under way and returns when all of its goroutines have.
func (b *Broker) Run(ctx context.Context) error {
	var group sync.WaitGroup
	group.Go(func() { b.watch(ctx) })
	group.Go(func() { b.tidyUp(ctx) })
	<-ctx.Done()
	b.tasks.close()
	group.Wait()
	return nil
}
