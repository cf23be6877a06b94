// SPDX-License-Identifier: Apache-2.0

package client

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

func TestForeign(t *testing.T) {
	const identity = "         0          0 4294967295\n"
	machine := map[string]string{
		"proc/self/ns/ipc": initialIPC, "proc/self/ns/uts": initialUTS,
		"proc/self/ns/user": initialUser, "proc/self/ns/cgroup": initialCgroup,
	}
	container := map[string]string{
		"proc/self/ns/ipc": "ipc:[4026532001]", "proc/self/ns/uts": "uts:[4026532002]",
		"proc/self/ns/user": initialUser, "proc/self/ns/cgroup": initialCgroup,
	}
	for _, test := range []struct {
		Name  string
		files fstest.MapFS
		links map[string]string
		want  string
	}{
		{"a machine", fstest.MapFS{"proc/self/uid_map": file(identity)}, machine, ""},
		{"a machine booted from an image", fstest.MapFS{"proc/self/uid_map": file(identity), ".dockerenv": file("")}, machine, ""},
		{"namespaces without a marker", fstest.MapFS{"proc/self/uid_map": file(identity)}, container, ""},
		{"docker", fstest.MapFS{"proc/self/uid_map": file(identity), ".dockerenv": file("")}, container, "container"},
		{"podman", fstest.MapFS{"proc/self/uid_map": file(identity), "run/.containerenv": file("")}, container, "container"},
		{"namespaces that cannot be read", fstest.MapFS{"run/systemd/container": file("lxc")}, nil, "container"},
		{"rootless", fstest.MapFS{"proc/self/uid_map": file("0 1000 1\n1 100000 65536\n")}, machine, "user namespace"},
		{"unshare -Ur", fstest.MapFS{"proc/self/uid_map": file("         0       1000          1\n")}, machine, "user namespace"},
		{"flatpak", fstest.MapFS{".flatpak-info": file("[Application]")}, machine, "Flatpak"},
	} {
		t.Run(test.Name, func(t *testing.T) {
			got := Foreign(test.files, func(name string) (string, error) {
				if to, ok := test.links[name]; ok {
					return to, nil
				}
				return "", fs.ErrNotExist
			})
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("foreign() = %q, want it to name %q", got, test.want)
			}
		})
	}
}

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text), Mode: 0o644} }
