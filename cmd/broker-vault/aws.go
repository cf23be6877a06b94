// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"credbroker/internal/awsapi"
	"credbroker/internal/ipc"
	"credbroker/internal/secret"
	"credbroker/vault"
)

// caller is a vault.AWS on internal/awsapi.
type caller struct{ api *awsapi.Caller }

var _ vault.AWS = caller{}

// dialAWS returns calls that are signed with a long-lived key.
func dialAWS(to ipc.AWS, accessKeyID string, secretAccessKey secret.String) (vault.AWS, error) {
	client, err := awsapi.New(awsapi.Options{
		Region:         to.Region,
		Partition:      to.Partition,
		STSEndpointURL: to.STSEndpointURL,
		IAMEndpointURL: to.IAMEndpointURL,
		CABundle:       to.CABundle,
		HTTPSProxy:     to.HTTPSProxy,
		UseFIPS:        to.UseFIPS,
		UseDualStack:   to.UseDualStack,
		ClockOffset:    time.Duration(to.ClockOffset) * time.Second,
		Now:            time.Now,
		UserAgent:      "broker/" + version,
	})
	if err != nil {
		return nil, awsError(err)
	}
	return caller{client.LongLived(awsapi.Keys{AccessKeyID: accessKeyID, Secret: secretAccessKey})}, nil
}

// GetCallerIdentity implements vault.AWS.
func (c caller) GetCallerIdentity(ctx context.Context) (ipc.Identity, error) {
	id, err := c.api.GetCallerIdentity(ctx)
	return ipc.Identity(id), awsError(err)
}

// ListMFADevices implements vault.AWS.
func (c caller) ListMFADevices(ctx context.Context, userName string) ([]ipc.MFADevice, error) {
	found, err := c.api.ListMFADevices(ctx, userName)
	devices := make([]ipc.MFADevice, 0, len(found))
	for _, d := range found {
		devices = append(devices, ipc.MFADevice{SerialNumber: d.SerialNumber, EnableDate: d.EnableDate})
	}
	return devices, awsError(err)
}

// GetSessionToken implements vault.AWS.
func (c caller) GetSessionToken(ctx context.Context, in vault.SessionToken) (json.RawMessage, error) {
	credentials, err := c.api.GetSessionToken(ctx, awsapi.SessionTokenInput{
		SerialNumber:    in.SerialNumber,
		TokenCode:       in.TokenCode,
		DurationSeconds: in.DurationSeconds,
	})
	if err != nil {
		return nil, awsError(err)
	}
	credentials.AccountID = in.AccountID
	document, err := credentials.Encode()
	if err != nil {
		return nil, &vault.AWSError{Code: ipc.CodeAWSGarbage, Message: err.Error(), Sent: true}
	}
	return document, nil
}

// awsError returns err, or nil, as vault knows it.
func awsError(err error) error {
	if err == nil {
		return nil
	}
	var e *awsapi.Error
	if errors.As(err, &e) {
		return &vault.AWSError{Code: ipc.Code(e.Code), Message: e.Error(), Hint: e.Hint(), Sent: e.Sent}
	}
	return &vault.AWSError{Code: ipc.CodeAWSFailed, Message: err.Error(), Sent: true}
}
