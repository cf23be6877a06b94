// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// tags are the build tags of the Makefile.
const tags = "urfave_cli_no_docs"

// fence is what a package, with everything it links, may not contain: packages
// or whole modules, by prefix of the import path.
type fence struct {
	pkg string
	not []string
	but []string // what of that it may contain
}

// Names of the things that fences keep out.
var (
	keyring = []string{
		"github.com/99designs", "github.com/godbus/dbus", "github.com/gsterjov/go-libsecret",
		"github.com/dvsekhvalnov/jose2go", "credbroker/vault",
	}
	network = []string{"net/http", "crypto/tls"}
	kdf     = []string{"golang.org/x/crypto"}
	weight  = []string{"log/slog"} // every helper would carry it in memory, for nothing
	sdk     = []string{"github.com/aws"}
	cli     = []string{"github.com/urfave", "text/template", "html/template"}
	notices = []string{"github.com/godbus/dbus/v5"} // not that of the keyring library
)

func fences() []fence {
	return []fence{
		{"credbroker/cmd/broker", slices.Concat(keyring, network, sdk, kdf, weight, cli, []string{"credbroker/broker"}), nil},
		{"credbroker/cmd/broker-cli", slices.Concat(keyring, network, sdk, kdf, weight, []string{"credbroker/broker"}), nil},
		{"credbroker/cmd/brokerd", slices.Concat(keyring, cli, kdf), notices},
		{"credbroker/cmd/broker-vault", []string{"github.com/urfave", "credbroker/broker"}, nil},
		{"credbroker/cmd/broker-sandbox", keyring, nil},
		{"credbroker/broker", slices.Concat(keyring, sdk, cli), nil},
		// What credential-process runs on its fast path, before any CLI is built.
		{"credbroker/credproc", slices.Concat(keyring, network, sdk, cli), nil},
		{"credbroker/internal/ipc", slices.Concat(keyring, network, sdk, cli), nil},
		{"credbroker/internal/paths", slices.Concat(keyring, network, sdk, cli), nil},
		{"credbroker/internal/tty", slices.Concat(keyring, network, sdk, cli), nil},
	}
}

// P40: what a program does not link it cannot leak, hang on or be attacked
// through.
func TestP40DependencyFence(t *testing.T) {
	t.Parallel()
	for _, f := range fences() {
		t.Run(strings.TrimPrefix(f.pkg, module+"/"), func(t *testing.T) {
			t.Parallel()
			deps := dependencies(t, f.pkg)
			allowed := beyond(deps, f.but)
			if len(allowed) == 0 && f.but != nil {
				t.Errorf("%s does not link %s, and may", f.pkg, f.but)
			}
			for _, dep := range beyond(deps, f.not) {
				if slices.Contains(allowed, dep) {
					continue
				}
				t.Errorf("%s links %s", f.pkg, dep)
			}
		})
	}
}

// The fence must see the keyring, the SDK and TLS where they are.
func TestP40FenceSeesWhatItForbids(t *testing.T) {
	t.Parallel()
	deps := dependencies(t, "credbroker/cmd/broker-vault")
	for _, want := range slices.Concat(keyring, network, sdk, kdf) {
		if len(beyond(deps, []string{want})) == 0 {
			t.Errorf("%s is not found in broker-vault, which links it", want)
		}
	}
}

// dependencies lists the import paths that a package links on Linux.
func dependencies(t *testing.T, pkg string) []string {
	t.Helper()
	out := goTool(t, "list", "-deps", "-tags", tags, pkg)
	return strings.Fields(string(out))
}

// beyond returns the dependencies that lie in one of the forbidden places.
func beyond(deps, forbidden []string) []string {
	var found []string
	for _, dep := range deps {
		for _, place := range forbidden {
			if dep == place || strings.HasPrefix(dep, place+"/") {
				found = append(found, dep)
			}
		}
	}
	return found
}

// goTool runs the go command at the module's root, as make build does.
func goTool(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return out
}

// programs builds the programs once for all tests of the package and
// returns their directory.
func programs(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		dir, err := os.MkdirTemp("", "archtest-")
		if err != nil {
			t.Fatal(err)
		}
		built.dir = dir
		goTool(t, "build", "-trimpath", "-tags", tags, "-ldflags", "-s -w -X main.version=9.8.7", "-o", dir+"/", "./cmd/...")
		built.whole = true
	})
	if !built.whole {
		t.Fatal("the programs do not build")
	}
	return built.dir
}

