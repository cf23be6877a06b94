// SPDX-License-Identifier: Apache-2.0

package awsapi

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// ServiceUse is a service that an IAM user, or a role, has used.
type ServiceUse struct {
	Namespace         string    // as in "s3"
	ServiceName       string    // as in "Amazon S3"
	LastAuthenticated time.Time // UTC; by IAM's word some four hours late
	Region            string    // of that use; may be empty
}

// GenerateServiceLastAccessedDetails has IAM begin a report on the services that
// a user or role has used, and returns its job ID. Each call begins another one,
// which harms nobody.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GenerateServiceLastAccessedDetails.html
func (c *Caller) GenerateServiceLastAccessedDetails(ctx context.Context, arn string) (string, error) {
	var id string
	err := c.client.run(ctx, c.iamCall("GenerateServiceLastAccessedDetails"), func(ctx context.Context, _ *exchange) error {
		out, err := c.iam.GenerateServiceLastAccessedDetails(ctx, &iam.GenerateServiceLastAccessedDetailsInput{Arn: aws.String(arn)})
		if err != nil {
			return err
		}
		if id = aws.ToString(out.JobId); !isToken(id, 36, 36) {
			return garbage("a job without an ID")
		}
		return nil
	})
	return id, err
}

// GetServiceLastAccessedDetails returns what a report says, in IAM's order, once
// it is done: the services that were used within the tracking period of IAM, 400
// days or more. A report that IAM gave up is an error of code aws_failed.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetServiceLastAccessedDetails.html
func (c *Caller) GetServiceLastAccessedDetails(ctx context.Context, jobID string) (done bool, used []ServiceUse, err error) {
	const action = "GetServiceLastAccessedDetails"
	err = c.pages(ctx, action, func(ctx context.Context, marker *string) (page, error) {
		out, err := c.iam.GetServiceLastAccessedDetails(ctx, &iam.GetServiceLastAccessedDetailsInput{JobId: aws.String(jobID), Marker: marker})
		if err != nil {
			return page{}, err
		}
		switch out.JobStatus {
		case types.JobStatusTypeCompleted:
			done = true
		case types.JobStatusTypeInProgress:
			return page{}, nil
		default:
			return page{}, &Error{Code: codeFailed, Message: "IAM could not make the report"}
		}
		for _, s := range out.ServicesLastAccessed {
			if s.LastAuthenticated != nil {
				used = append(used, ServiceUse{
					Namespace: clean(aws.ToString(s.ServiceNamespace), 64), ServiceName: clean(aws.ToString(s.ServiceName), 128),
					LastAuthenticated: s.LastAuthenticated.UTC(), Region: clean(aws.ToString(s.LastAuthenticatedRegion), 64),
				})
			}
		}
		return page{out.IsTruncated, out.Marker}, nil
	})
	if err != nil {
		return false, nil, err
	}
	return done, used, nil
}
