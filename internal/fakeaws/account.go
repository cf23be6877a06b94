// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"credbroker/internal/secret"
)

// The states of an access key. A deleted one is gone at AWS; here it stays on
// record so that reset can bring it back.
const (
	StatusActive   = "Active"
	StatusInactive = "Inactive"
	statusDeleted  = "deleted"
)

// DefaultAccountID is the account when Options name none.
const DefaultAccountID = "111122223333"

// otherAccountID owns the role that is assumed across accounts.
const otherAccountID = "444455556666"

// rootUserName is how users[] names the root user, which has no user name.
const rootUserName = "root"

// User is an IAM user, or the root user of the account.
type User struct {
	UserName   string // without its path
	Path       string // "/" or "/a/b/"; empty for the root user
	ARN        string
	UserID     string // AIDA…, or the account ID for the root user
	CreateDate time.Time
	AccessKeys []AccessKey
	Devices    []Device
}

func (u *User) isRoot() bool { return u.Path == "" }

// AccessKey is a long-lived access key.
type AccessKey struct {
	AccessKeyID     string // AKIA…, holds the account ID
	SecretAccessKey secret.String
	Status          string // StatusActive or StatusInactive
	CreateDate      time.Time
}

// Device is an MFA device.
type Device struct {
	SerialNumber string
	TOTPSecret   secret.String // base32 without padding; zero for a passkey
	EnableDate   time.Time
}

func (d *Device) isPasskey() bool { return d.TOTPSecret.IsZero() }

// Role is an IAM role with what its trust policy asks for.
type Role struct {
	RoleName           string
	ARN                string // with its path
	RoleID             string // AROA…
	AccountID          string
	MaxSessionDuration time.Duration
	Trusts             string // ARN of a role, or of the root of an account for all of its principals
	ExternalID         string // demanded when not empty
	RequireMFA         bool   // demands aws:MultiFactorAuthPresent
	// MaxMFAAge demands MFA that is younger, by aws:MultiFactorAuthAge; 0 does not.
	MaxMFAAge time.Duration
}

// generator makes identifiers and secrets from one source of randomness. The
// first failure of the source sticks.
type generator struct {
	rand io.Reader
	err  error
}

func (g *generator) bytes(n int) []byte {
	b := make([]byte, n)
	if g.err == nil {
		_, g.err = io.ReadFull(g.rand, b)
	}
	return b
}

// accessKeyID returns a key ID of AWS's length with the account inside: 40
// bits behind the top bit of the first 6 bytes after the prefix.
func (g *generator) accessKeyID(prefix, accountID string) string {
	raw := g.bytes(10)
	account, err := strconv.ParseUint(accountID, 10, 40)
	if err != nil {
		g.err = fmt.Errorf("account ID %s: %w", accountID, err)
		return ""
	}
	var head [8]byte
	binary.BigEndian.PutUint64(head[:], 1<<47|account<<7|uint64(raw[5]&0x7f))
	copy(raw, head[2:])
	return prefix + base32.StdEncoding.EncodeToString(raw)
}

// uniqueID returns a unique ID of IAM: a prefix and 17 characters.
func (g *generator) uniqueID(prefix string) string {
	return prefix + base32.StdEncoding.EncodeToString(g.bytes(15))[:17]
}

// secretAccessKey returns 40 characters of base64.
func (g *generator) secretAccessKey() string {
	return base64.StdEncoding.EncodeToString(g.bytes(30))
}

// sessionToken returns a token as long as those of a regional STS endpoint.
func (g *generator) sessionToken() string {
	return "IQoJb3JpZ2luX2Vj" + base64.StdEncoding.EncodeToString(g.bytes(576))
}

func (g *generator) requestID() string {
	b := g.bytes(16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// builder fills a new account.
type builder struct {
	generator
	accountID string
	partition string
	created   time.Time
}

// arn returns the ARN of a resource of IAM in an account.
func (b *builder) arn(accountID, resource string) string {
	return "arn:" + b.partition + ":iam::" + accountID + ":" + resource
}

// user adds an IAM user with one key; each device is "mfa/NAME" or "u2f/NAME".
func (b *builder) user(name, path, status string, devices ...string) *User {
	u := &User{
		UserName: name, Path: path, CreateDate: b.created,
		ARN:    b.arn(b.accountID, "user"+path+name),
		UserID: b.uniqueID("AIDA"),
	}
	if name == rootUserName {
		u.Path, u.ARN, u.UserID = "", b.arn(b.accountID, "root"), b.accountID
	}
	u.AccessKeys = []AccessKey{{
		AccessKeyID:     b.accessKeyID("AKIA", b.accountID),
		SecretAccessKey: secret.New(b.secretAccessKey()),
		Status:          status,
		CreateDate:      b.created,
	}}
	for _, device := range devices {
		d := Device{SerialNumber: b.arn(b.accountID, device), EnableDate: b.created}
		if strings.HasPrefix(device, "mfa/") {
			d.TOTPSecret = secret.New(seedEncoding.EncodeToString(b.bytes(20)))
		}
		u.Devices = append(u.Devices, d)
	}
	return u
}

// users are one of each kind that a client meets; ann is the plain one.
func (b *builder) users() []*User {
	return []*User{
		b.user("ann", "/", StatusActive, "mfa/ann"),
		b.user("bob", "/dev/team/", StatusActive, "mfa/bob-phone", "mfa/bob-tablet"),
		b.user("cleo", "/", StatusActive, "u2f/user/cleo/yubikey-R5TQ2YZXVBPMA"),
		b.user("dan", "/", StatusInactive, "mfa/dan"),
		b.user("eve", "/", StatusActive),
		b.user(rootUserName, "", StatusActive, "mfa/root-account-mfa-device"),
	}
}

// roles are one of each kind that a plan meets. dev-hop1 to dev-hop3 are a
// chain; dev-hop2 would allow 12 hours to a caller that is not a role.
func (b *builder) roles() []*Role {
	const short, long = time.Hour, 12 * time.Hour
	everybody := b.arn(b.accountID, "root")
	hop := b.arn(b.accountID, "role/dev-hop")
	roles := []*Role{
		{RoleName: "dev", MaxSessionDuration: short, Trusts: everybody},
		{RoleName: "readonly", MaxSessionDuration: short, Trusts: everybody},
		{RoleName: "dev-long", MaxSessionDuration: long, Trusts: everybody},
		{RoleName: "dev-hop1", MaxSessionDuration: short, Trusts: everybody},
		{RoleName: "dev-hop2", MaxSessionDuration: long, Trusts: hop + "1"},
		{RoleName: "dev-hop3", MaxSessionDuration: short, Trusts: hop + "2"},
		{RoleName: "dev-external", MaxSessionDuration: short, Trusts: everybody, ExternalID: "tenant-42"},
		{RoleName: "dev-mfa", MaxSessionDuration: long, Trusts: everybody, RequireMFA: true},
		{RoleName: "dev-mfa-recent", MaxSessionDuration: short, Trusts: everybody, MaxMFAAge: time.Hour},
		{RoleName: "audit", ARN: b.arn(otherAccountID, "role/team/audit"), AccountID: otherAccountID, MaxSessionDuration: short, Trusts: everybody},
	}
	for _, r := range roles {
		r.RoleID = b.uniqueID("AROA")
		if r.AccountID == "" {
			r.AccountID = b.accountID
			r.ARN = b.arn(b.accountID, "role/"+r.RoleName)
		}
	}
	return roles
}
