// SPDX-License-Identifier: Apache-2.0

//go:build linux

package keychain

import (
	"errors"
	"strings"
	"testing"

	"github.com/godbus/dbus"

	"credbroker/vault"
)

// F20: the keyring ends after it was asked, and before it answers. The user reads
// that, and not what the bus calls it.
func TestF20KeyringEndsBeforeItAnswers(t *testing.T) {
	said := dbus.Error{Name: noReply, Body: []any{"Message recipient disconnected from message bus without replying"}}
	if err := busError("ask the keyring (Prompt)", said); !errors.Is(err, vault.ErrGone) || !strings.HasSuffix(err.Error(), "the keyring went away") {
		t.Errorf("%v, want ErrGone", err)
	}
}
