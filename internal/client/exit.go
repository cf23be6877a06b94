// SPDX-License-Identifier: Apache-2.0

package client

// The exit statuses of broker. Scripts rely on them.
const (
	ExitOK       = 0
	ExitError    = 1
	exitUsage    = 2 // the command line
	exitNoDaemon = 3 // no daemon, and none could be started
	exitMFA      = 4 // an MFA code is needed or was not accepted
	exitKeychain = 5 // the store of the keys
	exitNoKey    = 6 // no such key or profile
	exitRefused  = 7 // refused by policy
	exitAWS      = 8 // AWS refused or is unreachable
	exitDue      = 9 // a key is due

	exitExecFailed    = 125 // exec itself failed, before the child
	exitExecNotRun    = 126 // the child's program cannot be executed
	exitExecNotFound  = 127 // the child's program does not exist
	exitInterrupted   = 130 // 128 + SIGINT
	ExitStatusSummary = `EXIT STATUS
   0 ok, 1 error, 2 usage, 3 no daemon, 4 MFA code needed or not accepted,
   5 keychain, 6 no such key or profile, 7 refused by policy, 8 AWS refused or
   is unreachable, 9 a key is due`
	ExecStatusSummary = `EXIT STATUS
   the command's own, 128 + n if signal n ended it; 125 broker itself failed,
   126 the command cannot be executed, 127 it does not exist, 2 usage`
)
