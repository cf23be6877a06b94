// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"strconv"
)

// jsonType is the media type of the JSON protocol.
const jsonType = "application/x-amz-json-1.1"

// reply is the answer to one action, before knobs mangle or drop it.
type reply struct {
	service   service
	action    string
	requestID string
	result    any
	err       *apiError
	drop      bool
	mangle    string // a value of the knob body, empty for the true body
}

type xmlMetadata struct {
	RequestID string `xml:"RequestId"`
}

type xmlResponse struct {
	XMLName  xml.Name
	Result   any
	Metadata xmlMetadata `xml:"ResponseMetadata"`
}

type xmlError struct {
	XMLName xml.Name `xml:"ErrorResponse"`
	Xmlns   string   `xml:"xmlns,attr"`
	Error   struct {
		Type    string
		Code    string
		Message string
	}
	RequestID string `xml:"RequestId"`
}

// document returns the status and the XML or JSON of a reply.
func (p reply) document() (int, []byte) {
	if p.service.isJSON() {
		return p.documentJSON()
	}
	status, doc := http.StatusOK, any(xmlResponse{
		XMLName:  xml.Name{Space: p.service.namespace, Local: p.action + "Response"},
		Result:   p.result,
		Metadata: xmlMetadata{p.requestID},
	})
	if p.err != nil {
		e := xmlError{Xmlns: p.service.namespace, RequestID: p.requestID}
		e.Error.Type, e.Error.Code, e.Error.Message = "Sender", p.err.code, p.err.message
		if p.err.status >= http.StatusInternalServerError {
			e.Error.Type = "Receiver"
		}
		status, doc = p.err.status, e
	}
	var buf bytes.Buffer
	enc := xml.NewEncoder(&buf)
	enc.Indent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return http.StatusInternalServerError, nil // a defect of this package; every shape is tested
	}
	return status, append(buf.Bytes(), '\n')
}

func (p reply) documentJSON() (int, []byte) {
	status, doc := http.StatusOK, p.result
	if p.err != nil {
		status, doc = p.err.status, struct {
			Type    string `json:"__type"`
			Message string `json:"message"`
		}{p.err.code, p.err.message}
	}
	body, err := json.Marshal(doc)
	if err != nil {
		return http.StatusInternalServerError, nil // a defect of this package; every shape is tested
	}
	return status, body
}

// write sends a reply. It panics with http.ErrAbortHandler, which makes
// http.Server close the connection without a word, if the reply is dropped.
func (p reply) write(w http.ResponseWriter) {
	if p.drop {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("X-Amzn-RequestId", p.requestID)
	if p.mangle != "" {
		writeMangled(w, p.mangle)
		return
	}
	status, body := p.document()
	kind := "text/xml"
	if p.service.isJSON() {
		kind = jsonType
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client has gone: nobody is left to tell
}

// hugeBody is how many bytes the knob body=huge sends at most.
const hugeBody = 100 << 20

// writeMangled answers what something between the client and AWS, or a broken
// AWS, might answer.
func writeMangled(w http.ResponseWriter, how string) {
	switch how {
	case bodyHTML:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte("<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body><h1>Sign in to use this network</h1></body></html>\n"))
	case bodyGarbage:
		w.Header().Set("Content-Type", "text/xml")
		_, _ = w.Write([]byte("\x00\xff\xfe<GetSessionTokenResponse><<<&nope;\x1b[2J"))
	case bodyHuge:
		w.Header().Set("Content-Type", "text/xml")
		_, _ = w.Write([]byte("<Response><Result><Padding>"))
		chunk := bytes.Repeat([]byte("A"), 64<<10)
		for range hugeBody / len(chunk) {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
}
