// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"credbroker/broker"
	"credbroker/credproc"
	"credbroker/internal/awsapi"
	"credbroker/internal/ipc"
)

// awsTrail asks CloudTrail with temporary credentials.
type awsTrail struct{ calls calls }

var _ broker.Trail = awsTrail{}

// Home implements broker.Trail.
func (awsTrail) Home(to ipc.AWS) string {
	to.Region = "us-east-1" // which another partition has another one for
	return awsapi.TrailRegion(optionsFor(to))
}

// LookupEvents implements broker.Trail.
func (t awsTrail) LookupEvents(ctx context.Context, to ipc.AWS, source credproc.Credentials, in broker.LookupInput) ([]broker.TrailEvent, string, error) {
	end, err := t.calls.begin(ctx)
	if err != nil {
		return nil, "", err
	}
	defer end()
	client, err := dial(to)
	if err != nil {
		return nil, "", err
	}
	found, next, err := client.Temporary(source).LookupEvents(ctx, awsapi.LookupInput(in))
	if err != nil {
		return nil, "", coded(err)
	}
	events := make([]broker.TrailEvent, 0, len(found))
	for _, e := range found {
		events = append(events, broker.TrailEvent{
			At: e.At, EventSource: e.EventSource, EventName: e.EventName, SourceIP: e.SourceIP, UserAgent: e.UserAgent, Refused: e.ErrorCode != "",
		})
	}
	return events, next, nil
}
