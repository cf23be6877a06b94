// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"credbroker/internal/client"
	"credbroker/internal/ipc"
)

// device settles which MFA device a key is used with, before the key enters
// the index: the flag, the AWS config's mfa_serial, the user's only device, the
// user's choice. "" is right only with --no-mfa.
func (a *app) device(ctx context.Context, n newKey, configured string, stored ipc.PutResult) (string, error) {
	user := "user " + stored.Identity.UserName // where AWS was asked
	known := !n.noVerify && stored.DevicesError == nil
	usable, passkeys := sortDevices(stored.Devices)
	switch {
	case n.noMFA:
		return "", nil
	case n.mfaSerial != "":
		return n.mfaSerial, checkDevice("--mfa-serial", n.mfaSerial, usable, known)
	case configured != "":
		return configured, checkDevice("mfa_serial of the AWS config", configured, usable, known)
	case !known:
		return "", unknownDevices(stored.DevicesError, n.again)
	case len(usable) == 1:
		return usable[0], nil
	case len(usable) > 1:
		return chooseDevice(ctx, n, user, usable)
	case len(passkeys) > 0:
		err := client.Errorf(ipc.CodeMFAPasskey, "the only MFA device of %s is a passkey, for which AWS has no codes: %s", user, strings.Join(passkeys, ", "))
		err.Hint = "add a virtual MFA device beside the passkey, then try again: " + n.again
		return "", err
	}
	return "", &ipc.Error{
		Code:    ipc.CodeMFAUnknown,
		Message: user + " has no MFA device",
		Hint:    "assign one in the IAM console, or make sessions without: " + n.again + " --no-mfa",
	}
}

// sortDevices splits devices into those whose codes STS accepts and passkeys.
func sortDevices(devices []ipc.MFADevice) (usable, passkeys []string) {
	for _, d := range devices {
		if isPasskey(d.SerialNumber) {
			passkeys = append(passkeys, d.SerialNumber)
		} else {
			usable = append(usable, d.SerialNumber)
		}
	}
	slices.Sort(usable)
	return usable, passkeys
}

// checkDevice refuses a serial number that is not one of the user's, where
// AWS has told which are: it could only fail later, with a code spent.
func checkDevice(where, serial string, usable []string, known bool) error {
	if isPasskey(serial) {
		return client.Errorf(ipc.CodeMFAPasskey, "%s is a passkey, for which AWS has no codes", serial)
	}
	if !known || slices.Contains(usable, serial) {
		return nil
	}
	hint := "give the serial number of one of them with --mfa-serial"
	if len(usable) == 0 {
		hint = "assign one in the IAM console, or make sessions without: --no-mfa"
	}
	return &ipc.Error{
		Code:    ipc.CodeMFASerial,
		Message: fmt.Sprintf("%s: %s is no MFA device of the key's user, who has %s", where, serial, client.OrText(strings.Join(usable, ", "), "none")),
		Hint:    hint,
	}
}

func unknownDevices(cause *ipc.Error, again string) error {
	message := "the MFA devices of the user are not known"
	if cause != nil {
		message += ": " + cause.Message
	}
	return &ipc.Error{Code: ipc.CodeMFAUnknown, Message: message, Hint: "name the device, or say --no-mfa: " + again + " --mfa-serial ARN"}
}

func chooseDevice(ctx context.Context, n newKey, user string, usable []string) (string, error) {
	i, err := choose(ctx, "Which MFA device do you use for profile "+n.profile+"?", usable)
	if errors.Is(err, client.ErrNoTerminal) {
		return "", &ipc.Error{
			Code:    ipc.CodeMFAUnknown,
			Message: user + " has several MFA devices: " + strings.Join(usable, ", "),
			Hint:    "choose one: " + n.again + " --mfa-serial ARN",
		}
	}
	if err != nil {
		return "", err
	}
	return usable[i], nil
}
