// SPDX-License-Identifier: Apache-2.0

package awsapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"unicode"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// The codes of an Error, spelt as those of the conversation protocol.
const (
	codeUnreachable = "aws_unreachable"
	codeSlow        = "aws_slow"
	codeCertificate = "aws_certificate"
	codeProxy       = "aws_proxy"
	codeThrottled   = "aws_throttled"
	codeDenied      = "aws_denied"
	codeExplicit    = "aws_explicit_deny"
	codeQuarantined = "aws_quarantined"
	codeRoleDenied  = "role_denied"
	codeKeyUnknown  = "aws_key_unknown"
	codeKeyGone     = "key_gone"
	codeKeyQuota    = "key_quota"
	codeSecret      = "aws_secret"
	codeClock       = "aws_clock"
	codeExpired     = "aws_expired"
	codeRegion      = "aws_region"
	codeDuration    = "aws_duration"
	codeUnavailable = "aws_unavailable"
	codeGarbage     = "aws_garbage"
	codeBlocked     = "aws_blocked"
	codeFailed      = "aws_failed"
	codeMFAWrong    = "mfa_wrong"
	codeMFASerial   = "mfa_serial"
	codeMFAUnknown  = "mfa_unknown"
	codeConfig      = "config_broken"
	codeProfile     = "profile_invalid"
)

// Error is a call that AWS refused, did not answer, or answered with nonsense.
type Error struct {
	Code       string // one of the conversation protocol's codes
	Action     string // "GetSessionToken"; empty if no call was made
	AWSCode    string // "AccessDenied"; empty if AWS did not answer
	Message    string // AWS's text, one line and bounded, or ours
	HTTPStatus int    // 0 = no answer
	RequestID  string
	// Permission is what the caller would need, as in "iam:CreateAccessKey",
	// where IAM denied a call; else it is empty.
	Permission string
	// Sent reports that the request may have reached AWS. It is false only
	// if no connection came about: an MFA code in it is then still unused.
	Sent  bool
	cause error
	hint  string // for Hint; empty = by Code
}

// NotFound reports whether IAM does not have what the call was about: a key, a
// policy, or the user.
func (e *Error) NotFound() bool {
	return e.AWSCode == "NoSuchEntity" || e.AWSCode == "NoSuchEntityException"
}

// Error names the action, AWS's code and its text, and the permission that is
// missing.
func (e *Error) Error() string {
	text := e.Message
	if e.AWSCode != "" {
		text = e.AWSCode + ": " + text
	}
	if e.Action != "" {
		text = e.Action + ": " + text
	}
	if e.Permission != "" && !strings.Contains(text, e.Permission) {
		text += " (it needs " + e.Permission + ")"
	}
	return text
}

// Hint says what to do next where that does not follow from Code; else it is
// empty.
func (e *Error) Hint() string {
	switch {
	case e.hint != "":
		return e.hint
	case e.Code == codeConfig:
		return "correct [aws] in broker's config"
	}
	return ""
}

// Refused reports that AWS itself answered, and did not do what it was asked
// for. A failure of AWS's own (HTTP 5xx) may come after it was done.
func (e *Error) Refused() bool { return e.AWSCode != "" && e.HTTPStatus > 0 && e.HTTPStatus < 500 }

// misconfigured is what New says of Options that cannot be.
func misconfigured(err error) *Error {
	return &Error{Code: codeConfig, Message: "reach AWS: " + err.Error()}
}

// Unwrap returns the context's error if that ended the call, else nil. The
// SDK's errors are not passed on: they may hold the bytes of the answer.
func (e *Error) Unwrap() error { return e.cause }

// judge turns whatever ended an exchange into an Error.
func (k call) judge(ctx context.Context, err error, x *exchange) *Error {
	e := &Error{Action: k.action, HTTPStatus: x.status, RequestID: x.requestID, Sent: x.sent.Load()}
	var ours *Error
	var api smithy.APIError
	switch {
	case errors.As(err, &ours):
		e.Code, e.Message = ours.Code, ours.Message
	case errors.Is(err, errTooLarge):
		e.Code, e.Message = codeGarbage, errTooLarge.Error()
	case errors.As(err, &api) && api.ErrorCode() != "" && api.ErrorCode() != "UnknownError":
		e.AWSCode = clean(api.ErrorCode(), 64)
		e.Message = k.hide(clean(api.ErrorMessage(), 512))
		e.Code = k.classify(e)
		if e.Code == codeDenied || e.Code == codeExplicit || e.Code == codeQuarantined {
			e.Permission = k.permission
		}
	case x.status == 0 || errors.Is(err, errCutShort) || ctx.Err() != nil:
		e.Code, e.Message, e.cause = networkCode(ctx, err, e.Sent), networkText(ctx, err), ctx.Err()
	default:
		e.Code, e.Message = codeGarbage, fmt.Sprintf("the answer (HTTP status %d) is not one of AWS's", x.status)
	}
	return e
}

