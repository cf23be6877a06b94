// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"credbroker/internal/ipc"
	"credbroker/internal/secret"
)

// keyPair is a long-lived access key on its way from the user to a worker.
type keyPair struct {
	AccessKeyID     string
	SecretAccessKey secret.String
}

// Forms of access keys. AWS promises 16 to 128 characters for the ID and
// nothing for the secret; every secret it has issued has 40. They are functions
// because a regexp would be compiled at every start of the helper.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKey.html
const (
	upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digit = "0123456789"
)

func isKeyID(text, prefix string) bool {
	return strings.HasPrefix(text, prefix) && len(text) >= 16 && len(text) <= 128 && strings.Trim(text, upper+digit) == ""
}

func looksSecret(text string) bool {
	return len(text) == 40 && strings.Trim(text, upper+"abcdefghijklmnopqrstuvwxyz"+digit+"/+=") == ""
}

// unseen stands for a secret that was not read yet, for check.
func unseen() secret.String { return secret.New("unseen") }

// check refuses an access key ID that is none, before the daemon is told of
// it: what stands in its place may be the secret, so it is not repeated
// either. The secret itself is checked by the worker, which is the one to see
// it.
func (k keyPair) check() error {
	id := k.AccessKeyID
	switch {
	case isKeyID(id, "AKIA") && k.SecretAccessKey.IsZero():
		return keyInvalid("the secret access key of "+id+" is missing", "give both halves of the key")
	case isKeyID(id, "AKIA"):
		return nil
	case isKeyID(id, "ASIA"):
		return keyInvalid(id+" is a temporary key, which ends by itself", "use a long-lived key of an IAM user: its ID begins with AKIA")
	case looksSecret(id):
		return keyInvalid("the access key ID and the secret access key are swapped", "give the ID first, the one that begins with AKIA")
	case id == "":
		return keyInvalid("the access key ID is missing", "give the ID first, the one that begins with AKIA")
	}
	return keyInvalid("the access key ID is malformed", "it begins with AKIA and has 20 capital letters and digits")
}

func keyInvalid(message, hint string) error {
	return &ipc.Error{Code: ipc.CodeKeyInvalid, Message: message, Hint: hint}
}
