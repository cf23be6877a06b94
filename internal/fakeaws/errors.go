// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// apiError is a refusal as AWS words it.
type apiError struct {
	code    string
	status  int
	message string
}

// The codes whose status or text is needed in more than one place.
const (
	codeAccessDenied    = "AccessDenied"
	codeExpiredToken    = "ExpiredToken"
	codeIncomplete      = "IncompleteSignature"
	codeInternal        = "InternalFailure"
	codeInvalidAction   = "InvalidAction"
	codeInvalidToken    = "InvalidClientTokenId"
	codeLimit           = "LimitExceeded"
	codeMalformedPolicy = "MalformedPolicyDocument"
	codeMissingToken    = "MissingAuthenticationToken"
	codeNoSuchEntity    = "NoSuchEntity"
	codePackedPolicy    = "PackedPolicyTooLarge"
	codeRegionDisabled  = "RegionDisabledException"
	codeSerialization   = "SerializationException"
	codeSignature       = "SignatureDoesNotMatch"
	codeThrottling      = "Throttling"
	codeUnavailable     = "ServiceUnavailable"
	codeUnknownAction   = "UnknownOperationException"
	codeValidation      = "ValidationError"
)

// known are the status and the usual text of each code that this package, or
// the knob fail.ACTION, can answer with. A code that is not here is a 400.
var known = map[string]apiError{
	codeAccessDenied:    {status: http.StatusForbidden, message: "Access denied"},
	codeExpiredToken:    {status: http.StatusForbidden, message: "The security token included in the request is expired"},
	codeIncomplete:      {status: http.StatusBadRequest, message: "The request signature does not conform to AWS standards."},
	codeInternal:        {status: http.StatusInternalServerError, message: "We encountered an internal error. Please try again."},
	codeInvalidAction:   {status: http.StatusBadRequest, message: "The action or operation requested is invalid."},
	codeInvalidToken:    {status: http.StatusForbidden, message: "The security token included in the request is invalid."},
	codeLimit:           {status: http.StatusConflict, message: "The request was rejected because it attempted to create resources beyond the current AWS account limits."},
	codeMalformedPolicy: {status: http.StatusBadRequest, message: "This policy contains invalid Json"},
	codeMissingToken:    {status: http.StatusForbidden, message: "Request is missing Authentication Token"},
	codeNoSuchEntity:    {status: http.StatusNotFound, message: "The entity cannot be found."},
	codePackedPolicy:    {status: http.StatusBadRequest, message: "Packed policy consumes more than the allotted space, please use smaller policy."},
	codeRegionDisabled:  {status: http.StatusForbidden, message: "STS is not activated in this region for account. Your account administrator can activate STS in this region using the IAM Console."},
	codeSignature:       {status: http.StatusForbidden, message: "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."},
	codeThrottling:      {status: http.StatusBadRequest, message: "Rate exceeded"},
	codeUnavailable:     {status: http.StatusServiceUnavailable, message: "Service Unavailable"},
	codeUnknownAction:   {status: http.StatusBadRequest, message: "The requested operation is not recognized by the service."},
	codeValidation:      {status: http.StatusBadRequest, message: "The input fails to satisfy the constraints specified by an AWS service."},
	"ServiceFailure":    {status: http.StatusInternalServerError, message: "We encountered an internal error. Please try again."},
	"OptInRequired":     {status: http.StatusForbidden, message: "The AWS Access Key Id needs a subscription for the service"},
	"AccountProblem":    {status: http.StatusForbidden, message: "There is a problem with your AWS account that prevents the operation from completing successfully."},
}

// refusal returns the error of a code with its usual status and text.
func refusal(code string) *apiError {
	e, ok := known[code]
	if !ok {
		e = apiError{status: http.StatusBadRequest, message: code}
	}
	e.code = code
	return &e
}

// refusef returns the error of a code with its usual status and its own text.
func refusef(code, format string, args ...any) *apiError {
	e := refusal(code)
	e.message = fmt.Sprintf(format, args...)
	return e
}

// jsonCodes are the refusals that come before an action, as services of the
// JSON protocol spell them; their status is 400.
var jsonCodes = map[string]string{
	codeAccessDenied: "AccessDeniedException",
	codeExpiredToken: "ExpiredTokenException",
	codeIncomplete:   "IncompleteSignatureException",
	codeInvalidToken: "UnrecognizedClientException",
	codeMissingToken: "MissingAuthenticationTokenException",
	codeSignature:    "InvalidSignatureException",
	codeThrottling:   "ThrottlingException",
	codeValidation:   "ValidationException",
}

// spelt returns the refusal as a service spells it.
func (v service) spelt(e *apiError) *apiError {
	code, ok := jsonCodes[e.code]
	if !ok || !v.isJSON() {
		return e
	}
	return &apiError{code: code, status: http.StatusBadRequest, message: e.message}
}

// The texts by which a client tells the three MFA refusals apart: AWS gives
// them one code. Blanks at the end and in the middle are AWS's.
const (
	textMFACode   = "MultiFactorAuthentication failed with invalid MFA one time pass code. "
	textMFASerial = "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user."
	textMFAHalf   = "MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code. "
)

const (
	textSessionCaller = "Cannot call GetSessionToken with session credentials"
	textRootRole      = "Roles may not be assumed by root accounts."
	textNeedsUserName = "Must specify userName when calling with non-User credentials"
	textMaxDuration   = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
	textChaining      = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
)

func unauthorized(who *caller, action, resource string) *apiError {
	return refusef(codeAccessDenied, "User: %s is not authorized to perform: %s on resource: %s", who.arn(), action, resource)
}

// skewed returns the refusal of a signature made at the given time, nil if the
// time is within 15 minutes of now, the limit of Signature Version 4.
func skewed(signed, now time.Time) *apiError {
	const limit = 15 * time.Minute
	switch {
	case signed.Before(now.Add(-limit)):
		return refusef(codeSignature, "Signature expired: %s is now earlier than %s (%s - 15 min.)",
			amzDate(signed), amzDate(now.Add(-limit)), amzDate(now))
	case signed.After(now.Add(limit)):
		return refusef(codeSignature, "Signature not yet current: %s is still later than %s (%s + 15 min.)",
			amzDate(signed), amzDate(now.Add(limit)), amzDate(now))
	}
	return nil
}

// violations joins constraint failures into one ValidationError, as the model
// validation of AWS does. It returns nil for none.
func violations(found []string) *apiError {
	switch len(found) {
	case 0:
		return nil
	case 1:
		return refusef(codeValidation, "1 validation error detected: %s", found[0])
	}
	return refusef(codeValidation, "%d validation errors detected: %s", len(found), strings.Join(found, "; "))
}
