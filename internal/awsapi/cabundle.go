// SPDX-License-Identifier: Apache-2.0

package awsapi

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// maxCABundle bounds the PEM file; the bundle of a Linux distribution has 220 KiB.
const maxCABundle = 4 << 20

// readCABundle returns the roots in a PEM file, or nil, which stands for the
// system's, if path is empty. Each error names the file. now tells what has
// expired.
func readCABundle(path string, now time.Time) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	text, err := readSafely(path)
	if err != nil {
		return nil, fmt.Errorf("ca_bundle: %w", err)
	}
	pool, err := parseCABundle(text, now)
	if err != nil {
		return nil, fmt.Errorf("ca_bundle: %s: %w", path, err)
	}
	return pool, nil
}

// readSafely reads a file that links may lead to, as distributions have them.
// A file that everybody may write decides nothing here: whoever adds an
// authority to it can read MFA codes and answer in the place of AWS.
func readSafely(path string) ([]byte, error) {
	info, err := os.Stat(path) // before Open, which would wait at a pipe
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", path)
	case info.Size() > maxCABundle:
		return nil, fmt.Errorf("%s is over %d MiB", path, maxCABundle>>20)
	case writableByAll(info):
		return nil, fmt.Errorf("%s can be written by everybody: chmod o-w it", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxCABundle))
}

// parseCABundle passes over certificates that Go does not read, as bundles of
// years have them, but not over a file that was cut off, nor one in which
// nothing is valid any more.
func parseCABundle(text []byte, now time.Time) (*x509.CertPool, error) {
	pool, found, last := x509.NewCertPool(), false, time.Time{}
	var block *pem.Block
	for {
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			pool.AddCert(cert)
			found = true
			if cert.NotAfter.After(last) {
				last = cert.NotAfter
			}
		}
	}
	switch {
	case bytes.Contains(text, []byte("-----BEGIN ")):
		return nil, errors.New("the file is damaged or cut off: a certificate begins and does not end")
	case !found:
		return nil, errors.New("it holds no certificate")
	case last.Before(now):
		return nil, fmt.Errorf("every certificate in it has expired, the last one on %s", last.UTC().Format(time.DateOnly))
	}
	return pool, nil
}
