// SPDX-License-Identifier: Apache-2.0

// Package paths says where broker keeps its files.
//
// The answer is the same in a login shell, in a cron job and under env -i:
// a helper that an SDK starts from a bare environment must find the daemon
// that the user started from a full one. So XDG_* variables are not read here:
// broker init records what they said in one small file (see Location) that
// everybody reads first. Nothing is created or changed, but by WriteLocation and
// WriteEnvironment.
package paths

import (
	"fmt"
	"path/filepath"
)

// MaxSocket is the longest socket path in bytes that is used. The kernel takes
// 107 on Linux and 103 on macOS (unix(7), sys/un.h); the rest is reserve.
const MaxSocket = 100

// The variables that override a place. Each must be an absolute path.
const (
	EnvConfig   = "BROKER_CONFIG"    // the config file
	EnvStateDir = "BROKER_STATE_DIR" // the state directory
	EnvSocket   = "BROKER_SOCKET"    // the socket; the lock and the overlays stand beside it
)

// Places are the absolute paths of everything that broker keeps or reads.
type Places struct {
	Home         string
	ConfigFile   string // broker's own config
	LocationFile string // see Location
	// EnvironmentFile is beside ConfigFile; see WriteEnvironment.
	EnvironmentFile string
	StateDir        string
	StateFile       string // the index of stored keys
	LogFile         string // brokerd's log
	VaultDir        string // items of the file backend
	RuntimeDir      string // the directory of Socket, LockFile and OverlayDir; private to the user
	Socket          string // on Windows the name of a pipe, and RuntimeDir is StateDir
	LockFile        string
	HolderSocket    string // of broker-vault hold, beside Socket
	OverlayDir      string // AWS config overlays of broker exec

	// The AWS files where no setting names others.
	AWSConfigFile      string
	AWSCredentialsFile string
}

// Find returns the places of the user uid. It reads getenv for HOME and the
// three BROKER_ variables only, on Windows for USERPROFILE, APPDATA and
// LOCALAPPDATA in place of HOME, and the location file of the home directory.
// An error names the variable or file that is wrong.
func Find(getenv func(string) string, uid int) (Places, error) {
	return find(host{run: "/run/user", tmp: "/tmp", passwd: passwdHome}, getenv, uid)
}

// host is what Find looks at beside the environment and the home directory.
type host struct {
	run    string                        // holds one directory per logged-in user
	tmp    string                        // world-writable, sticky
	passwd func(uid int) (string, error) // home directory of the passwd entry
}

func find(h host, getenv func(string) string, uid int) (Places, error) {
	home, err := homeDir(h, getenv, uid)
	if err != nil {
		return Places{}, err
	}
	p := Places{
		Home:               home,
		LocationFile:       filepath.Join(configDir(getenv, home), "location"),
		AWSConfigFile:      filepath.Join(home, ".aws", "config"),
		AWSCredentialsFile: filepath.Join(home, ".aws", "credentials"),
	}
	loc, err := ReadLocation(p.LocationFile)
	if err != nil {
		return Places{}, err
	}
	config := filepath.Join(or(loc.ConfigDir, configDir(getenv, home)), "config")
	if p.ConfigFile, err = override(getenv, EnvConfig, config); err != nil {
		return Places{}, err
	}
	p.EnvironmentFile = filepath.Join(filepath.Dir(p.ConfigFile), "environment")
	if p.StateDir, err = override(getenv, EnvStateDir, or(loc.StateDir, stateDir(getenv, home))); err != nil {
		return Places{}, err
	}
	p.StateFile = filepath.Join(p.StateDir, "state.json")
	p.LogFile = filepath.Join(p.StateDir, "brokerd.log")
	p.VaultDir = filepath.Join(p.StateDir, "vault")
	if p.Socket, err = socket(h, getenv, uid, p.StateDir); err != nil {
		return Places{}, err
	}
	p.RuntimeDir = runtimeDir(p.Socket, p.StateDir)
	p.LockFile = filepath.Join(p.RuntimeDir, "brokerd.lock")
	p.HolderSocket = filepath.Join(p.RuntimeDir, "vault.sock")
	p.OverlayDir = filepath.Join(p.RuntimeDir, "overlays")
	return p, nil
}

func homeDir(h host, getenv func(string) string, uid int) (string, error) {
	home := getenv(homeVariable)
	if home == "" {
		var err error
		if home, err = h.passwd(uid); err != nil {
			return "", fmt.Errorf("find the home directory of uid %d: %s is not set and %w", uid, homeVariable, err)
		}
		if !filepath.IsAbs(home) {
			return "", fmt.Errorf("find the home directory of uid %d: the passwd entry says %q: not an absolute path", uid, home)
		}
	}
	if !filepath.IsAbs(home) {
		return "", fmt.Errorf("%s is %q: not an absolute path", homeVariable, home)
	}
	return filepath.Clean(home), nil
}

// socket returns where the daemon listens. Whether that place can be trusted is
// for ipc.Listen to say.
func socket(h host, getenv func(string) string, uid int, state string) (string, error) {
	path, err := defaultSocket(h, uid, state)
	if err != nil {
		return "", err
	}
	if path, err = override(getenv, EnvSocket, path); err != nil {
		return "", err
	}
	return path, checkSocket(path)
}

// override returns what the variable name says, or place if it is not set.
func override(getenv func(string) string, name, place string) (string, error) {
	value := getenv(name)
	switch {
	case value == "":
		return place, nil
	case !filepath.IsAbs(value):
		return "", fmt.Errorf("%s is %q: not an absolute path", name, value)
	}
	return filepath.Clean(value), nil
}

func or(value, fallback string) string {
	if value != "" {
		return value
	}
	return fallback
}
