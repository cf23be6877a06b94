// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/urfave/cli/v2"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// recoverResult is the JSON of broker recover.
type recoverResult struct {
	Keys    []ipc.Key     `json:"keys"`    // the index now
	Skipped []skippedItem `json:"skipped"` // items that are in the store and not in the index
}

// skippedItem is an item that did not come back, and why.
type skippedItem struct {
	Item        string     `json:"item"`
	Profile     string     `json:"profile,omitempty"`
	AccessKeyID string     `json:"accessKeyId,omitempty"`
	Error       *ipc.Error `json:"error"`
}

func newRecoverCommand(a *app) *cli.Command {
	return &cli.Command{
		Name:      "recover",
		Usage:     "rebuild the index of keys from the store",
		UsageText: "broker recover [--json]",
		Description: about(`Reads every item of broker's own in the store, asks AWS whose key it is, and
writes the index anew. Nothing in the store changes; and if it holds no key that
can be read, an index that names some stays as it is.`, "broker recover"),
		Flags: []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := a.noWords(c); err != nil {
				return err
			}
			return a.recover(c.Context, c.Bool("json"))
		},
	}
}

func (a *app) recover(ctx context.Context, asJSON bool) error {
	params, err := a.recoverParams()
	if err != nil {
		return err
	}
	var found ipc.RecoverResult
	err = a.Unlocked(ctx, func() error { return a.vault(ctx, params.Store, ipc.OpRecover, params, &found) })
	if err != nil {
		return err
	}
	config, err := a.AWSConfig()
	if err != nil {
		return err
	}
	keep, skipped := sift(found.Keys)
	restore := ipc.RestoreParams{Keys: []ipc.AdoptParams{}}
	for _, key := range keep {
		restore.Keys = append(restore.Keys, restored(key, config))
	}
	var list ipc.KeyList
	if err := a.Call(ctx, ipc.OpRestore, restore, &list); err != nil {
		printSkipped(a.Stderr, "broker: ", skipped)
		return err
	}
	if asJSON {
		return a.printJSON(recoverResult{Keys: list.Keys, Skipped: skipped})
	}
	a.printRecovered(list.Keys, skipped)
	return nil
}

// recoverParams names the store and the way to AWS from broker's own config:
// the daemon that usually says so has lost its index.
func (a *app) recoverParams() (ipc.RecoverParams, error) {
	p, err := a.Places()
	if err != nil {
		return ipc.RecoverParams{}, err
	}
	s, err := awsconfig.LoadSettings(p.ConfigFile)
	if err != nil {
		return ipc.RecoverParams{}, err
	}
	if s.Vault.Backend == "" {
		return ipc.RecoverParams{}, client.Errorf(ipc.CodeNotInitialised, "broker has no vault yet")
	}
	return ipc.RecoverParams{Store: a.Store(s.Vault, p), AWS: ipc.AWS{
		Region:         client.OrText(s.AWS.Region, "us-east-1"),
		STSEndpointURL: client.OrText(s.AWS.STSEndpointURL, s.AWS.EndpointURL),
		IAMEndpointURL: client.OrText(s.AWS.IAMEndpointURL, s.AWS.EndpointURL),
		CABundle:       s.AWS.CABundle,
		HTTPSProxy:     s.AWS.HTTPSProxy,
	}}, nil
}

// sift chooses the items that make the index: of each profile the one stored
// last, of those that AWS has confirmed if there are such: in the middle of a
// rotation there are two. An item comes back although AWS did not confirm it, unless it cannot
// be read or AWS says that the key is gone.
func sift(found []ipc.RecoveredKey) (keep []ipc.RecoveredKey, skipped []skippedItem) {
	newest := map[string]ipc.RecoveredKey{}
	skipped = []skippedItem{}
	skip := func(k ipc.RecoveredKey, why *ipc.Error) {
		skipped = append(skipped, skippedItem{k.Item, k.Profile, k.AccessKeyID, why})
	}
	older := &ipc.Error{Code: ipc.CodeKeyExists, Message: "a newer key is stored for the profile"}
	for _, k := range found {
		if !usable(k) {
			skip(k, k.Error)
			continue
		}
		switch other, ok := newest[k.Profile]; {
		case !ok:
			newest[k.Profile] = k
		case other.Error == nil && k.Error != nil:
			skip(k, k.Error)
		case k.Error == nil && other.Error != nil:
			newest[k.Profile] = k
			skip(other, other.Error)
		case k.StoredAt.After(other.StoredAt):
			newest[k.Profile] = k
			skip(other, older)
		default:
			skip(k, older)
		}
	}
	for _, profile := range slices.Sorted(maps.Keys(newest)) {
		keep = append(keep, newest[profile])
	}
	return keep, skipped
}

// usable reports whether an item is a key that may work.
func usable(k ipc.RecoveredKey) bool {
	if k.Profile == "" || k.AccessKeyID == "" {
		return false
	}
	return k.Error == nil || !slices.Contains([]ipc.Code{ipc.CodeAWSKeyUnknown, ipc.CodeAWSSecret, ipc.CodeKeychainCorrupt}, k.Error.Code)
}

// restored is the index entry of a recovered key. Its MFA device is what the
// user said when the key was stored, else what the AWS config names, else the
// user's only one.
func restored(k ipc.RecoveredKey, config *awsconfig.Config) ipc.AdoptParams {
	serial := k.SerialNumber
	if profile, ok := config.Profile(k.Profile); ok && serial == "" {
		serial = profile.Get("mfa_serial")
	}
	if devices, _ := sortDevices(k.Devices); serial == "" && len(devices) == 1 {
		serial = devices[0]
	}
	if k.NoMFA {
		serial = ""
	}
	return ipc.AdoptParams{
		Item: k.Item, Profile: k.Profile, AccessKeyID: k.AccessKeyID,
		KeyDetails: ipc.KeyDetails{
			AccountID: k.Identity.AccountID, ARN: k.Identity.ARN, UserName: k.Identity.UserName,
			SerialNumber: serial, NoMFA: k.NoMFA,
		},
	}
}

func (a *app) printRecovered(keys []ipc.Key, skipped []skippedItem) {
	for _, k := range keys {
		a.printf("recovered %s of %s for profile %s\n", k.AccessKeyID, client.OrText(k.ARN, "an unknown owner"), k.Profile)
		if k.SerialNumber == "" && !k.NoMFA {
			a.printf("  its MFA device is not known: store it again with --mfa-serial if AWS asks for a code\n")
		}
	}
	printSkipped(a.Stdout, "", skipped)
	if len(keys) == 0 {
		a.printf("the store holds no key\nnext: %s\n", a.firstKey())
		return
	}
	a.printf("next: broker status\n")
}

func printSkipped(w io.Writer, prefix string, skipped []skippedItem) {
	for _, s := range skipped {
		text := fmt.Sprintf("left out %s (%s): %s", s.Item, client.OrText(s.AccessKeyID, "unreadable"), s.Error.Message)
		fmt.Fprintf(w, "%s%s\n", prefix, client.Printable(text))
	}
}