var built struct {
	once  sync.Once
	dir   string
	whole bool
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		if err := os.RemoveAll(built.dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// P43: the file backend of the keyring library decrypts with jose2go, whose
// releases before 1.8.0 can be made to spin (CVE-2023-50658) or to swell
// (CVE-2025-63811) by a crafted item.
func TestP43Jose2goIsRecent(t *testing.T) {
	t.Parallel()
	info, err := buildinfo.ReadFile(filepath.Join(programs(t), "broker-vault"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			t.Errorf("%s is replaced", dep.Path)
		}
		if dep.Path != "github.com/dvsekhvalnov/jose2go" {
			continue
		}
		if !atLeast(dep.Version, 1, 8) {
			t.Errorf("broker-vault links jose2go %s, want v1.8.0 or later", dep.Version)
		}
		return
	}
	t.Error("broker-vault does not link jose2go: has the file backend gone?")
}

func TestAtLeast(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"v1.5.0": false, "v1.7.9": false, "v1.8.0": true, "v1.11.0": true, "v2.0.0": true, "v0.9.0": false, "": false,
	} {
		if got := atLeast(version, 1, 8); got != want {
			t.Errorf("atLeast(%q, 1, 8) = %v, want %v", version, got, want)
		}
	}
}

// atLeast reports whether a version vX.Y.Z is major.minor or later.
func atLeast(version string, major, minor int) bool {
	var x, y int
	if n, err := fmt.Sscanf(version, "v%d.%d.", &x, &y); err != nil || n != 2 {
		return false
	}
	return x > major || x == major && y >= minor
}

// The client stays small. The kernel maps most of a program of this size at each
// start, so the memory of a credential-process call is about the client's size,
// and it may be twice the floor's (docs/performance.md, make bench). That is why
// commands are in broker-cli, which no SDK runs.
func TestClientSize(t *testing.T) {
	t.Parallel()
	const limit = 7 << 19 // 3.5 MiB
	info, err := os.Stat(filepath.Join(programs(t), "broker"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > limit {
		t.Errorf("broker has %d bytes, more than %d", info.Size(), limit)
	}
}

// What the packages of the client do before main is done at every
// credential-process call: a regexp or a map that only one command needs is made
// where it is needed. The runtime counts it, so no load of the machine changes
// it. All of it is the standard library's.
func TestClientStartsLight(t *testing.T) {
	t.Parallel()
	const allocations, size = 100, 12 << 10
	cmd := exec.CommandContext(t.Context(), filepath.Join(programs(t), "broker"), "credential-process")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var trace bytes.Buffer
	cmd.Stderr = &trace
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != 2 { // there is no profile
		t.Fatal(err)
	}
	var gotSize, gotAllocations int
	for _, m := range regexp.MustCompile(`(?m)^init \S+ .* (\d+) bytes, (\d+) allocs$`).FindAllStringSubmatch(trace.String(), -1) {
		var size, allocations int
		if _, err := fmt.Sscan(m[1]+" "+m[2], &size, &allocations); err != nil {
			t.Fatal(err)
		}
		gotSize, gotAllocations = gotSize+size, gotAllocations+allocations
	}
	if gotAllocations < 20 || gotAllocations > allocations || gotSize > size {
		t.Errorf("%d allocations and %d bytes before main, want at most %d and %d:\n%s",
			gotAllocations, gotSize, allocations, size, trace.String())
	}
}

// Each program says the version that the linker gave it.
func TestVersion(t *testing.T) {
	t.Parallel()
	version := regexp.MustCompile(`\b9\.8\.7\b`)
	for _, args := range [][]string{{"broker", "version"}, {"broker", "--version"}, {"brokerd", "--version"}} {
		out, err := exec.CommandContext(t.Context(), filepath.Join(programs(t), args[0]), args[1:]...).CombinedOutput()
		if err != nil || !version.Match(out) {
			t.Errorf("%s: %v, %q", strings.Join(args, " "), err, out)
		}
	}
}
