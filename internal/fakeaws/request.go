// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"
)

// service is one of the two services that share the endpoint. A request says
// which one it means by the version of its API.
type service struct {
	name      string
	version   string
	namespace string
}

var (
	sts = service{name: "sts", version: "2011-06-15", namespace: "https://sts.amazonaws.com/doc/2011-06-15/"}
	iam = service{name: "iam", version: "2010-05-08", namespace: "https://iam.amazonaws.com/doc/2010-05-08/"}
)

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
	"ListMFADevices":    {iam, (*Server).listMFADevices},
	"GetUser":           {iam, (*Server).getUser},
}

// maxBody is more, in bytes, than any request of these actions needs.
const maxBody = 1 << 20

// request is an HTTP request of the query protocol.
type request struct {
	http    *http.Request
	body    []byte
	params  url.Values
	action  string
	service service
	auth    authorization // zero if the header is missing or malformed
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
	if err := req.parse(); err != nil {
		return req, err
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
