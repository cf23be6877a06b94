// SPDX-License-Identifier: Apache-2.0

package awsapi

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"credbroker/internal/secret"
)

// AccessKey is a long-lived key of an IAM user, without its secret.
type AccessKey struct {
	AccessKeyID string
	Active      bool      // Status is Active; Inactive and Expired are not
	CreateDate  time.Time // UTC; a key that is made Active again keeps it
}

// LastUse is what IAM knows of the last use of a key. It lags behind by up to
// hours, and the use of sessions made with the key does not count.
type LastUse struct {
	Date        time.Time // UTC; zero: never, or not yet known
	ServiceName string    // as in "s3"
	Region      string
}

// NewKey is what CreateAccessKey answers: the only time that AWS shows the secret.
type NewKey struct {
	AccessKeyID     string
	SecretAccessKey secret.String
	CreateDate      time.Time // UTC
}

// ListAccessKeys calls IAM for the keys of a user: two at most, whatever their
// status. With temporary credentials userName must be given.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListAccessKeys.html
func (c *Caller) ListAccessKeys(ctx context.Context, userName string) ([]AccessKey, error) {
	var keys []AccessKey
	err := c.pages(ctx, "ListAccessKeys", func(ctx context.Context, marker *string) (page, error) {
		out, err := c.iam.ListAccessKeys(ctx, &iam.ListAccessKeysInput{UserName: optional(userName), Marker: marker})
		if err != nil {
			return page{}, err
		}
		for _, k := range out.AccessKeyMetadata {
			id := aws.ToString(k.AccessKeyId)
			if !isToken(id, 16, 128) || k.CreateDate == nil {
				return page{}, garbage("a key without an ID or a date")
			}
			keys = append(keys, AccessKey{AccessKeyID: id, Active: k.Status == types.StatusTypeActive, CreateDate: k.CreateDate.UTC()})
		}
		return page{out.IsTruncated, out.Marker}, nil
	})
	if err != nil {
		return nil, err
	}
	return keys, nil
}

// GetAccessKeyLastUsed calls IAM for the last use of a key. It needs no user
// name. A key that AWS does not know is denied rather than not found.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccessKeyLastUsed.html
func (c *Caller) GetAccessKeyLastUsed(ctx context.Context, accessKeyID string) (LastUse, error) {
	var use LastUse
	err := c.client.run(ctx, c.iamCall("GetAccessKeyLastUsed"), func(ctx context.Context, _ *exchange) error {
		out, err := c.iam.GetAccessKeyLastUsed(ctx, &iam.GetAccessKeyLastUsedInput{AccessKeyId: aws.String(accessKeyID)})
		if err != nil {
			return err
		}
		if u := out.AccessKeyLastUsed; u != nil && u.LastUsedDate != nil { // without a date the rest is "N/A"
			use = LastUse{
				Date:        u.LastUsedDate.UTC(),
				ServiceName: clean(aws.ToString(u.ServiceName), 64),
				Region:      clean(aws.ToString(u.Region), 64),
			}
		}
		return nil
	})
	return use, err
}

// CreateAccessKey sends its request once: IAM has no token that would make a
// second one harmless. An error with Sent means that there may be a key, unless
// it is Refused. The code is key_quota if the user has two keys.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateAccessKey.html
func (c *Caller) CreateAccessKey(ctx context.Context, userName string) (NewKey, error) {
	k := c.iamCall("CreateAccessKey")
	k.once = true
	var key NewKey
	err := c.client.run(ctx, k, func(ctx context.Context, _ *exchange) error {
		out, err := c.iam.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: optional(userName)})
		if err != nil {
			return err
		}
		if out.AccessKey == nil {
			return garbage("no key")
		}
		id, made := aws.ToString(out.AccessKey.AccessKeyId), aws.ToString(out.AccessKey.SecretAccessKey)
		if !isToken(id, 16, 128) || !isToken(made, 1, 256) {
			return garbage("a key that is incomplete")
		}
		key = NewKey{AccessKeyID: id, SecretAccessKey: secret.New(made), CreateDate: aws.ToTime(out.AccessKey.CreateDate).UTC()}
		return nil
	})
	return key, err
}

// UpdateAccessKey makes a key Active or Inactive. The code of an error is
// key_gone if the user does not have the key.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccessKey.html
func (c *Caller) UpdateAccessKey(ctx context.Context, userName, accessKeyID string, active bool) error {
	status := types.StatusTypeInactive
	if active {
		status = types.StatusTypeActive
	}
	return c.client.run(ctx, c.iamCall("UpdateAccessKey"), func(ctx context.Context, _ *exchange) error {
		_, err := c.iam.UpdateAccessKey(ctx, &iam.UpdateAccessKeyInput{UserName: optional(userName), AccessKeyId: aws.String(accessKeyID), Status: status})
		return err
	})
}

// DeleteAccessKey deletes a key for ever. The code of an error is key_gone if the
// user does not have the key: it may be this very call that has deleted it, if
// a reply was lost and the call repeated.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteAccessKey.html
func (c *Caller) DeleteAccessKey(ctx context.Context, userName, accessKeyID string) error {
	return c.client.run(ctx, c.iamCall("DeleteAccessKey"), func(ctx context.Context, _ *exchange) error {
		_, err := c.iam.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{UserName: optional(userName), AccessKeyId: aws.String(accessKeyID)})
		return err
	})
}
