// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"credbroker/internal/ipc"
)

// Program returns the path of broker to be written into files that outlive
// it: a path that the next upgrade leads to the new release. That is where the
// program is, unless a package manager keeps each release in a directory of its
// own and removes it with the next: then it is a link that leads there. No such
// link is an error of CodeRefused.
func (a *App) Program() (string, error) {
	exe, err := a.Sibling("broker") // not this one, if this is broker-cli
	if err != nil {
		return "", err
	}
	switch {
	case Gone(exe) && filepath.Base(a.Exe) != filepath.Base(exe):
		return "", &ipc.Error{Code: ipc.CodeRefused, Message: "there is no broker in " + filepath.Dir(exe), Hint: installTogether}
	case Gone(exe):
		return "", &ipc.Error{
			Code:    ipc.CodeRefused,
			Message: exe + ", which is this program, was removed or moved while it ran",
			Hint:    "run the same command again",
		}
	}
	p, err := a.Places()
	if err != nil {
		return "", err
	}
	called := ""
	if strings.ContainsAny(a.Called, `/\`) { // else a shell took it from PATH
		if called, err = filepath.Abs(a.Called); err != nil {
			called = ""
		}
	}
	return stableProgram(exe, called, a.Getenv("PATH"), p.Home, SamePath)
}

// stableProgram returns the path that program does, of the program at exe. called
// is the path by which it was started, or "". same reports whether two paths lead
// to one file.
//
// The link that the package manager itself makes comes before what happens to
// stand in PATH: that may be the environment of one project. A shim of asdf or
// mise is no link but a program that looks for the release in the files of the
// directory it runs in, and for asdf in PATH: an SDK has another directory and
// another PATH, so a shim does not serve.
func stableProgram(exe, called, path, home string, same func(a, b string) bool) (string, error) {
	links, versioned := ReleasedAt(exe, home)
	if !versioned {
		return exe, nil
	}
	links = append(links, called)
	for _, dir := range filepath.SplitList(path) {
		links = append(links, filepath.Join(dir, "broker"+ProgramSuffix))
	}
	for _, link := range links {
		if _, versioned := ReleasedAt(link, home); !versioned && filepath.IsAbs(link) && same(link, exe) {
			return link, nil
		}
	}
	return "", &ipc.Error{
		Code:    ipc.CodeRefused,
		Message: fmt.Sprintf("this broker is %s, a path that ends with the next upgrade, and no lasting link leads there", exe),
		Hint:    "link it into a directory of PATH, and renew the link with each upgrade: ln -sf " + exe + " ~/.local/bin/broker",
	}
}

// ReleasedAt reports whether a path lies in a directory that holds one release
// only, and where the package manager whose directory that is puts lasting links.
func ReleasedAt(path, home string) (links []string, versioned bool) {
	path = filepath.ToSlash(path)
	for _, store := range []string{"/nix/store/", "/gnu/store/"} {
		if strings.HasPrefix(path, store) {
			return profiles(home), true
		}
	}
	for _, within := range []string{"Cellar", "Caskroom", "installs", "apps", "snap"} {
		before, name, version, rest, ok := cutRelease(path, within)
		switch {
		case !ok:
			continue
		case within == "Cellar" || within == "Caskroom": // Homebrew; HEAD-1a2b3c is a version, too
			links = []string{before + "/bin/broker", before + "/opt/" + name + "/" + rest}
		case version[0] != 'v' && (version[0] < '0' || version[0] > '9'):
			continue // "current", "latest", or no version at all
		case within == "installs": // mise; asdf makes no such link
			links = []string{before + "/installs/" + name + "/latest/" + rest}
		default: // scoop, snap
			links = []string{before + "/" + within + "/" + name + "/current/" + rest}
		}
		for i := range links {
			links[i] = filepath.FromSlash(links[i])
		}
		return links, true
	}
	return nil, false
}

// cutRelease takes the path BEFORE/WITHIN/NAME/VERSION/REST apart.
func cutRelease(path, within string) (before, name, version, rest string, ok bool) {
	within = "/" + within + "/"
	at := strings.LastIndex(path, within)
	if at < 0 {
		return "", "", "", "", false
	}
	name, rest, _ = strings.Cut(path[at+len(within):], "/")
	version, rest, _ = strings.Cut(rest, "/")
	return path[:at], name, version, rest, version != "" && rest != ""
}

// profiles are the lasting links of Nix and Guix: the user's, then the system's.
func profiles(home string) []string {
	return []string{
		home + "/.nix-profile/bin/broker",
		home + "/.local/state/nix/profile/bin/broker",
		home + "/.guix-profile/bin/broker",
		"/run/current-system/sw/bin/broker",
		"/run/current-system/profile/bin/broker",
		"/nix/var/nix/profiles/default/bin/broker",
	}
}

// Gone reports whether nothing has the name path.
func Gone(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// startedBy is the variable by which broker tells broker-cli its release.
const startedBy = "BROKER_STARTED_BY"

// BecomeCLI replaces this program by broker-cli, which has every command. It returns
// only if that fails.
func (a *App) BecomeCLI(argv []string) error {
	err := a.becomeCLI(argv)
	if len(argv) > 1 && argv[1] == ExecName {
		return execStatus(err)
	}
	return err
}

func (a *App) becomeCLI(argv []string) error {
	path, err := a.Sibling("broker-cli")
	if err != nil {
		return err
	}
	if a.Getenv(startedBy) != "" { // we are what was started as broker-cli, and would start it for ever
		return misplaced(path + " is another program than broker-cli")
	}
	err = a.become(path, argv, append(a.withoutStart(), startedBy+"="+a.Version))
	if errors.Is(err, fs.ErrNotExist) {
		return misplaced("there is no broker-cli in " + filepath.Dir(path))
	}
	return misplaced(fmt.Sprintf("run %s: %v", path, err))
}

// StartedByBroker ends what BecomeCLI began: it refuses to serve a broker of another
// release, and takes the variable that says so out of the environment, which
// programs that are started from here inherit.
func (a *App) StartedByBroker() error {
	release := a.Getenv(startedBy)
	a.Env = a.withoutStart()
	if release == "" || release == a.Version { // or somebody starts broker-cli by hand
		return nil
	}
	return misplaced(fmt.Sprintf("broker is %s, and the broker-cli beside it %s", release, a.Version))
}

// withoutStart is the environment without the variable: of two entries of a name
// programs read the first.
func (a *App) withoutStart() []string {
	return slices.DeleteFunc(slices.Clone(a.Env), func(entry string) bool { return strings.HasPrefix(entry, startedBy+"=") })
}

// misplaced is a failure of programs that do not belong together.
func misplaced(problem string) error {
	return &ipc.Error{Message: problem, Hint: installTogether}
}

// installTogether is the next step where one of our programs is not in its place.
const installTogether = "install broker, broker-cli, brokerd and broker-vault of one release in one directory"

// Executable returns the path of the program: what the system says or, where it
// cannot (Linux without /proc), the one by which the program was called.
func Executable(says, called string) string {
	if says != "" {
		return says
	}
	found, err := exec.LookPath(called) // called itself, if that has a slash
	if err != nil {
		return ""
	}
	if path, err := filepath.Abs(found); err == nil {
		return path
	}
	return ""
}

// notInstalled is the failure to find another of our programs.
func notInstalled(name, path string) *ipc.Error {
	return &ipc.Error{
		Code:    ipc.CodeNoDaemon,
		Message: "there is no " + name + " in " + filepath.Dir(path),
		Hint:    installTogether,
	}
}

// Sibling returns the path of another of our programs, which stands beside
// this one: PATH is the caller's and proves nothing.
func (a *App) Sibling(name string) (string, error) {
	if a.Exe == "" {
		return "", &ipc.Error{
			Message: "find " + name + ": the path of this program is unknown",
			Hint:    "start it by its path, from the directory that has them all",
		}
	}
	return filepath.Join(filepath.Dir(a.Exe), name+ProgramSuffix), nil
}
