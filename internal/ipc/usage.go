// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"slices"
	"time"
)

// UsageParams asks what is known of the use of a profile's key.
type UsageParams struct {
	Profile string `json:"profile"`
	// Using is the profile whose key signs the questions; "" is Profile.
	Using string `json:"using,omitempty"`
}

// Usage is what IAM and CloudTrail know of the use of a key. What could not be
// told is in Gaps; the rest stands.
type Usage struct {
	Profile     string     `json:"profile"` // that the key is stored under
	AccessKeyID string     `json:"accessKeyId"`
	UserName    string     `json:"userName"`
	ARN         string     `json:"arn"`
	Rotating    bool       `json:"rotating,omitempty"` // the key is being rotated
	Revoked     bool       `json:"revoked,omitempty"`  // nothing is made of the key
	Keys        []KeyState `json:"keys"`               // both places of the user, in IAM's order
	// Services are those that the user has used, by whatever key or session,
	// the last used first.
	Services []ServiceUse `json:"services"`
	// Events are what was done with the key itself since EventsSince, by
	// CloudTrail in the Regions named, the newest first. What was done with
	// sessions of the key stands under their own IDs, and is not there.
	Events      []EventGroup `json:"events"`
	EventsSince time.Time    `json:"eventsSince"`
	Regions     []string     `json:"regions"`
	// Cut are the Regions that have more events than were read: the older ones
	// are missing.
	Cut  []string   `json:"cut"`
	Gaps []UsageGap `json:"gaps"`
}

// Lacks reports whether a part could not be told, or not all of it.
func (u Usage) Lacks(part string) bool {
	return slices.ContainsFunc(u.Gaps, func(g UsageGap) bool { return g.Part == part })
}

// ServiceUse is a service of AWS that a user has used.
type ServiceUse struct {
	Namespace   string    `json:"namespace"` // as in "s3"
	ServiceName string    `json:"serviceName"`
	LastUsed    time.Time `json:"lastUsed"`
	Region      string    `json:"region,omitempty"`
}

// EventGroup is the events of one key that have everything in common but their time.
type EventGroup struct {
	EventSource string    `json:"eventSource"` // as in "s3.amazonaws.com"
	EventName   string    `json:"eventName"`
	SourceIP    string    `json:"sourceIpAddress"`
	UserAgent   string    `json:"userAgent"`
	Region      string    `json:"region"`
	Count       int       `json:"count"`
	Refused     int       `json:"refused"` // of Count: AWS said no
	First       time.Time `json:"first"`
	Last        time.Time `json:"last"`
}

// The parts of a Usage.
const (
	PartKeys     = "keys"
	PartLastUsed = "last-used"
	PartServices = "services"
	PartEvents   = "events"
)

// UsageGap is a part of a Usage that could not be told.
type UsageGap struct {
	Part   string `json:"part"`
	Region string `json:"region,omitempty"` // of events
	// Permission is the action that is not allowed, as in "iam:ListAccessKeys";
	// empty if that is not why.
	Permission string `json:"permission,omitempty"`
	Error      Error  `json:"error"`
}

// ServicesUsedParams has a worker fetch IAM's report on the services that a user
// has used.
type ServicesUsedParams struct {
	IAMParams
	ARN string `json:"arn"` // of the user
}

// ServicesUsed is that report, in IAM's order.
type ServicesUsed struct {
	Services []ServiceUse `json:"services"`
	// Unread says why a report that IAM has begun could not be read; nil: it was.
	Unread *Error `json:"unread,omitempty"`
}
