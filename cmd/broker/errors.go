// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"credbroker/internal/awsconfig"
	"credbroker/internal/ipc"
	"credbroker/internal/tty"
)

// The exit statuses of broker. Scripts rely on them.
const (
	exitOK       = 0
	exitError    = 1
	exitUsage    = 2 // the command line
	exitNoDaemon = 3 // no daemon, and none could be started
	exitMFA      = 4 // an MFA code is needed or was not accepted
	exitKeychain = 5 // the store of the keys
	exitNoKey    = 6 // no such key or profile
	exitRefused  = 7 // refused by policy
	exitAWS      = 8 // AWS refused or is unreachable

	exitExecFailed    = 125 // exec itself failed, before the child
	exitExecNotRun    = 126 // the child's program cannot be executed
	exitExecNotFound  = 127 // the child's program does not exist
	exitInterrupted   = 130 // 128 + SIGINT
	exitStatusSummary = `EXIT STATUS
   0 ok, 1 error, 2 usage, 3 no daemon, 4 MFA code needed or not accepted,
   5 keychain, 6 no such key or profile, 7 refused by policy, 8 AWS refused or
   is unreachable`
	execStatusSummary = `EXIT STATUS
   the command's own, 128 + n if signal n ended it; 125 broker itself failed,
   126 the command cannot be executed, 127 it does not exist, 2 usage`
)

// outcome is what a failure of one code means to a user.
type outcome struct {
	status int
	hint   string // the next step, unless the failure brings its own
}

// outcomes is the one table from failure to exit status and hint. A code that
// is missing is a defect of broker; a test holds the table complete.
//
// A hint is an act: "unlock the keyring". Where a command does it the hint ends
// with that, after a colon, ready to paste: "list the stored keys: broker list".
var outcomes = map[ipc.Code]outcome{
	"":               {exitError, ""}, // this program's own errors say it all
	ipc.CodeInternal: {exitError, "please report this as a bug, with brokerd.log"},
	ipc.CodeUsage:    {exitUsage, "for help: broker help"},
	ipc.CodeProtocol: {exitNoDaemon, "broker and brokerd are of different releases: end the running brokerd, the next command starts the new one"},

	ipc.CodeNoDaemon:      {exitNoDaemon, "run brokerd in a terminal to see why it does not start"},
	ipc.CodeForeignDaemon: {exitNoDaemon, "somebody else owns the socket: remove it, or set BROKER_SOCKET to a path of yours"},
	ipc.CodeBusy:          {exitError, "try again in a moment"},
	ipc.CodeDeadline:      {exitError, "try again"},

	ipc.CodeConfigBroken:   {exitError, "correct the line and try again"},
	ipc.CodeNotInitialised: {exitError, "choose a store for keys: broker init"},
	ipc.CodeUnsupported:    {exitError, ""},
	ipc.CodeStorage:        {exitError, "check the disk and the owner of the file"},
	ipc.CodeProfileInvalid: {exitError, "correct the profile in the AWS config"},
	ipc.CodeProfileLoop:    {exitError, "correct the profile in the AWS config"},
	ipc.CodeIndexLost:      {exitKeychain, "rebuild it from the store: broker recover"},
	ipc.CodeKeyExists:      {exitError, "to put the new key in its place: broker add PROFILE --replace"},
	ipc.CodeKeyInvalid:     {exitError, ""},

	ipc.CodeMFARequired:   {exitMFA, "give a code in any terminal, then try again: broker mfa"},
	ipc.CodeMFAWrong:      {exitMFA, "check that the code is of the device that is named, and that the phone's clock is right"},
	ipc.CodeMFAUsed:       {exitMFA, "wait for the next code and try again"},
	ipc.CodeMFACancelled:  {exitMFA, "when you are ready: broker mfa -p PROFILE"},
	ipc.CodeMFATimeout:    {exitMFA, "when you are ready: broker mfa -p PROFILE"},
	ipc.CodeMFASerial:     {exitMFA, "name the device when you store the key again: broker add PROFILE --mfa-serial ARN"},
	ipc.CodeMFAPasskey:    {exitMFA, "add a virtual MFA device beside the passkey, then name it: broker add PROFILE --mfa-serial ARN"},
	ipc.CodeMFANotPending: {exitMFA, "to get a session now: broker mfa -p PROFILE"},
	ipc.CodeMFAUnknown:    {exitMFA, "name the device when you store the key again: broker add PROFILE --mfa-serial ARN, or --no-mfa"},

	ipc.CodeKeychainLocked:  {exitKeychain, "unlock the keyring of the desktop session and try again"},
	ipc.CodeKeychainDenied:  {exitKeychain, "allow broker-vault to use the keychain and try again"},
	ipc.CodeKeychainTimeout: {exitKeychain, "look for a dialog of the keychain that waits for you, then try again"},
	ipc.CodeKeychainGone:    {exitKeychain, "start the keychain's service and try again: broker never changes to another store by itself"},
	ipc.CodeKeychainCorrupt: {exitKeychain, "rebuild the index from the store: broker recover"},
	ipc.CodeKeychainFailed:  {exitKeychain, ""},
	ipc.CodeWrongPassphrase: {exitKeychain, "the passphrase file is not the one that the vault was made with"},

	ipc.CodeNoKey:     {exitNoKey, "list the stored keys: broker list"},
	ipc.CodeNoProfile: {exitNoKey, "list the profiles: broker config list"},
	ipc.CodeRefused:   {exitRefused, ""},

	ipc.CodeAWSUnreachable: {exitAWS, "check the network, and https_proxy in broker's config"},
	ipc.CodeAWSThrottled:   {exitAWS, "try again in a moment"},
	ipc.CodeAWSDenied:      {exitAWS, ""},
	ipc.CodeAWSKeyUnknown:  {exitAWS, "the key is inactive or deleted at AWS: look at it in the IAM console"},
	ipc.CodeAWSSecret:      {exitAWS, "the secret access key does not belong to the access key ID"},
	ipc.CodeAWSClock:       {exitAWS, "set this machine's clock"},
	ipc.CodeAWSExpired:     {exitAWS, "try again"},
	ipc.CodeAWSRegion:      {exitAWS, "choose another region for the profile"},
	ipc.CodeAWSDuration:    {exitAWS, "lower duration_seconds of the profile"},
	ipc.CodeAWSUnavailable: {exitAWS, "AWS has trouble of its own (https://health.aws.amazon.com): try again in a moment"},
	ipc.CodeAWSGarbage:     {exitAWS, "something between here and AWS answers in its place: a captive portal or a proxy"},
	ipc.CodeAWSFailed:      {exitAWS, ""},
}

