// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"credbroker/internal/testtracer"
)

// wire is what keeps a profile from being wired: in the profile, in the files,
// and in who else writes them.
func (s *scene) wire() {
	s.initialise()
	s.add("dev", "ann", "--no-mfa")
	const dev = "[profile dev]\nregion = eu-west-1\n"
	s.awsConfig(dev)
	var profile string
	call := func() result { return s.run("broker", "wire", profile) }
	again := func() result {
		s.must(s.run("broker", "wire", "dev"))
		return s.run("broker", "unwire", "dev")
	}
	says := func(name, code, of, text string) cause {
		return cause{
			name: name + " (wire)", code: code, keep: true, call: call, again: again,
			do:   func() { profile = of; s.awsConfig(dev + text) },
			undo: func() { s.awsConfig(dev) },
		}
	}
	credentials := filepath.Join(s.home, ".aws", "credentials")
	s.play(
		says("file broken", "config_broken", "dev", "[profile other\n"),
		says("section twice, which botocore refuses", "config_broken", "dev", "[profile dev]\n"),
		says("another key in the config", "refused", "dev", "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = not-the-secret\n"),
		says("source in [DEFAULT]", "profile_invalid", "dev", "[DEFAULT]\nmfa_serial = arn:aws:iam::111122223333:mfa/ann\n"),
		says("key in the file and not stored", "no_key", "work", "[profile work]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = not-the-secret\n"),
		says("no key is stored", "no_key", "work", "[profile work]\nregion = eu-west-1\n"),
		says("signs in with SSO", "unsupported", "work", "[profile work]\nsso_session = corp\nsso_account_id = 111122223333\nsso_role_name = dev\n[sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://corp.example.com\n"),
		says("unknown, with a near name", "no_profile", "deve", "[profile devel]\n"),
		cause{
			name: "stored key in the credentials file too (wire)", code: "refused", keep: true, call: call, again: again,
			do: func() {
				profile = "dev"
				key := s.user("ann").AccessKeys[0]
				s.writeAWSFile("credentials", "[dev]\naws_access_key_id = "+key.AccessKeyID+"\naws_secret_access_key = "+key.SecretAccessKey+"\n")
			},
			undo: func() { _ = os.Remove(credentials) },
		},
	)
	s.play(s.wireFiles()...)
}

// wireFiles is what can be wrong with the file that is to be written.
func (s *scene) wireFiles() []cause {
	config := filepath.Join(s.home, ".aws", "config")
	wire := func() result { return s.run("broker", "wire", "dev") }
	again := func() result {
		s.must(wire())
		return s.run("broker", "unwire", "dev")
	}
	dir := filepath.Dir(config)
	return []cause{
		{
			name: "read-only folder (wire)", code: "read_only", keep: true, root: true, call: wire, again: again,
			do: func() {
				if err := syscall.Mount(dir, dir, "", syscall.MS_BIND, ""); err != nil {
					s.t.Fatal(err)
				}
				remount(s.t, dir, syscall.MS_RDONLY)
			},
			undo: func() {
				if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
					s.t.Fatal(err)
				}
			},
		},
		{
			name: "the file keeps changing (wire)", code: "config_unwritable", keep: true, again: again,
			call: func() result {
				// Somebody writes it whenever the new file is on the disk.
				n := 0
				r, _ := s.startTraced(s.command("broker", "wire", "dev"), testtracer.Options{
					Below: []string{dir}, Strike: func(c testtracer.Call) testtracer.Strike {
						if n++; c.Name == "fsync" {
							_ = os.WriteFile(config, fmt.Appendf(nil, "[profile dev]\n# %d\n", n), 0o600) // else wire succeeds
						}
						return testtracer.Strike{}
					},
				}).wait()
				r.line = "broker wire dev"
				return r
			},
			undo: func() { s.awsConfig("[profile dev]\nregion = eu-west-1\n") },
		},
		{
			name: "not the files of brokerd (wire)", code: "refused", keep: true, again: again,
			call: func() result {
				cmd := s.command("broker", "wire", "dev")
				cmd.Env = append(cmd.Env, "AWS_CONFIG_FILE="+filepath.Join(s.dir, "other"))
				return s.finish(cmd)
			},
		},
	}
}
