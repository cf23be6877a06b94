// SPDX-License-Identifier: Apache-2.0

package awsapi

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// maxPages bounds a list that does not end. AWS allows 8 devices, 2 keys and 20
// attached policies per user, and answers up to 100 on a page.
const maxPages = 10

// MFADevice is a device of an IAM user.
type MFADevice struct {
	SerialNumber string // an ARN, or the printed number of a hardware device
	UserName     string
	EnableDate   time.Time // UTC
}

// ListMFADevices calls IAM for the devices of a user, in AWS's order. An empty
// userName stands for the caller, which AWS can tell from a long-lived key only.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListMFADevices.html
func (c *Caller) ListMFADevices(ctx context.Context, userName string) ([]MFADevice, error) {
	var devices []MFADevice
	err := c.pages(ctx, "ListMFADevices", func(ctx context.Context, marker *string) (page, error) {
		out, err := c.iam.ListMFADevices(ctx, &iam.ListMFADevicesInput{UserName: optional(userName), Marker: marker})
		if err != nil {
			return page{}, err
		}
		for _, d := range out.MFADevices {
			devices = append(devices, MFADevice{
				SerialNumber: clean(aws.ToString(d.SerialNumber), 256),
				UserName:     clean(aws.ToString(d.UserName), 128),
				EnableDate:   aws.ToTime(d.EnableDate).UTC(),
			})
		}
		return page{out.IsTruncated, out.Marker}, nil
	})
	if err != nil {
		return nil, err
	}
	return devices, nil
}

// iamCall is a call of IAM.
func (c *Caller) iamCall(action string) call {
	return call{action: action, permission: "iam:" + action, temporary: c.temporary}
}

// page says whether a list of IAM goes on, and where.
type page struct {
	more   bool
	marker *string
}

// pages calls an action until its list ends. fetch gets the marker of the page
// and keeps what is on it.
func (c *Caller) pages(ctx context.Context, action string, fetch func(ctx context.Context, marker *string) (page, error)) error {
	var at page
	for range maxPages {
		err := c.client.run(ctx, c.iamCall(action), func(ctx context.Context, _ *exchange) error {
			next, err := fetch(ctx, at.marker)
			if err == nil {
				at = next
			}
			return err
		})
		if err != nil {
			return err
		}
		if !at.more || aws.ToString(at.marker) == "" {
			return nil
		}
	}
	e := garbage("a list that does not end")
	e.Action, e.Sent = action, true
	return e
}

// User is an IAM user.
type User struct {
	UserName   string
	UserID     string
	ARN        string
	CreateDate time.Time // UTC
}

// GetUser calls IAM for a user. An empty userName stands for the caller.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetUser.html
func (c *Caller) GetUser(ctx context.Context, userName string) (User, error) {
	var user User
	err := c.client.run(ctx, c.iamCall("GetUser"), func(ctx context.Context, _ *exchange) error {
		out, err := c.iam.GetUser(ctx, &iam.GetUserInput{UserName: optional(userName)})
		if err != nil {
			return err
		}
		if out.User == nil {
			return garbage("no user")
		}
		user = User{
			UserName:   clean(aws.ToString(out.User.UserName), 128),
			UserID:     clean(aws.ToString(out.User.UserId), 128),
			ARN:        clean(aws.ToString(out.User.Arn), 2048),
			CreateDate: aws.ToTime(out.User.CreateDate).UTC(),
		}
		return nil
	})
	return user, err
}
