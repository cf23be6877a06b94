// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/creack/pty"
	"github.com/rogpeppe/go-internal/testscript"

	"credbroker/internal/client"
	"credbroker/internal/ipc"
	"credbroker/internal/testprograms"
	"credbroker/vault/vaulttest"
)

// eventually polls f until it succeeds. It returns the last error in vain.
func eventually(f func() error) error {
	deadline := time.Now().Add(patience * time.Second)
	for {
		err := f()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		<-time.After(20 * time.Millisecond)
	}
}

// daemonPID returns the pid of the daemon that serves a socket, or 0.
func daemonPID(socket string) int {
	var hello ipc.Hello
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := (&ipc.Client{Socket: socket}).Call(ctx, ipc.OpHello, nil, &hello); err != nil {
		return 0
	}
	return hello.PID
}

// killDaemon ends the daemon that serves a socket and waits for its end.
func killDaemon(socket string) {
	pid := daemonPID(socket)
	if pid <= 1 {
		return
	}
	_ = syscall.Kill(pid, syscall.SIGTERM) // it may be ending already
	_ = awaitEnd(pid, socket)
}

// awaitEnd waits until a daemon has ended, and has let go of its socket: the main
// thread of a killed process is a zombie before the others have.
func awaitEnd(pid int, socket string) error {
	return eventually(func() error {
		if testprograms.Alive(pid) || daemonPID(socket) == pid {
			return errors.New("it runs")
		}
		return nil
	})
}

// cmdSandbox starts a pretend AWS account and puts what it says of itself into
// the environment: ENDPOINT, and ANN_ID, ANN_SECRET, ANN_MFA for each user.
func cmdSandbox(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: sandbox")
	}
	ready := ts.MkAbs("sandbox.json")
	cmd := exec.Command(filepath.Join(programs(), "broker-sandbox"), "serve", "--ready-file", ready)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	ts.Check(cmd.Start())
	ts.Defer(func() {
		_ = cmd.Process.Kill() // it serves until then
		_ = cmd.Wait()         // says that it was killed
	})
	var account struct {
		Endpoint string
		Users    []struct {
			UserName   string
			AccessKeys []struct{ AccessKeyID, SecretAccessKey string }
			Devices    []struct{ SerialNumber string }
		}
	}
	ts.Check(eventually(func() error {
		data, err := os.ReadFile(ready)
		if err != nil {
			return err
		}
		return json.Unmarshal(data, &account)
	}))
	ts.Check(os.Remove(ready))
	ts.Setenv("ENDPOINT", account.Endpoint)
	for _, user := range account.Users {
		name := strings.ToUpper(user.UserName)
		ts.Setenv(name+"_ID", user.AccessKeys[0].AccessKeyID)
		ts.Setenv(name+"_SECRET", user.AccessKeys[0].SecretAccessKey)
		for i, device := range user.Devices {
			ts.Setenv(fmt.Sprintf("%s_MFA%d", name, i), device.SerialNumber)
		}
	}
}

// cmdReady starts a sandbox, initialises with the file vault and points
// broker's config to the sandbox. Arguments are further lines of the config.
// A daemon is started by hand where none starts by itself, in a container.
func cmdReady(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: ready [LINE…]")
	}
	cmdSandbox(ts, false, nil)
	passphrase, args := typedPassphrase(args)
	initialise := exec.Command(filepath.Join(ts.Getenv("BIN"), "broker"), "init", "--backend", "file")
	if passphrase != "" {
		initialise.Args = append(initialise.Args, "--passphrase-stdin")
		initialise.Stdin = strings.NewReader(passphrase + "\n")
	}
	initialise.Env = scriptEnv(ts)
	if out, err := initialise.CombinedOutput(); err != nil {
		ts.Fatalf("init: %v\n%s", err, out)
	}
	path := filepath.Join(ts.Getenv("HOME"), ".config", "broker", "config")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	ts.Check(err)
	_, err = fmt.Fprintf(f, "\n[aws]\nendpoint_url = %s\n%s\n", ts.Getenv("ENDPOINT"), strings.Join(args, "\n"))
	ts.Check(errors.Join(err, f.Close()))
	if !autostart() {
		ts.Check(startByHand(scriptEnv(ts)))
	}
}

// typedPassphrase takes "passphrase=X" off the arguments: the vault then opens
// with that.
func typedPassphrase(args []string) (passphrase string, rest []string) {
	if len(args) > 0 && strings.HasPrefix(args[0], "passphrase=") {
		return strings.TrimPrefix(args[0], "passphrase="), args[1:]
	}
	return "", args
}

// autostart reports whether a client may start a daemon here. It may not in a
// container; there the scripts run with one that was started by hand.
func autostart() bool {
	return client.Foreign(os.DirFS("/"), func(name string) (string, error) { return os.Readlink("/" + name) }) == ""
}

func startByHand(env []string) error {
	cmd := exec.Command(filepath.Join(programs(), "brokerd"))
	cmd.Env, cmd.SysProcAttr = env, &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // killDaemon ends it
	return nil
}