// withHint adds a next step to a coded failure that brings none.
func withHint(err error, hint string) error {
	coded := asCoded(err)
	if coded.Code == "" || coded.Hint != "" {
		return err
	}
	coded.Hint = hint
	return coded
}

// statusError carries an exit status of exec that no code has.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

// usagef is a mistake on the command line.
func usagef(format string, args ...any) *ipc.Error {
	return &ipc.Error{Code: ipc.CodeUsage, Message: fmt.Sprintf(format, args...)}
}

// errorf is a failure of one code with the table's hint.
func errorf(code ipc.Code, format string, args ...any) *ipc.Error {
	return &ipc.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// failure returns err as a coded failure with a hint, and its exit status.
func failure(err error) (*ipc.Error, int) {
	coded := asCoded(err)
	o, known := outcomes[coded.Code]
	if !known {
		o = outcomes[ipc.CodeInternal]
	}
	if coded.Hint == "" {
		coded.Hint = o.hint
	}
	var own *statusError
	if errors.As(err, &own) {
		return coded, own.status
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, tty.ErrInterrupted) {
		return &ipc.Error{Message: "interrupted"}, exitInterrupted
	}
	return coded, o.status
}

// asCoded copies the coded failure inside err; what has no code is an error of
// this program, told in its own words.
func asCoded(err error) *ipc.Error {
	var coded *ipc.Error
	if errors.As(err, &coded) {
		out := *coded
		out.Message = err.Error()
		return &out
	}
	var config *awsconfig.Error
	if errors.As(err, &config) {
		return &ipc.Error{Code: ipc.Code(config.Code), Message: err.Error(), Hint: config.Hint}
	}
	return &ipc.Error{Message: err.Error()}
}

// report writes a failure for people: one line of problem, one line of hint.
func report(w io.Writer, err error) int {
	coded, status := failure(err)
	fmt.Fprintf(w, "broker: error: %s\n", printable(coded.Message))
	if coded.Hint != "" {
		fmt.Fprintf(w, "broker: hint: %s\n", printable(coded.Hint))
	}
	return status
}

// maxErrorLine bounds the helper's one line, in bytes: SDKs put it into an
// error text of their own.
const maxErrorLine = 280

// reportLine writes a failure as the helper must: problem and remedy on one
// short line. What is too long loses the end of the problem, which is AWS's own
// text as a rule, and keeps the remedy.
func reportLine(w io.Writer, err error) int {
	coded, status := failure(err)
	problem, hint := printable(coded.Message), ""
	if coded.Hint != "" {
		problem = strings.TrimSuffix(problem, ".") // AWS's texts end with one
		hint = ": " + shorten(printable(coded.Hint), maxErrorLine/2)
	}
	fmt.Fprintf(w, "broker: error: %s%s\n", shorten(problem, maxErrorLine-len(hint)), hint)
	return status
}

// shorten returns text, cut to at most limit bytes and marked if it was longer.
func shorten(text string, limit int) string {
	const mark = "…"
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len(mark)], "") + mark
}

// failureText returns what a failure says and what to do next.
func failureText(e ipc.Error) (message, hint string) {
	coded, _ := failure(&e)
	return coded.Message, coded.Hint
}

// printable keeps what comes from files and from other processes from moving
// a terminal's cursor or starting a line of its own.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return ' '
		}
		return r
	}, text)
}
