// SPDX-License-Identifier: Apache-2.0

package awsapi

import (
	"context"
	"errors"
	"strings"
	"time"

	"credbroker/credproc"
	"credbroker/internal/secret"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
)

// lifeTolerance is how far an Expiration may lie beyond the duration that was
// asked for: AWS's own limit for the clocks of two machines.
const lifeTolerance = 15 * time.Minute

// SessionTokenInput asks for a session of an IAM user.
type SessionTokenInput struct {
	SerialNumber    string // with TokenCode, or both empty: a session without MFA
	TokenCode       string // 6 digits, works once
	DurationSeconds int    // 900 to 129600
}

// GetSessionToken calls STS, once. The AccountID of the result is empty: STS
// does not say. https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html
func (c *Caller) GetSessionToken(ctx context.Context, in SessionTokenInput) (credproc.Credentials, error) {
	k := call{action: "GetSessionToken", once: in.TokenCode != "", temporary: c.temporary, hidden: []string{in.TokenCode}}
	if err := checkCode(in.SerialNumber, in.TokenCode); err != nil {
		return credproc.Credentials{}, &Error{Code: codeMFAUnknown, Action: k.action, Message: err.Error()}
	}
	request := &sts.GetSessionTokenInput{
		SerialNumber:    optional(in.SerialNumber),
		TokenCode:       optional(in.TokenCode),
		DurationSeconds: aws.Int32(int32(in.DurationSeconds)),
	}
	var result credproc.Credentials
	err := c.client.run(ctx, k, func(ctx context.Context, x *exchange) error {
		out, err := c.sts.GetSessionToken(ctx, request)
		if err != nil {
			return err
		}
		result, err = c.client.credentials(out.Credentials, in.DurationSeconds, x)
		return err
	})
	return result, err
}

// AssumeRoleInput asks for a session of a role. Zero fields are not sent.
type AssumeRoleInput struct {
	RoleARN           string
	RoleSessionName   string // 2 to 64 of [\w+=,.@-]
	ExternalID        string
	DurationSeconds   int // 900 to 43200; 3600 where the caller is a role itself
	Tags              []Tag
	TransitiveTagKeys []string
	SourceIdentity    string
	SerialNumber      string // with TokenCode, or both empty
	TokenCode         string
}

// Tag is a session tag.
type Tag struct {
	Key   string // 1 to 128 characters
	Value string // up to 256 characters
}

// AssumeRole calls STS: once if it carries a code. The role session is checked
// to be of the role's account.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
func (c *Caller) AssumeRole(ctx context.Context, in AssumeRoleInput) (credproc.Credentials, error) {
	k := call{action: actAssumeRole, once: in.TokenCode != "", temporary: c.temporary, hidden: []string{in.TokenCode}}
	if err := checkCode(in.SerialNumber, in.TokenCode); err != nil {
		return credproc.Credentials{}, &Error{Code: codeMFAUnknown, Action: k.action, Message: err.Error()}
	}
	request := &sts.AssumeRoleInput{
		RoleArn:           aws.String(in.RoleARN),
		RoleSessionName:   aws.String(in.RoleSessionName),
		ExternalId:        optional(in.ExternalID),
		DurationSeconds:   aws.Int32(int32(in.DurationSeconds)),
		Tags:              tags(in.Tags),
		TransitiveTagKeys: in.TransitiveTagKeys,
		SourceIdentity:    optional(in.SourceIdentity),
		SerialNumber:      optional(in.SerialNumber),
		TokenCode:         optional(in.TokenCode),
	}
	var result credproc.Credentials
	err := c.client.run(ctx, k, func(ctx context.Context, x *exchange) error {
		out, err := c.sts.AssumeRole(ctx, request)
		if err != nil {
			return err
		}
		if result, err = c.client.credentials(out.Credentials, in.DurationSeconds, x); err != nil {
			return err
		}
		result.AccountID, err = assumedAccount(in.RoleARN, out.AssumedRoleUser)
		return err
	})
	if err != nil {
		return credproc.Credentials{}, err
	}
	return result, nil
}

