// SPDX-License-Identifier: Apache-2.0

package client

// The exit statuses of broker. Scripts rely on them.
const (
	ExitOK       = 0
	ExitError    = 1
	ExitUsage    = 2 // the command line
	ExitNoDaemon = 3 // no daemon, and none could be started
	ExitMFA      = 4 // an MFA code is needed or was not accepted
	ExitKeychain = 5 // the store of the keys
	ExitNoKey    = 6 // no such key or profile
	ExitRefused  = 7 // refused by policy
	ExitAWS      = 8 // AWS refused or is unreachable
	ExitDue      = 9 // a key is due

	ExitExecFailed    = 125 // exec itself failed, before the child
	ExitExecNotRun    = 126 // the child's program cannot be executed
	ExitExecNotFound  = 127 // the child's program does not exist
	ExitInterrupted   = 130 // 128 + SIGINT
	ExitStatusSummary = `EXIT STATUS
   0 ok, 1 error, 2 usage, 3 no daemon, 4 MFA code needed or not accepted,
   5 keychain, 6 no such key or profile, 7 refused by policy, 8 AWS refused or
   is unreachable, 9 a key is due`
	ExecStatusSummary = `EXIT STATUS
   the command's own, 128 + n if signal n ended it; 125 broker itself failed,
   126 the command cannot be executed, 127 it does not exist, 2 usage`
)
