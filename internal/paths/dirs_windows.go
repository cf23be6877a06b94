// SPDX-License-Identifier: Apache-2.0

package paths

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
)

// homeVariable is the one by which the AWS SDKs find ~/.aws.
const homeVariable = "USERPROFILE"

// pipes is where named pipes are. It is no directory: nothing else can be there.
const pipes = `\\.\pipe\`

func configDir(getenv func(string) string, home string) string {
	return filepath.Join(known(getenv("APPDATA"), windows.FOLDERID_RoamingAppData, filepath.Join(home, "AppData", "Roaming")), "broker")
}

// stateDir is on this machine: what is in %AppData% may follow the user to others.
func stateDir(getenv func(string) string, home string) string {
	return filepath.Join(known(getenv("LOCALAPPDATA"), windows.FOLDERID_LocalAppData, filepath.Join(home, "AppData", "Local")), "broker")
}

// known returns what a variable says of a folder, else what the system does,
// else where it is if nobody moved it.
func known(variable string, id *windows.KNOWNFOLDERID, fallback string) string {
	if filepath.IsAbs(variable) {
		return variable
	}
	if path, err := windows.KnownFolderPath(id, windows.KF_FLAG_DONT_VERIFY); err == nil && filepath.IsAbs(path) {
		return path
	}
	return fallback
}

// passwdHome returns the profile directory of the user whose process this is.
func passwdHome(int) (string, error) {
	home, err := windows.GetCurrentProcessToken().GetUserProfileDirectory()
	if err != nil {
		return "", errors.New("the user has no profile directory")
	}
	return home, nil
}

// defaultSocket returns the name of the user's pipe. Pipes of all users are in
// one place, so that it has the user's SID in it.
func defaultSocket(host, int, string) (string, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return "", fmt.Errorf("find out who this user is: %w", err)
	}
	return pipes + "broker-" + user.User.Sid.String(), nil
}

// checkSocket refuses what is not the name of a pipe of this machine.
func checkSocket(path string) error {
	name, ok := strings.CutPrefix(strings.ToLower(path), pipes)
	switch {
	case !ok || name == "" || strings.Contains(name, `\`):
		return fmt.Errorf(`%s is %q: a socket is a pipe here, %sNAME`, EnvSocket, path, pipes)
	case len(path) > 256:
		return fmt.Errorf("%s is %d characters long: the name of a pipe has at most 256", EnvSocket, len(path))
	}
	return nil
}

// runtimeDir is the state directory: a pipe has none.
func runtimeDir(_, state string) string { return state }