// Identity is who AWS takes a caller for.
type Identity struct {
	AccountID string // 12 digits
	ARN       string
	UserID    string
	UserName  string // of an IAM user, without its path; else empty
}

// GetCallerIdentity calls STS. It needs no permission.
func (c *Caller) GetCallerIdentity(ctx context.Context) (Identity, error) {
	var id Identity
	err := c.client.run(ctx, call{action: "GetCallerIdentity", temporary: c.temporary}, func(ctx context.Context, _ *exchange) error {
		out, err := c.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			return err
		}
		id = Identity{
			AccountID: aws.ToString(out.Account),
			ARN:       clean(aws.ToString(out.Arn), 2048),
			UserID:    clean(aws.ToString(out.UserId), 128),
		}
		a, ok := parseARN(id.ARN)
		if !ok || !isAccountID(id.AccountID) || a.account != id.AccountID {
			return garbage("an identity without an account")
		}
		id.UserName = a.userName()
		return nil
	})
	if err != nil {
		return Identity{}, err
	}
	return id, nil
}

// credentials checks what STS handed out. An Expiration is believed only if
// the session is alive by the clock of AWS and not longer than asked for.
func (c *Client) credentials(in *types.Credentials, durationSeconds int, x *exchange) (credproc.Credentials, error) {
	if in == nil {
		return credproc.Credentials{}, garbage("an answer without credentials")
	}
	id, key, token := aws.ToString(in.AccessKeyId), aws.ToString(in.SecretAccessKey), aws.ToString(in.SessionToken)
	switch {
	case !strings.HasPrefix(id, "ASIA") || !isToken(id, 16, 128):
		return credproc.Credentials{}, garbage("an access key ID that is not temporary")
	case !isToken(key, 1, 256) || !isToken(token, 1, credproc.MaxSize):
		return credproc.Credentials{}, garbage("credentials that are incomplete or too long")
	case in.Expiration == nil:
		return credproc.Credentials{}, garbage("credentials without an expiration")
	}
	now := c.awsTime()
	if !x.date.IsZero() {
		now = x.date
	}
	life := in.Expiration.Sub(now)
	if life <= 0 || life > time.Duration(durationSeconds)*time.Second+lifeTolerance {
		return credproc.Credentials{}, garbage("credentials with an expiration that cannot be: " + in.Expiration.UTC().Format(time.RFC3339))
	}
	return credproc.Credentials{
		AccessKeyID:     id,
		SecretAccessKey: secret.New(key),
		SessionToken:    secret.New(token),
		Expiration:      in.Expiration.UTC(),
	}, nil
}

// assumedAccount returns the account of a role session, which must be that of
// the role that was asked for.
func assumedAccount(roleARN string, user *types.AssumedRoleUser) (string, error) {
	if user == nil {
		return "", garbage("a role session without a name")
	}
	got, ok := parseARN(aws.ToString(user.Arn))
	want, wantOK := parseARN(roleARN)
	if !ok || !wantOK || got.account != want.account || got.partition != want.partition {
		return "", garbage("a role session of another account")
	}
	return got.account, nil
}

func garbage(what string) *Error {
	return &Error{Code: codeGarbage, Message: "AWS answered with " + what}
}

// checkCode refuses half a pair before it is sent.
func checkCode(serialNumber, tokenCode string) error {
	if (serialNumber == "") != (tokenCode == "") {
		return errors.New("a serial number and a code must come together")
	}
	if tokenCode != "" && (len(tokenCode) != 6 || strings.Trim(tokenCode, "0123456789") != "") {
		return errors.New("a code must have 6 digits")
	}
	return nil
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func tags(in []Tag) []types.Tag {
	var out []types.Tag
	for _, t := range in {
		out = append(out, types.Tag{Key: aws.String(t.Key), Value: aws.String(t.Value)})
	}
	return out
}

// isToken reports whether s has min to max bytes, all of them printable ASCII
// without blanks.
func isToken(s string, min, max int) bool {
	if len(s) < min || len(s) > max {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
