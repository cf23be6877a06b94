// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// service is one of the services that share the endpoint. A request of the
// query protocol says which one it means by the version of its API, one of the
// JSON protocol by the header X-Amz-Target.
type service struct {
	name      string
	version   string // of the query protocol
	namespace string // of its XML
	target    string // of the JSON protocol: what stands before the action
}

var (
	sts        = service{name: "sts", version: "2011-06-15", namespace: "https://sts.amazonaws.com/doc/2011-06-15/"}
	iam        = service{name: "iam", version: "2010-05-08", namespace: "https://iam.amazonaws.com/doc/2010-05-08/"}
	cloudtrail = service{name: "cloudtrail", target: "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101."}
)

// action returns the name of an action as policies and refusals spell it.
func (v service) action(name string) string { return v.name + ":" + name }

// isJSON reports whether the service speaks the JSON protocol.
func (v service) isJSON() bool { return v.target != "" }

// action is one operation of a service.
type action struct {
	service service
	do      func(*Server, *call) (any, *apiError)
}

// actions are all that the account can do.
var actions = map[string]action{
	"GetCallerIdentity": {sts, (*Server).getCallerIdentity},
	"GetSessionToken":   {sts, (*Server).getSessionToken},
	"AssumeRole":        {sts, (*Server).assumeRole},

	"ListMFADevices":                     {iam, (*Server).listMFADevices},
	"GetUser":                            {iam, (*Server).getUser},
	"ListAccessKeys":                     {iam, (*Server).listAccessKeys},
	"CreateAccessKey":                    {iam, (*Server).createAccessKey},
	"UpdateAccessKey":                    {iam, (*Server).updateAccessKey},
	"DeleteAccessKey":                    {iam, (*Server).deleteAccessKey},
	"GetAccessKeyLastUsed":               {iam, (*Server).getAccessKeyLastUsed},
	"PutUserPolicy":                      {iam, (*Server).putUserPolicy},
	"GetUserPolicy":                      {iam, (*Server).getUserPolicy},
	"DeleteUserPolicy":                   {iam, (*Server).deleteUserPolicy},
	"ListAttachedUserPolicies":           {iam, (*Server).listAttachedUserPolicies},
	"GenerateServiceLastAccessedDetails": {iam, (*Server).generateServiceLastAccessedDetails},
	"GetServiceLastAccessedDetails":      {iam, (*Server).getServiceLastAccessedDetails},

	"LookupEvents": {cloudtrail, (*Server).lookupEvents},
}

// maxBody is more, in bytes, than any request of these actions needs.
const maxBody = 1 << 20

// request is an HTTP request for an action.
type request struct {
	http      *http.Request
	body      []byte
	params    url.Values // of the query protocol
	action    string
	service   service
	auth      authorization // zero if the header is missing or malformed
	requestID string
}

// call is an authenticated request on its way through an action.
type call struct {
	*request
	who   *caller
	now   time.Time
	entry *Entry
}

// readRequest reads what is asked for. The request it returns is never nil, so
// that a refused one can be logged too.
func readRequest(w http.ResponseWriter, r *http.Request) (*request, *apiError) {
	req := &request{http: r, service: sts, params: url.Values{}}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return req, &apiError{code: "RequestEntityTooLarge", status: http.StatusRequestEntityTooLarge, message: "Request body is too large"}
	case err != nil:
		return req, refusef(codeValidation, "Request body could not be read")
	}
	req.body = body
	parse := req.parse
	if r.Header.Get(headerTarget) != "" {
		parse = req.parseJSON
	}
	if refused := parse(); refused != nil {
		return req, refused
	}
	auth, refused := parseAuthorization(r.Header.Get("Authorization"))
	req.auth = auth
	return req, refused
}

// parse finds the parameters, in the body of a POST or the query of a GET.
func (req *request) parse() *apiError {
	raw := req.http.URL.RawQuery
	switch req.http.Method {
	case http.MethodPost:
		kind, _, err := mime.ParseMediaType(req.http.Header.Get("Content-Type"))
		if err == nil && kind == "application/x-www-form-urlencoded" {
			raw = string(req.body)
		}
	case http.MethodGet:
	default:
		return &apiError{code: "MethodNotAllowed", status: http.StatusMethodNotAllowed, message: "Method not allowed"}
	}
	params, err := url.ParseQuery(raw)
	if err != nil {
		return refusef("MalformedQueryString", "The query string contains a syntax error.")
	}
	req.params, req.action = params, params.Get("Action")
	if params.Get("Version") == iam.version {
		req.service = iam
	}
	switch act, ok := actions[req.action]; {
	case req.http.URL.Path != "/":
		return &apiError{code: codeInvalidAction, status: http.StatusNotFound, message: "There is nothing at this path"}
	case req.action == "":
		return refusef("MissingAction", "The request is missing an action or a required parameter.")
	case params.Get("Version") != req.service.version:
		return refusef("NoSuchVersion", "The requested version (%s) is not valid.", params.Get("Version"))
	case ok && act.service.name != req.service.name:
		return refusef(codeInvalidAction, "Could not find operation %s for version %s", req.action, req.service.version)
	}
	return nil
}

// parseJSON finds the action of a request of the JSON protocol.
// https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
func (req *request) parseJSON() *apiError {
	req.service = cloudtrail
	action, ok := strings.CutPrefix(req.http.Header.Get(headerTarget), cloudtrail.target)
	kind, _, err := mime.ParseMediaType(req.http.Header.Get("Content-Type"))
	act, known := actions[action]
	if req.http.Method != http.MethodPost || req.http.URL.Path != "/" || err != nil || kind != jsonType ||
		!ok || !known || act.service.name != cloudtrail.name {
		return refusal(codeUnknownAction)
	}
	req.action = action
	return nil
}
