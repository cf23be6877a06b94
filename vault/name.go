// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"encoding/hex"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// Prefix begins the name of each item of ours. The number is the version of
// the record inside.
const Prefix = "broker.v1."

// itemName is deliberately narrow: a name becomes a file name, a D-Bus
// attribute and a label, and this is safe as each.
var itemName = regexp.MustCompile(`^broker\.v1\.[0-9a-f]{32}$`)

// NewName returns a name that was never used before: Prefix and 128 bits of
// random, which is crypto/rand.Reader outside tests. Nobody can plant an item
// under a name that cannot be guessed.
func NewName(random io.Reader) (string, error) {
	var bits [16]byte
	if _, err := io.ReadFull(random, bits[:]); err != nil {
		return "", fmt.Errorf("name an item: %w", err)
	}
	return Prefix + hex.EncodeToString(bits[:]), nil
}

// ValidName reports whether name is one that NewName can return.
func ValidName(name string) bool { return itemName.MatchString(name) }

// Ours reports whether name is in our name space, valid or not.
func Ours(name string) bool { return strings.HasPrefix(name, Prefix) }

// profileName is what AWS config files can spell: the section is dropped by
// SDKs when its name has any other character.
var profileName = regexp.MustCompile(`^[A-Za-z0-9_/.%@:+-]{1,128}$`)

// keyID and keySecret are the shapes of a long-lived key. AWS documents 16 to
// 128 characters for the ID and none for the secret, which has always had 40.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKey.html
var (
	keyID     = regexp.MustCompile(`^AKIA[A-Z0-9]{12,124}$`)
	tempID    = regexp.MustCompile(`^ASIA[A-Z0-9]{12,124}$`)
	keySecret = regexp.MustCompile(`^[A-Za-z0-9/+=]{40}$`)
)
