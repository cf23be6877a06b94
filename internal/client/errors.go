// SPDX-License-Identifier: Apache-2.0

package client

import "credbroker/internal/ipc"

// outcomes is the one table from failure to exit status, meaning and hint. A
// code that is missing is a defect of broker; a test holds the table complete,
// and docs/errors.md to it.
//
// A meaning claims no more than is known: AWS has one answer for a key that is
// inactive, deleted or never was, and one for every reason not to let somebody
// assume a role.
//
// A hint is an act: "unlock the keyring". Where a command does it the hint ends
// with that, after a colon, ready to paste: "list the stored keys: broker list".
//
// It is no map, which every start of the helper would have to fill.
var outcomes = []outcome{
	{"", ExitError, "something of this machine failed, told in its own words", ""},
	{
		ipc.CodeInternal,
		ExitError, "a defect of broker",
		"please report this as a bug, with brokerd.log",
	},
	{
		ipc.CodeUsage,
		ExitUsage, "the command line, or a parameter, is not one that broker understands",
		"for help: broker --help",
	},
	{
		ipc.CodeProtocol,
		ExitNoDaemon, "broker, broker-cli, brokerd and broker-vault are of releases that do not understand each other, as in the middle of an upgrade",
		"end the daemon that runs, the next command starts the new one; brokerd.log has its process ID",
	},
	{
		ipc.CodeOutdated,
		ExitNoDaemon, "the daemon that runs is not the one that is installed, as after an upgrade; it serves on as before",
		"end it when a new MFA code is no trouble, the next command starts the new one; its process ID: broker status",
	},

	{
		ipc.CodeNoDaemon,
		ExitNoDaemon, "the daemon does not run, and could not be started; or it ended in the middle",
		"to see why it does not start, run it in a terminal: brokerd",
	},
	{
		ipc.CodeForeignDaemon,
		ExitNoDaemon, "the socket, or who listens on it, is not this user's: nothing was sent to it",
		"remove the socket if you know whose it is, or set BROKER_SOCKET to a path of yours",
	},
	{
		ipc.CodeBusy,
		ExitError, "the daemon has more callers than it can serve",
		"try again in a moment",
	},
	{
		ipc.CodeDeadline,
		ExitError, "the work took longer than the caller waits; it may be going on",
		"try again; if that does not help, look for what it waits for: broker status",
	},

	{
		ipc.CodeConfigBroken,
		ExitError, "a config file, or one that it names, cannot be read or understood; the message says where",
		"correct that place and try again",
	},
	{
		ipc.CodeConfigUnwritable,
		ExitError, "an AWS file cannot be edited as it is, or by you; it was left as it was, and the message says why",
		"correct what the message names and try again",
	},
	{
		ipc.CodeNotInitialised,
		ExitError, "no store for keys was chosen yet",
		"choose a store for keys: broker init",
	},
	{
		ipc.CodeUnsupported,
		ExitError, "the profile gets its credentials in a way that broker does not serve yet, such as IAM Identity Center (SSO) or a web identity token",
		"use it without broker: SDKs know this way by themselves",
	},
	{
		ipc.CodeStorage,
		ExitError, "a file of broker's own cannot be read or written; what it held before still counts",
		"check the disk and the owner of the file",
	},
	{
		ipc.CodeDiskFull,
		ExitError, "the disk, or your quota on it, is full: nothing was changed, and stored keys are still served",
		"free some space and try again",
	},
	{
		ipc.CodeReadOnly,
		ExitError, "the file system is mounted read-only: nothing was changed, and stored keys are still served",
		"make the file system writable (a disk error may have made it read-only: see dmesg) and try again",
	},
	{
		ipc.CodeProfileInvalid,
		ExitError, "the profile contradicts itself",
		"correct the profile in the AWS config",
	},
	{
		ipc.CodeProfileLoop,
		ExitError, "source_profile or include_profile leads back to where it came from; the message shows the loop",
		"take one of these steps out of the AWS config",
	},
	{
		ipc.CodeIndexLost,
		ExitKeychain, "the list of stored keys, state.json, is missing or cannot be read; the keys themselves are in the store",
		"rebuild it from the store: broker recover",
	},
	{
		ipc.CodeKeyExists,
		ExitError, "the profile has another key already; it was not touched",
		"to put the new key in its place: broker add PROFILE --replace",
	},
	{
		ipc.CodeKeyInvalid,
		ExitError, "what was given is not a long-lived access key of an IAM user; it was not stored",
		"give the key that IAM made for the user: its ID begins with AKIA",
	},

	{
		ipc.CodeMFARequired,
		ExitMFA, "a code is needed, and nobody gave one in time",
		"give a code in any terminal, then try again: broker mfa",
	},
	{
		ipc.CodeMFAWrong,
		ExitMFA, "AWS refused the codes that it was given",
		"check that the code is of the device that is named, and that the phone's clock is right",
	},
	{
		ipc.CodeMFAUsed,
		ExitMFA, "the code was used before; AWS takes each code once",
		"wait for the next code and try again",
	},
	{
		ipc.CodeMFACancelled,
		ExitMFA, "somebody cancelled the prompt; for a minute nothing in the background asks again",
		"when you are ready: broker mfa -p PROFILE",
	},
	{
		ipc.CodeMFATimeout,
		ExitMFA, "the prompt stood for as long as [mfa] timeout says, and no code came",
		"when you are ready: broker mfa -p PROFILE",
	},
	{
		ipc.CodeMFASerial,
		ExitMFA, "the MFA device is not one of the user that owns the key",
		"name a device of that user: mfa_serial in the profile, or broker add PROFILE --replace --mfa-serial ARN",
	},
	{
		ipc.CodeMFAPasskey,
		ExitMFA, "the MFA device is a passkey or security key, for which AWS has no codes",
		"add a virtual MFA device beside the passkey, then name it: broker add PROFILE --replace --mfa-serial ARN",
	},
	{
		ipc.CodeMFANotPending,
		ExitMFA, "no code is being waited for",
		"to get a session now: broker mfa -p PROFILE",
	},
	{
		ipc.CodeMFAUnknown,
		ExitMFA, "the key was stored without naming its MFA device",
		"name the device, or say --no-mfa: broker add PROFILE --replace --mfa-serial ARN",
	},

	{
		ipc.CodeKeychainLocked,
		ExitKeychain, "the store is locked, and nobody could be asked to unlock it",
		"unlock the keyring by logging in to the desktop, or a vault with a passphrase: broker unlock",
	},
	{
		ipc.CodeKeychainDenied,
		ExitKeychain, "the store, or who was asked by it, said no",
		"try again and allow broker to use the keyring",
	},
	{
		ipc.CodeKeychainTimeout,
		ExitKeychain, "the store did not answer; it may be waiting for somebody",
		"look for a dialog of the keyring, or restart its service, and try again",
	},
	{
		ipc.CodeKeychainGone,
		ExitKeychain, "the store that broker init chose is not there; broker never changes to another by itself",
		"start the keyring, or mount the disk with the vault, and try again",
	},
	{
		ipc.CodeKeychainCorrupt,
		ExitKeychain, "the item is missing from the store, damaged, or not the one that the index says",
		"store the key again: broker add PROFILE --replace",
	},
	{
		ipc.CodeKeychainFailed,
		ExitKeychain, "the store failed in another way; the message is the store's own",
		"try again; if it stays, restart the keyring's service",
	},
	{
		ipc.CodeWrongPassphrase,
		ExitKeychain, "the passphrase, or the passphrase file, is not the one that the vault was made with",
		"put back the passphrase file that the vault was made with, or give the passphrase again: broker unlock",
	},

	{
		ipc.CodeSourceLocked,
		ExitKeychain, "the store of the program that keys are imported from is locked, or who was asked by it said no; nothing was changed there",
		"unlock that store, as by using its program once, and try again",
	},
	{
		ipc.CodeSourceTimeout,
		ExitKeychain, "the store of the program that keys are imported from did not answer; nothing was changed there",
		"look for a dialog of that store, or restart its service, and try again",
	},
	{
		ipc.CodeSourcePassword,
		ExitKeychain, "the passphrase does not open the files of the program that keys are imported from; nothing was changed there",
		"try again with the passphrase that this key was stored with: each can have another",
	},
	{
		ipc.CodeSourceGone,
		ExitKeychain, "the store of the program that keys are imported from is not there",
		"start what serves it, or mount it, and try again",
	},
	{
		ipc.CodeSourceFailed,
		ExitKeychain, "the store of the program that keys are imported from, or one item in it, failed in another way; nothing was changed there",
		"see whether its own program still reads the key, and try again",
	},

	{
		ipc.CodeNoKey,
		ExitNoKey, "no key is stored for the profile, or for the one that it takes its credentials from",
		"list the stored keys: broker list",
	},
	{
		ipc.CodeNoProfile,
		ExitNoKey, "neither the AWS files nor the index of keys know the profile",
		"list the profiles: broker config list",
	},
	{
		ipc.CodeRefused,
		ExitRefused, "broker does not do this, because it could cost you a key or send a program past broker; the message says why",
		"",
	},

	{
		ipc.CodeAWSUnreachable,
		ExitAWS, "no connection to AWS came about, or it broke",
		"check the network; behind a proxy, set https_proxy in [aws] of broker's config",
	},
	{
		ipc.CodeAWSSlow,
		ExitAWS, "AWS took the connection, and did not answer in time",
		"try again in a moment; health.aws.amazon.com shows trouble of a Region",
	},
	{
		ipc.CodeAWSCertificate,
		ExitAWS, "what answers in the place of AWS shows a certificate that this machine does not trust",
		"if your network inspects TLS, name its authority: ca_bundle in [aws] of broker's config",
	},
	{
		ipc.CodeAWSProxy,
		ExitAWS, "the proxy that broker's config names cannot be reached, or refused to connect",
		"correct https_proxy in [aws] of broker's config, with its user and password if it wants them",
	},
	{
		ipc.CodeAWSUnavailable,
		ExitAWS, "AWS answered with a failure of its own (HTTP 5xx)",
		"try again in a moment; health.aws.amazon.com shows trouble of a Region",
	},
	{
		ipc.CodeAWSThrottled,
		ExitAWS, "AWS has had too many requests from this account, and asks to slow down",
		"try again in a moment",
	},
	{
		ipc.CodeAWSDenied,
		ExitAWS, "no policy allows the key's user to do this",
		"ask who manages your AWS account for the permission that the message names",
	},
	{
		ipc.CodeAWSExplicitDeny,
		ExitAWS, "a policy denies this on purpose; one that AWS itself attached to a key that has leaked looks no different",
		"ask who manages your AWS account; if the key may have leaked, make a new one",
	},
	{
		ipc.CodeAWSQuarantined,
		ExitAWS, "AWS found the key in public and put its user in quarantine (AWSCompromisedKeyQuarantine)",
		"have an administrator delete this key at once, make a new one and lift the quarantine",
	},
	{
		ipc.CodeRoleDenied,
		ExitAWS, "AWS does not let the caller assume the role, and never says why: it may not exist, not trust the caller, want an external ID, MFA, or a newer MFA code",
		"check role_arn and external_id of the profile, and the trust policy of the role",
	},
	{
		ipc.CodeKeyGone,
		ExitAWS, "IAM does not have the access key any more: somebody has deleted it, or replaced it",
		"store the key that took its place: broker add PROFILE --replace",
	},
	{
		ipc.CodeKeyInactive,
		ExitAWS, "the access key is Inactive at IAM",
		"make it active again in the IAM console, or store another: broker add PROFILE --replace",
	},
	{
		ipc.CodeKeyQuota,
		ExitAWS, "the IAM user has two access keys, which is all that IAM allows; none was touched",
		"find out who uses the other one, and delete it in the IAM console if nobody does",
	},
	{
		ipc.CodeKeyInUse,
		ExitRefused, "something else uses an access key that was about to be taken out of use: it was left as it is",
		"give whoever it is the new key first",
	},
	{
		ipc.CodeKeyUnexplained,
		ExitRefused, "the IAM user has an access key that broker may not have made: it was left as it is",
		"find out whose it is, and delete it in the IAM console if nobody uses it",
	},
	{
		ipc.CodeKeyNotValid,
		ExitAWS, "AWS does not accept an access key that should work by now; the one that works was kept",
		"look at both keys in the IAM console",
	},
	{
		ipc.CodeOnRotate,
		ExitError, "the program that on_rotate names failed, so the old key was not taken out of use",
		"correct the program, then: broker rotate PROFILE --resume",
	},
	{
		ipc.CodeNoRotation,
		ExitError, "no rotation of the key is under way",
		"look for those that are: broker status",
	},
	{
		ipc.CodeKeyTooOld,
		ExitRefused, "the access key is older than [rotation] refuse_after allows: no session is made with it, and those that run go on",
		"replace it: broker rotate PROFILE",
	},
	{
		ipc.CodeKeyDue,
		ExitDue, "a stored key is due: it is too old, or nobody uses it",
		"replace what is due: broker rotate --due",
	},
	{
		ipc.CodeAWSKeyUnknown,
		ExitAWS, "AWS does not take the access key: it is inactive, deleted, or never was one; AWS does not tell these apart",
		"the key may be inactive or deleted: look at it in the IAM console, and activate it or store another",
	},
	{
		ipc.CodeAWSSecret,
		ExitAWS, "the secret access key is not that of the access key ID",
		"copy the secret access key again, whole and without blanks",
	},
	{
		ipc.CodeAWSClock,
		ExitAWS, "this machine's clock is more than 15 minutes off, by AWS's, which refuses such requests",
		"set this machine's clock and try again",
	},
	{
		ipc.CodeAWSExpired,
		ExitAWS, "AWS takes the temporary credentials for expired or unknown, even new ones",
		"try again",
	},
	{
		ipc.CodeAWSRegion,
		ExitAWS, "the Region is disabled for the account, or there is none of that name",
		"enable it in the AWS console, or choose another: region in the profile",
	},
	{
		ipc.CodeAWSDuration,
		ExitAWS, "the session is asked for longer than AWS allows the role or the user",
		"ask for less: duration_seconds in the AWS config, or role_duration in broker's",
	},
	{
		ipc.CodeAWSGarbage,
		ExitAWS, "what answered is not AWS, or not as AWS does",
		"look for a captive portal or a proxy that answers in its place, and check endpoint_url in broker's config",
	},
	{
		ipc.CodeAWSBlocked,
		ExitAWS, "AWS does not serve the account at all: it is suspended, closed, or not signed up for the service; background callers fail at once for 15 minutes",
		"ask who manages the AWS account; then, to try at once, in a terminal: broker exec PROFILE",
	},
	{
		ipc.CodeAWSFailed,
		ExitAWS, "AWS refused for another reason; the message is AWS's own",
		"",
	},
}
