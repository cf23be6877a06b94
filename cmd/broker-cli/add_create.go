// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"slices"

	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// create has a new key made at IAM and stored, without anybody having seen it.
// broker goes on by itself if this program ends, and the same command shows how
// far it is.
func (a *app) create(ctx context.Context, o addOptions) error {
	params := ipc.CreateParams{Profile: o.profile, Using: o.using, UserName: o.user, SerialNumber: o.mfaSerial, NoMFA: o.noMFA}
	raw, err := a.converseRotation(ctx, ipc.OpCreate, params, o.json)
	if err != nil {
		return err
	}
	var made ipc.Rotation
	if json.Unmarshal(raw, &made) != nil {
		return client.Errorf(ipc.CodeProtocol, "the daemon's answer to add --create cannot be read")
	}
	var list ipc.KeyList
	if err := a.Call(ctx, ipc.OpList, nil, &list); err != nil {
		return err
	}
	i := slices.IndexFunc(list.Keys, func(k ipc.Key) bool { return k.Profile == o.profile && k.AccessKeyID == made.New })
	if i < 0 {
		return client.Errorf(ipc.CodeNoKey, "key %s of IAM user %s is made, and profile %s does not have it any more", made.New, made.UserName, o.profile)
	}
	if !o.json {
		a.printf("made %s for IAM user %s\n", made.New, made.UserName)
	}
	return a.added(ctx, o, list.Keys[i])
}
