// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"fmt"
	"strings"

	"credbroker/internal/ipc"
)

// put stores a key that the user brings. Until AWS has said whose it is,
// nothing is written.
func (w *Worker) put(ctx context.Context, p ipc.PutParams) (any, error) {
	if err := checkPut(p); err != nil {
		return nil, err
	}
	r := Record{
		Item: p.Item, Profile: p.Profile, AccessKeyID: p.AccessKeyID, SecretAccessKey: p.SecretAccessKey,
		StoredAt: w.o.Now(), MFA: p.MFAChoice,
	}
	result := ipc.PutResult{Devices: []ipc.MFADevice{}}
	if !p.NoVerify {
		id, err := w.identify(ctx, p.AWS, r)
		if err != nil {
			return nil, elsewhere(p.AWS, err)
		}
		if err := checkOwner(p.AccessKeyID, id); err != nil {
			return nil, err
		}
		result.Identity, r.AccountID, r.ARN = id, id.AccountID, id.ARN
		devices, err := w.devices(ctx, p.AWS, r, id.UserName)
		if err != nil {
			result.DevicesError = wire(err)
		} else {
			result.Devices = devices
		}
	}
	store, err := w.open(ctx, p.Store, false)
	if err == nil {
		err = store.Put(ctx, r)
	}
	if err != nil {
		return nil, fmt.Errorf("store key %s of profile %s: %w", p.AccessKeyID, p.Profile, err)
	}
	return result, nil
}

// elsewhere adds to a key that AWS does not know what only the user can: it may
// be one of another partition, of which nobody has told broker yet.
func elsewhere(asked ipc.AWS, err error) error {
	e := wire(err)
	if e.Code != ipc.CodeAWSKeyUnknown || asked.Partition != "" || e.Hint != "" {
		return err
	}
	out := *e
	out.Hint = "it may be inactive or deleted: look in the IAM console; if it is a key of China or GovCloud, set region in the profile first"
	return &out
}

// checkPut refuses what cannot be a long-lived key. A field that does not look
// as it should is not repeated: it may be the secret, in the wrong place.
func checkPut(p ipc.PutParams) error {
	id, hint := p.AccessKeyID, "an access key ID begins with AKIA and a secret access key has 40 characters: copy both again"
	problem := ""
	switch {
	case !profileName.MatchString(p.Profile):
		problem, hint = "the profile's name is not one that AWS config files can have", "use letters, digits and any of _ - / . % @ : +"
	case keySecret.MatchString(id) && keyID.MatchString(p.SecretAccessKey.Reveal()):
		problem, hint = "the access key ID and the secret access key are swapped", "give the ID first, the one that begins with AKIA"
	case tempID.MatchString(id):
		problem, hint = id+" is a temporary key, which ends by itself", "use a long-lived key of an IAM user: its ID begins with AKIA"
	case !keyID.MatchString(id):
		problem = "the access key ID is malformed"
	case !keySecret.MatchString(p.SecretAccessKey.Reveal()):
		problem = "the secret access key of " + id + " is malformed"
	}
	if problem == "" {
		return nil
	}
	return &ipc.Error{Code: ipc.CodeKeyInvalid, Message: "store a key: " + problem, Hint: hint}
}

// checkOwner refuses keys that are not an IAM user's.
func checkOwner(accessKeyID string, id ipc.Identity) error {
	parts := strings.SplitN(id.ARN, ":", 6)
	switch {
	case len(parts) == 6 && parts[5] == "root":
		return &ipc.Error{
			Code:    ipc.CodeKeyInvalid,
			Message: fmt.Sprintf("store key %s: it belongs to the root user of account %s", accessKeyID, id.AccountID),
			Hint:    "delete it in the console, and use a key of an IAM user: a root key cannot be limited",
		}
	case len(parts) != 6 || !strings.HasPrefix(parts[5], "user/"):
		return &ipc.Error{
			Code:    ipc.CodeKeyInvalid,
			Message: fmt.Sprintf("store key %s: its owner is no IAM user", accessKeyID),
			Hint:    "use a long-lived key of an IAM user",
		}
	}
	return nil
}
