// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// ControlPath is where a Server takes the commands of broker-sandbox, beside
// the actions of AWS and on the same endpoint:
//
//	POST code   {"serialNumber":S}  →  {"code":"123456"}; waits for a code that was not shown yet
//	GET  log    [?follow=1]         →  one Entry a line
//	GET  account                    →  the document, as it is now
//	POST set    ["KNOB=VALUE",…]    →  {}
//	POST reset                      →  {}
//
// A refusal is {"error":"…"}. Requests of a browser are refused: a page could
// otherwise turn the knobs of somebody's demo.
const ControlPath = "/_sandbox/"

// codeWait is how long a request for a code is held at most: two time steps of
// a phone and a margin.
const codeWait = 65 * time.Second

func (s *Server) serveControl(w http.ResponseWriter, r *http.Request) {
	if reason := foreign(r); reason != "" {
		writeControl(w, http.StatusForbidden, map[string]string{"error": reason})
		return
	}
	result, err := any(nil), errors.New("no such control")
	switch r.Method + " " + strings.TrimPrefix(r.URL.Path, ControlPath) {
	case "GET log":
		s.writeLog(w, r)
		return
	case "GET account":
		result, err = s.controlAccount(r)
	case "POST code":
		result, err = s.controlCode(r)
	case "POST set":
		result, err = s.controlSet(r)
	case "POST reset":
		s.Reset()
		result, err = struct{}{}, nil
	}
	if err != nil {
		writeControl(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	writeControl(w, http.StatusOK, result)
}

// foreign says why a request is not one of broker-sandbox on this machine:
// names that resolve to loopback are how a web page gets here.
func foreign(r *http.Request) string {
	for _, name := range []string{"Origin", "Referer", "Sec-Fetch-Site"} {
		if r.Header.Get(name) != "" {
			return "requests of a browser are refused"
		}
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = strings.Trim(r.Host, "[]")
	}
	addr, err := netip.ParseAddr(host)
	if host != "localhost" && (err != nil || !addr.IsLoopback()) {
		return "the host must be a loopback address"
	}
	return ""
}

func readControl(r *http.Request, v any) error {
	data, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		return errors.New("the request is not the JSON that this control takes")
	}
	return nil
}

func writeControl(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client has gone: nobody is left to tell
}

func (s *Server) controlAccount(r *http.Request) (json.RawMessage, error) {
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	return s.Document(scheme+r.Host, "")
}

func (s *Server) controlCode(r *http.Request) (any, error) {
	var params struct {
		SerialNumber string `json:"serialNumber"`
	}
	if err := readControl(r, &params); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), codeWait)
	defer cancel()
	code, err := s.Code(ctx, params.SerialNumber)
	return map[string]string{"code": code}, err
}

func (s *Server) controlSet(r *http.Request) (any, error) {
	var settings []string
	if err := readControl(r, &settings); err != nil {
		return nil, err
	}
	return struct{}{}, s.Set(settings...)
}

// writeLog writes the log, one entry a line, and with follow each further
// entry as it comes until the client goes.
func (s *Server) writeLog(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc := json.NewEncoder(w)
	write := func(entries []Entry) error {
		for _, e := range entries {
			if err := enc.Encode(e); err != nil {
				return err
			}
		}
		return http.NewResponseController(w).Flush()
	}
	if r.URL.Query().Get("follow") == "" {
		_ = write(s.Log()) // the client has gone: nobody is left to tell
		return
	}
	_ = s.follow(r.Context(), write) // ends when the client goes
}
