// SPDX-License-Identifier: Apache-2.0

package awsapi

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// AttachedPolicy is a managed policy that is attached to a user.
type AttachedPolicy struct {
	PolicyName string
	PolicyARN  string
}

// Quarantine reports whether it is one of those that AWS attaches to the user of
// a key that it has found in public, of whatever version.
func (p AttachedPolicy) Quarantine() bool {
	_, name, ok := strings.Cut(strings.ToLower(p.PolicyARN), ":iam::aws:policy/")
	return ok && strings.HasPrefix(name, quarantine)
}

// ListAttachedUserPolicies calls IAM for the managed policies of a user, without
// those of its groups. A user name is required.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListAttachedUserPolicies.html
func (c *Caller) ListAttachedUserPolicies(ctx context.Context, userName string) ([]AttachedPolicy, error) {
	var policies []AttachedPolicy
	err := c.pages(ctx, "ListAttachedUserPolicies", func(ctx context.Context, marker *string) (page, error) {
		out, err := c.iam.ListAttachedUserPolicies(ctx, &iam.ListAttachedUserPoliciesInput{UserName: aws.String(userName), Marker: marker})
		if err != nil {
			return page{}, err
		}
		for _, p := range out.AttachedPolicies {
			policies = append(policies, AttachedPolicy{clean(aws.ToString(p.PolicyName), 128), clean(aws.ToString(p.PolicyArn), 2048)})
		}
		return page{out.IsTruncated, out.Marker}, nil
	})
	if err != nil {
		return nil, err
	}
	return policies, nil
}

// PutUserPolicy calls IAM to put an inline policy into a user, in the place of
// one of that name. A user name is required. It takes effect within minutes.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutUserPolicy.html
func (c *Caller) PutUserPolicy(ctx context.Context, userName, policyName, document string) error {
	return c.client.run(ctx, c.iamCall("PutUserPolicy"), func(ctx context.Context, _ *exchange) error {
		_, err := c.iam.PutUserPolicy(ctx, &iam.PutUserPolicyInput{
			UserName: aws.String(userName), PolicyName: aws.String(policyName), PolicyDocument: aws.String(document),
		})
		return err
	})
}

// DeleteUserPolicy calls IAM to take an inline policy out of a user. The error
// is NotFound if the user does not have it, as after a lost reply.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteUserPolicy.html
func (c *Caller) DeleteUserPolicy(ctx context.Context, userName, policyName string) error {
	return c.client.run(ctx, c.iamCall("DeleteUserPolicy"), func(ctx context.Context, _ *exchange) error {
		_, err := c.iam.DeleteUserPolicy(ctx, &iam.DeleteUserPolicyInput{UserName: aws.String(userName), PolicyName: aws.String(policyName)})
		return err
	})
}
