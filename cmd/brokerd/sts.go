// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"credbroker/broker"
	"credbroker/credproc"
	"credbroker/internal/awsapi"
	"credbroker/internal/ipc"
)

// awsSTS calls AWS with temporary credentials. A client is made for each call:
// it keeps no connection, and so a new certificate bundle is used at once.
type awsSTS struct{ calls calls }

var _ broker.STS = awsSTS{}

// Reach implements broker.STS.
func (s awsSTS) Reach(ctx context.Context, to ipc.AWS) (time.Duration, error) {
	end, err := s.calls.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer end()
	client, err := dial(to)
	if err != nil {
		return 0, err
	}
	offset, err := client.Reach(ctx)
	return offset, coded(err)
}

// Endpoint implements broker.STS.
func (awsSTS) Endpoint(ctx context.Context, to ipc.AWS) (region, url string) {
	return awsapi.STSEndpoint(ctx, optionsFor(to))
}

// AssumeRole implements broker.STS.
func (s awsSTS) AssumeRole(ctx context.Context, to ipc.AWS, source credproc.Credentials, in broker.AssumeRoleInput) (credproc.Credentials, error) {
	end, err := s.calls.begin(ctx)
	if err != nil {
		return credproc.Credentials{}, err
	}
	defer end()
	client, err := dial(to)
	if err != nil {
		return credproc.Credentials{}, err
	}
	credentials, err := client.Temporary(source).AssumeRole(ctx, awsapi.AssumeRoleInput{
		RoleARN:           in.RoleARN,
		RoleSessionName:   in.RoleSessionName,
		ExternalID:        in.ExternalID,
		SourceIdentity:    in.SourceIdentity,
		Tags:              tags(in.Tags),
		TransitiveTagKeys: in.TransitiveTagKeys,
		DurationSeconds:   in.DurationSeconds,
	})
	return credentials, coded(err)
}

func tags(in map[string]string) []awsapi.Tag {
	out := make([]awsapi.Tag, 0, len(in))
	for key, value := range in {
		out = append(out, awsapi.Tag{Key: key, Value: value})
	}
	slices.SortFunc(out, func(a, b awsapi.Tag) int { return cmp.Compare(a.Key, b.Key) })
	return out
}

func dial(to ipc.AWS) (*awsapi.Client, error) {
	client, err := awsapi.New(optionsFor(to))
	return client, coded(err)
}

func optionsFor(to ipc.AWS) awsapi.Options {
	return awsapi.Options{
		Region:         to.Region,
		Partition:      to.Partition,
		STSEndpointURL: to.STSEndpointURL,
		IAMEndpointURL: to.IAMEndpointURL,

		CloudTrailEndpointURL: to.CloudTrailEndpointURL,

		CABundle:     to.CABundle,
		HTTPSProxy:   to.HTTPSProxy,
		UseFIPS:      to.UseFIPS,
		UseDualStack: to.UseDualStack,
		ClockOffset:  time.Duration(to.ClockOffset) * time.Second,
		Now:          time.Now,
		UserAgent:    "broker/" + version,
	}
}

// coded returns an error of awsapi, or nil, as the protocol knows it.
func coded(err error) error {
	if err == nil {
		return nil
	}
	var e *awsapi.Error
	if !errors.As(err, &e) {
		return &ipc.Error{Code: ipc.CodeInternal, Message: "reach AWS: " + err.Error()}
	}
	return &ipc.Error{Code: ipc.Code(e.Code), Message: e.Error(), Hint: e.Hint()}
}
