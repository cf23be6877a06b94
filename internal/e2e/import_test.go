// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func (w *world) credentialsFile() string { return filepath.Join(w.home, ".aws", "credentials") }

// plaintext writes ~/.aws/credentials with the first keys of users, by profile,
// as they lie there on many a machine. It returns what the file is without them.
func (w *world) plaintext(profiles map[string]string) (without string) {
	w.t.Helper()
	text := "# keys\r\n"
	without = text
	for _, profile := range slices.Sorted(maps.Keys(profiles)) {
		key := w.user(profiles[profile]).AccessKeys[0]
		head, tail := "["+profile+"]\r\n", "; of "+profile+"\r\noutput = json\r\n"
		text += head + "aws_access_key_id = " + key.AccessKeyID + "\r\naws_secret_access_key = " + key.SecretAccessKey + "\r\n" + tail
		without += head + tail
	}
	overwrite(w.t, w.credentialsFile(), text)
	return without
}

func (w *world) readFile(path string) string {
	w.t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(data)
}

// items counts what the file vault holds.
func (w *world) items() int {
	w.t.Helper()
	found, err := filepath.Glob(filepath.Join(w.home, ".local", "state", "broker", "vault", "broker.v1.*"))
	if err != nil {
		w.t.Fatal(err)
	}
	return len(found)
}

// TestImportStruckHalfWay: whatever happens when one key is stored and the next
// is on its way, the file keeps every key until all are in the vault, what was
// stored works, and a second run takes the rest.
func TestImportStruckHalfWay(t *testing.T) {
	t.Parallel()
	const interrupted = 130
	for name, strike := range map[string]struct {
		do      func(w *world, run *background, release func())
		status  []int // any of them; 0 is an import that went on to its end
		orphans int   // items that only broker recover would find
	}{
		"interrupted": {func(w *world, run *background, release func()) {
			w.signal(run.Process.Pid, syscall.SIGINT)
			run.wait()
			release()
		}, []int{interrupted}, 0},
		"AWS down": {func(w *world, _ *background, release func()) {
			w.set("fail.GetCallerIdentity=503")
			release()
		}, []int{8}, 0},
		"daemon killed": {func(w *world, _ *background, release func()) {
			w.killDaemon()
			release()
		}, []int{0}, 0},
		"both killed": {func(w *world, run *background, release func()) {
			w.signal(run.Process.Pid, syscall.SIGKILL)
			w.killDaemon()
			release()
		}, []int{-1}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, held, release := slowVaultWorld(t)
			overwrite(t, filepath.Join(w.bin, "hold"), w.user("bob").AccessKeys[0].AccessKeyID+`","noMfa":true`) // its put, not its deletion
			without := w.plaintext(map[string]string{"a": "eve", "b": "bob", "c": "ann"})
			before := w.readFile(w.credentialsFile())

			run := w.start("broker", "import", "a", "b", "c", "--no-mfa", "--delete-source")
			held()
			strike.do(w, run, release)
			r := run.wait()
			if !slices.Contains(strike.status, r.status) {
				t.Errorf("exit status %d, want %v; stdout %s, stderr %s", r.status, strike.status, r.stdout, r.stderr)
			}
			if r.status == 0 {
				before = without
			} else if keys := w.keys(); keys["a"] == "" || keys["c"] != "" {
				t.Errorf("stored are %v", keys)
			}
			if now := w.readFile(w.credentialsFile()); now != before {
				t.Errorf("the file is\n%s", now)
			}
			w.credentials("a")

			w.set("fail.GetCallerIdentity=none")
			if r.status != 0 {
				w.must(w.run("broker", "import", "a", "b", "c", "--no-mfa", "--delete-source"))
			}
			if now := w.readFile(w.credentialsFile()); r.status != 0 && now != without {
				t.Errorf("after the second run the file is\n%s", now)
			}
			for _, profile := range []string{"a", "b", "c"} {
				w.credentials(profile)
			}
			if n := w.items(); n > 3+strike.orphans {
				t.Errorf("%d items in the vault", n)
			}
		})
	}
}

