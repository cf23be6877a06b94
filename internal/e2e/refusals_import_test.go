// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import "path/filepath"

// imports is what keeps import from taking a key, or from having anything to
// take. The source is as it was, and so is the vault.
func (s *scene) imports() {
	s.initialise()
	s.awsConfig("[profile dev]\nregion = eu-west-1\n")
	s.plaintext(map[string]string{"dev": "ann"})
	s.must(s.run("broker", "import"))
	whole := s.readFile(s.credentialsFile())
	pair := func(user, secretOf string) string {
		return "[new]\naws_access_key_id = " + s.user(user).AccessKeys[0].AccessKeyID + "\naws_secret_access_key = " + s.user(secretOf).AccessKeys[0].SecretAccessKey + "\n"
	}
	says := func(name, code, text string, args ...string) cause {
		call := func() result { return s.run("broker", append([]string{"import"}, args...)...) }
		return cause{
			name: name + " (import)", code: code, keep: true, call: call,
			do: func() { overwrite(s.t, s.credentialsFile(), text) },
			undo: func() {
				if now := s.readFile(s.credentialsFile()); now != text {
					s.t.Errorf("%s: the credentials file is\n%s", name, now)
				}
				overwrite(s.t, s.credentialsFile(), whole)
			},
			again: func() result { return s.run("broker", "import") },
		}
	}
	s.play(
		says("another key than the vault's", "key_exists", "[dev]\n"+pair("eve", "eve")[len("[new]\n"):], "--delete-source"),
		says("key that AWS does not take", "aws_key_unknown", pair("dan", "dan")),
		says("secret of another key", "aws_secret", pair("eve", "ann")),
		says("key of the root user", "key_invalid", pair("root", "root")),
		says("several MFA devices", "mfa_unknown", pair("bob", "bob")),
		says("no MFA device", "mfa_unknown", pair("eve", "eve")),
		says("only a passkey", "mfa_passkey", pair("cleo", "cleo")),
		says("profile without a key", "no_key", whole, "other"),
		says("unknown source", "usage", whole, "--from", "wallet"),
		says("wired while its key is in the file", "usage", whole, "--wire"),
		says("no key in the environment", "key_invalid", whole, "--from", "env", "dev"),
		says("file broken", "config_broken", "[dev\n"),
	)
	config := filepath.Join(s.home, ".aws", "config")
	s.play(cause{
		name: "other files than brokerd's (import)", code: "refused", keep: true,
		call: func() result {
			cmd := s.command("broker", "import", "--delete-source", "--wire")
			cmd.Env = append(cmd.Env, "AWS_CONFIG_FILE="+config+".mine")
			return s.finish(cmd)
		},
		again: func() result { return s.run("broker", "import") },
	})
}
