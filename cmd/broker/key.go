// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"

	"credbroker/internal/ipc"
	"credbroker/internal/secret"
)

// keyPair is a long-lived access key on its way from the user to a worker.
type keyPair struct {
	AccessKeyID     string
	SecretAccessKey secret.String
}

// Forms of access keys. AWS promises 16 to 128 characters for the ID and
// nothing for the secret; every secret it has issued has 40.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKey.html
var (
	longLivedForm = regexp.MustCompile(`^AKIA[A-Z0-9]{12,124}$`)
	temporaryForm = regexp.MustCompile(`^ASIA[A-Z0-9]{12,124}$`)
	secretForm    = regexp.MustCompile(`^[A-Za-z0-9/+=]{40}$`)
)

// check refuses an access key ID that is none, before the daemon is told of
// it: what stands in its place may be the secret, so it is not repeated
// either. The secret itself is checked by the worker, which is the one to see
// it.
func (k keyPair) check() error {
	id := k.AccessKeyID
	switch {
	case longLivedForm.MatchString(id) && k.SecretAccessKey.IsZero():
		return keyInvalid("the secret access key of "+id+" is missing", "give the ID on the first line and the secret on the second")
	case longLivedForm.MatchString(id):
		return nil
	case temporaryForm.MatchString(id):
		return keyInvalid(id+" is a temporary key, which ends by itself", "use a long-lived key of an IAM user: its ID begins with AKIA")
	case secretForm.MatchString(id):
		return keyInvalid("the access key ID and the secret access key are swapped", "give the ID first, the one that begins with AKIA")
	case id == "":
		return keyInvalid("the access key ID is missing", "give the ID first, the one that begins with AKIA")
	}
	return keyInvalid("the access key ID is malformed", "it begins with AKIA and has 20 capital letters and digits")
}

func keyInvalid(message, hint string) error {
	return &ipc.Error{Code: ipc.CodeKeyInvalid, Message: message, Hint: hint}
}