// TestF24ImportOnAFullDisk: keys that cannot be taken out of a file stay there
// whole, and no copy of them lies beside it.
func TestF24ImportOnAFullDisk(t *testing.T) {
	t.Parallel()
	needRoot(t)
	w := newWorld(t)
	w.initialise()
	dir := filepath.Join(w.home, ".aws")
	mount(t, "tmpfs", dir, "tmpfs", 0, "size=64k,mode=0700")
	without := w.plaintext(map[string]string{"dev": "eve"})
	before := w.readFile(w.credentialsFile())
	room := full(t, dir)
	r := w.run("broker", "import", "dev", "--no-mfa", "--delete-source")
	if r.status != 1 || !strings.Contains(r.stderr, "no space left on device") || !strings.Contains(r.stderr, "\nbroker: hint: ") {
		t.Errorf("status %d, stderr %q", r.status, r.stderr)
	}
	if now := w.readFile(w.credentialsFile()); now != before {
		t.Errorf("the file is\n%s", now)
	}
	w.credentials("dev")
	room()
	w.must(w.run("broker", "import", "--delete-source"))
	if now := w.readFile(w.credentialsFile()); now != without {
		t.Errorf("the file is\n%s", now)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the file there is %v, %v", entries, err)
	}
}

// TestP29ImportedSecretNeverEntersTheDaemon: keys are imported from a file and
// taken out of it, wired in between, while the daemon, every command line and
// every file are scanned. In the end no file has them, no backup either.
func TestP29ImportedSecretNeverEntersTheDaemon(t *testing.T) {
	t.Parallel()
	needRoot(t)
	begin := time.Now().Add(-time.Second)
	w := newWorld(t)
	w.initialise()
	canary := w.secrets("ann", "eve")
	v := w.watchFor(canary)
	for i := 0; i < 10 || v.looks() < 10; i++ {
		w.plaintext(map[string]string{"dev": "ann", "eve": "eve"})
		w.awsConfig("[profile dev]\nmfa_serial = " + w.user("ann").Devices[0].SerialNumber + "\n")
		w.must(w.run("broker", "import", "--dry-run"))
		w.must(w.run("broker", "import", "dev"))
		w.must(w.run("broker", "import", "eve", "--no-mfa"))
		w.must(w.run("broker", "import", "--delete-source", "--wire", "--json"))
		w.credentials("eve")
		w.must(w.run("broker", "unwire", "--all"))
		w.must(w.run("broker", "remove", "dev", "--yes"))
		w.must(w.run("broker", "remove", "eve", "--yes"))
	}
	v.sawNothing(10)
	isSandbox := func(f string) bool { return strings.HasSuffix(f, "/sandbox.json") }
	if files := slices.DeleteFunc(canary.scanFiles(t, begin, w.dir), isSandbox); len(files) > 0 {
		t.Errorf("the long-lived secret lies in files:\n%s", strings.Join(files, "\n"))
	}
	// The same scan finds what is there.
	w.plaintext(map[string]string{"dev": "ann"})
	if files := slices.DeleteFunc(canary.scanFiles(t, begin, w.dir), isSandbox); len(files) == 0 {
		t.Error("the scanner does not find the key in the credentials file")
	}
}

// TestImportedProfilesResolve: after one command the AWS CLI and a program on
// the SDK for Go get from broker who they were before, and after one more they
// get nothing, because no key is left in a file.
func TestImportedProfilesResolve(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.initialise()
	w.plaintext(map[string]string{"dev": "eve"})
	config := "[profile dev]\nregion = eu-west-1\n[profile ops]\nregion = eu-west-1\nrole_arn = arn:aws:iam::" + w.account.AccountID + ":role/dev\nsource_profile = dev\n"
	w.awsConfig(config)
	before, r := w.cli("dev")
	if !strings.HasSuffix(before, ":user/eve") {
		t.Fatalf("before: ARN %q, stderr %q", before, r.stderr)
	}
	w.must(w.run("broker", "import", "dev", "--no-mfa", "--delete-source", "--wire"))
	for profile, want := range map[string]string{"dev": ":user/eve", "ops": ":assumed-role/dev/eve"} {
		if arn, r := w.cli(profile); !strings.HasSuffix(arn, want) {
			t.Errorf("aws as %s: ARN %q, want %s; stderr %q", profile, arn, want, r.stderr)
		}
		for _, s := range w.goClient(profile) {
			if !strings.HasSuffix(s.ARN, want) {
				t.Errorf("the SDK for Go as %s: %+v, want %s", profile, s, want)
			}
		}
	}
	w.must(w.run("broker", "unwire", "--all"))
	if now := w.readFile(filepath.Join(w.home, ".aws", "config")); now != config {
		t.Errorf("unwired, the config is\n%s", now)
	}
	if arn, _ := w.cli("dev"); arn != "" {
		t.Errorf("the AWS CLI still is %s", arn)
	}
}