// classify finds the code for an error of AWS. STS uses AccessDenied for three
// failures of MFA and SignatureDoesNotMatch for a wrong clock, so the text has
// to decide.
func (k call) classify(e *Error) string {
	text := strings.ToLower(e.Message)
	switch e.AWSCode {
	case "AccessDenied", "AccessDeniedException":
		return k.classifyDenied(text)
	case "SignatureDoesNotMatch", "InvalidSignatureException":
		if strings.Contains(text, "signature expired") || strings.Contains(text, "signature not yet current") {
			return codeClock
		}
		return codeSecret
	case "RequestExpired", "RequestTimeTooSkewed":
		return codeClock
	case "InvalidClientTokenId", "InvalidAccessKeyId", "UnrecognizedClientException":
		if k.temporary {
			return codeExpired
		}
		return codeKeyUnknown
	case "ExpiredToken", "ExpiredTokenException":
		return codeExpired
	case "NoSuchEntity", "NoSuchEntityException":
		if strings.Contains(text, "access key") {
			return codeKeyGone
		}
	case "LimitExceeded", "LimitExceededException":
		if strings.Contains(text, "accesskeysperuser") {
			return codeKeyQuota
		}
	case "RegionDisabledException":
		return codeRegion
	// https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html, and
	// what other services say of an account that is closed or in arrears.
	case "OptInRequired", "AccountProblem", "PendingVerification":
		return codeBlocked
	case "ValidationError", "ValidationException":
		if strings.Contains(text, "durationseconds") {
			return codeDuration
		}
	}
	switch {
	case e.HTTPStatus == 429, isThrottling(e.AWSCode):
		return codeThrottled
	case e.HTTPStatus >= 500:
		return codeUnavailable
	}
	return codeFailed
}

// isThrottling reports whether a code of AWS asks to slow down.
func isThrottling(awsCode string) bool {
	switch awsCode {
	case "Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded", "TooManyRequestsException":
		return true
	}
	return false
}

// quarantine begins the names of the policies that AWS attaches to the user of
// a key that it found in public, as an ARN in its text shows them.
// https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSCompromisedKeyQuarantineV3.html
const quarantine = "awscompromisedkeyquarantine"

// classifyDenied tells the failures of MFA, and a policy that denies on
// purpose, from a lack of permission. Of a role AWS never says what is lacking.
func (k call) classifyDenied(text string) string {
	if strings.Contains(text, "multifactorauthentication failed") {
		switch {
		case strings.Contains(text, "invalid mfa one time pass code"):
			return codeMFAWrong
		case strings.Contains(text, "unable to validate mfa code"):
			return codeMFASerial
		case strings.Contains(text, "must provide both"):
			return codeMFAUnknown
		}
	}
	switch {
	case strings.Contains(text, quarantine):
		return codeQuarantined
	case strings.Contains(text, "explicit deny"):
		return codeExplicit
	case k.action == actAssumeRole:
		return codeRoleDenied
	}
	return codeDenied
}

// hide blots out what the request carried in confidence: a ValidationError
// quotes the value that it objects to.
func (k call) hide(text string) string {
	for _, h := range k.hidden {
		if h != "" {
			text = strings.ReplaceAll(text, h, "[redacted]")
		}
	}
	return text
}

// networkCode tells whose fault it is that there is no answer. connected says
// that a connection, TLS included, was there.
func networkCode(ctx context.Context, err error, connected bool) string {
	var untrusted *tls.CertificateVerificationError
	var refused *proxyRefusal
	var op *net.OpError
	switch {
	case errors.As(err, &untrusted):
		return codeCertificate
	case errors.As(err, &refused), errors.As(err, &op) && op.Op == "proxyconnect":
		return codeProxy
	case connected && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return codeSlow
	}
	return codeUnreachable
}

// networkText says in one line what went wrong with the connection.
func networkText(ctx context.Context, err error) string {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(ctx.Err(), context.Canceled):
		return "given up by the caller"
	}
	var send *smithyhttp.RequestSendError
	if errors.As(err, &send) {
		err = send.Err // without the SDK's preamble
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // without the URL, which says nothing new
	}
	var op *net.OpError
	switch {
	case errors.Is(err, io.EOF):
		return "the connection ended before an answer came"
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return clean("connect to the proxy: "+op.Err.Error(), 256)
	}
	return clean(err.Error(), 256)
}

// clean returns the first line of text without control characters, at most max
// bytes. AWS's text on a wrong signature goes on, after an empty line, with the
// whole request, session token included.
func clean(text string, max int) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, text)
	if len(text) > max {
		text = strings.ToValidUTF8(text[:max], "")
	}
	return text
}
