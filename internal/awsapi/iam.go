// SPDX-License-Identifier: Apache-2.0

package awsapi

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// maxPages bounds a list that does not end. AWS allows 8 devices per user and
// answers up to 100 on a page.
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
	var marker *string
	for range maxPages {
		var out *iam.ListMFADevicesOutput
		err := c.client.run(ctx, call{action: "ListMFADevices", temporary: c.temporary}, func(ctx context.Context, _ *exchange) (err error) {
			out, err = c.iam.ListMFADevices(ctx, &iam.ListMFADevicesInput{UserName: optional(userName), Marker: marker})
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, d := range out.MFADevices {
			devices = append(devices, MFADevice{
				SerialNumber: clean(aws.ToString(d.SerialNumber), 256),
				UserName:     clean(aws.ToString(d.UserName), 128),
				EnableDate:   aws.ToTime(d.EnableDate).UTC(),
			})
		}
		if !out.IsTruncated || aws.ToString(out.Marker) == "" {
			return devices, nil
		}
		marker = out.Marker
	}
	e := garbage("a list of devices that does not end")
	e.Action, e.Sent = "ListMFADevices", true
	return nil, e
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
	err := c.client.run(ctx, call{action: "GetUser", temporary: c.temporary}, func(ctx context.Context, _ *exchange) error {
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