// cmdCode puts the next unused MFA code into CODE. Arguments are those of
// broker-sandbox code.
func cmdCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: code [--serial S]")
	}
	out, err := exec.Command(filepath.Join(programs(), "broker-sandbox"), append([]string{"code", "--endpoint", ts.Getenv("ENDPOINT")}, args...)...).Output()
	ts.Check(err)
	ts.Setenv("CODE", strings.TrimSpace(string(out)))
}

// cmdExits runs a program that must end with a status.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS PROGRAM [ARGUMENTS]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	checkStatus(ts, ts.Exec(args[1], args[2:]...), want)
}

func checkStatus(ts *testscript.TestScript, err error, want int) {
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled():
		got = 128 + int(exit.Sys().(syscall.WaitStatus).Signal())
	case errors.As(err, &exit):
		got = exit.ExitCode()
	default:
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// cmdPending waits until the daemon waits for a code, with so many waiters.
func cmdPending(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: pending WAITERS")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	daemon := &ipc.Client{Socket: ts.Getenv("BROKER_SOCKET")}
	ts.Check(eventually(func() error {
		var status ipc.Status
		if err := daemon.Call(context.Background(), ipc.OpStatus, nil, &status); err != nil {
			return err
		}
		got := 0
		for _, p := range status.Pending {
			got += p.Waiters
		}
		if got != want {
			return fmt.Errorf("%d callers wait, want %d", got, want)
		}
		return nil
	}))
}

// cmdDaemon looks at, or kills with SIGKILL, the daemon of the script. "daemon"
// fails if there is none and puts its pid into DAEMON; nothing is started.
func cmdDaemon(ts *testscript.TestScript, neg bool, args []string) {
	pid := daemonPID(ts.Getenv("BROKER_SOCKET"))
	if (pid == 0) != neg {
		ts.Fatalf("the daemon's pid is %d", pid)
	}
	ts.Setenv("DAEMON", strconv.Itoa(pid))
	if len(args) == 1 && args[0] == "kill" {
		ts.Check(syscall.Kill(pid, syscall.SIGKILL))
		ts.Check(awaitEnd(pid, ts.Getenv("BROKER_SOCKET")))
	}
}

// cmdKeyring locks, unlocks, kills or starts the keyring of the script.
func cmdKeyring(ts *testscript.TestScript, neg bool, args []string) {
	keyring, ok := ts.Value("keyring").(*vaulttest.Keyring)
	if !ok || neg || len(args) != 1 {
		ts.Fatalf("usage: keyring lock|kill|start")
	}
	switch args[0] {
	case "lock":
		keyring.Lock()
	case "kill":
		keyring.Kill()
	case "start":
		keyring.Start()
	}
}

// cmdExpand replaces $NAME and ${NAME} in files by what the environment says.
func cmdExpand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: expand FILE…")
	}
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}

// cmdCapture puts what a regular expression finds in the last standard output
// into a variable.
func cmdCapture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture NAME REGEXP")
	}
	found := regexp.MustCompile(args[1]).FindString(ts.ReadFile("stdout"))
	if found == "" {
		ts.Fatalf("no %s in the output", args[1])
	}
	ts.Setenv(args[0], found)
}

// cmdPerm compares the permissions of a file.
func cmdPerm(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: perm OCTAL FILE")
	}
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

// cmdPTY runs a program on a terminal of its own and plays the user. Each line
// of the dialogue is
//
//	< TEXT     wait until TEXT appears
//	> TEXT     type TEXT and Enter
//	^C         type Ctrl-C
//	^D         type Ctrl-D
//	$ COMMAND  run a command meanwhile, with sh
//
// Afterwards stdout is all that the terminal showed.
func cmdPTY(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: pty STATUS DIALOGUE PROGRAM [ARGUMENTS]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	program := args[2]
	if program == "broker" {
		program = filepath.Join(programs(), program)
	}
	cmd := exec.Command(program, args[3:]...)
	cmd.Env, cmd.Dir = scriptEnv(ts), ts.MkAbs(".")
	file, err := pty.Start(cmd)
	ts.Check(err)
	screen := newScreen(file)
	problem := screen.play(ts, ts.ReadFile(args[1]))
	if problem != nil {
		_ = cmd.Process.Kill() // the dialogue went wrong
	}
	err = cmd.Wait()
	echo := screen.echoes()
	screen.close()
	fmt.Fprint(ts.Stdout(), strings.ReplaceAll(screen.text(), "\r\n", "\n"))
	if problem != nil {
		ts.Fatalf("%v; the terminal shows:\n%s", problem, screen.text())
	}
	if !echo {
		ts.Fatalf("the terminal's echo stays off")
	}
	checkStatus(ts, err, want)
}

// scriptEnv is the environment of a script's programs.
func scriptEnv(ts *testscript.TestScript) []string {
	ts.Check(ts.Exec("/bin/sh", "-c", "env -0 >.environment"))
	return strings.Split(strings.TrimRight(ts.ReadFile(".environment"), "\x00"), "\x00")
}
