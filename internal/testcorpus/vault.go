// SPDX-License-Identifier: Apache-2.0

package testcorpus

// Key is a key in the vault of the corpus.
type Key struct {
	Profile string
	User    string // of the pretend account
	MFA     bool   // the key has a device; without, it was added with --no-mfa
}

// longName is the longest name that broker takes, of 128 bytes.
const longName = "a-very-long-name-that-a-generator-made-of-organisation-unit-account-and-role-000000000-000000000-000000000-000000000-00000000000"

// Vault returns the keys that are stored when the files of a set are wired.
// Users have one key each, so some are stored under two profiles.
func Vault() []Key {
	return []Key{
		{"dev", "ann", true},
		{"ops", "bob", true},
		{"base", "ann", false},
		{"Dev", "bob", false},
		{"default", "eve", false},
		{"team/prod.eu-1_x@acme:2+3%4", "eve", false},
		{longName, "ann", false},
	}
}

// Stored returns the profiles of Vault.
func Stored() []string {
	var names []string
	for _, k := range Vault() {
		names = append(names, k.Profile)
	}
	return names
}
