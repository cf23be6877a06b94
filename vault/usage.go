// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"fmt"
	"time"

	"credbroker/internal/ipc"
)

// firstLook is the pause before a report of IAM is looked at again, doubled each
// time up to lastLook. Most are done within a second or two.
const (
	firstLook = 200 * time.Millisecond
	lastLook  = 2 * time.Second
)

// servicesUsed has IAM make its report on a user, and waits for it, for
// ipc.ReportTime in all.
func (w *Worker) servicesUsed(ctx context.Context, p ipc.ServicesUsedParams) (any, error) {
	api, err := w.signed(ctx, p.IAMParams)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, ipc.ReportTime)
	defer cancel()
	var job string
	err = w.iam(ctx, func(ctx context.Context) (err error) {
		job, err = api.BeginReport(ctx, p.ARN)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ask IAM which services %s has used: %w", p.ARN, err)
	}
	result := ipc.ServicesUsed{Services: []ipc.ServiceUse{}}
	used, err := w.report(ctx, api, job)
	if err != nil {
		result.Unread = wire(fmt.Errorf("read which services %s has used: %w", p.ARN, err))
	}
	result.Services = append(result.Services, used...)
	return result, nil
}

// report looks at a report until it is done.
func (w *Worker) report(ctx context.Context, api IAM, job string) (used []ipc.ServiceUse, err error) {
	for pause := firstLook; ; pause = min(2*pause, lastLook) {
		var done bool
		err = w.iam(ctx, func(ctx context.Context) (err error) {
			done, used, err = api.Report(ctx, job)
			return err
		})
		if done || err != nil {
			return used, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, &AWSError{Code: ipc.CodeAWSSlow, Sent: true, Message: "the report is not ready after " + ipc.ReportTime.String()}
		}
	}
}
