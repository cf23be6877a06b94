// SPDX-License-Identifier: Apache-2.0

//go:build unix

package awsapi

import (
	"bytes"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"credbroker/internal/fakeaws"
)

// authority returns a TLS configuration for loopback and the PEM that it is
// verified with, both of a time.
func authority(t *testing.T, now time.Time) (*tls.Config, []byte) {
	t.Helper()
	config, pem, err := fakeaws.NewTLS(now)
	if err != nil {
		t.Fatal(err)
	}
	return config, pem
}

func write(t *testing.T, mode os.FileMode, parts ...[]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, bytes.Join(parts, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask says
		t.Fatal(err)
	}
	return path
}

// serveTLS serves a good GetSessionToken answer over TLS.
func serveTLS(t *testing.T, config *tls.Config) string {
	t.Helper()
	s := httptest.NewUnstartedServer(answer(http.StatusOK, session(expiration(time.Now().Add(time.Hour)))))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that we break
	s.TLS = config
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

func TestCABundleFiles(t *testing.T) {
	config, good := authority(t, time.Now())
	_, other := authority(t, time.Now())
	_, old := authority(t, time.Now().AddDate(-3, 0, 0))
	url := serveTLS(t, config)
	notOurs := []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	link := filepath.Join(t.TempDir(), "link.pem")
	if err := os.Symlink(write(t, 0o644, good), link); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(t.TempDir(), "pipe.pem")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, path string
		want       string // part of the error; empty = it works
	}{
		{"one certificate", write(t, 0o600, good), ""},
		{"several", write(t, 0o644, []byte("# corporate\n"), other, []byte("\n"), good), ""},
		{"a symlink", link, ""},
		{"one that has expired beside one that has not", write(t, 0o600, old, good), ""},
		{"one that Go cannot read beside one that it can", write(t, 0o600, notOurs, good), ""},
		{"only expired ones", write(t, 0o600, old), "every certificate in it has expired, the last one on 20"},
		{"only unreadable ones", write(t, 0o600, notOurs), "holds no certificate"},
		{"cut off", write(t, 0o600, good, other[:len(other)/2]), "cut off"},
		{"empty", write(t, 0o600), "holds no certificate"},
		{"no PEM", write(t, 0o600, []byte("certificate")), "holds no certificate"},
		{"huge", write(t, 0o600, bytes.Repeat([]byte("#\n"), maxCABundle/2+1)), "over 4 MiB"},
		{"a directory", t.TempDir(), "is not a file"},
		{"a pipe", pipe, "is not a file"},
		{"writable by everybody", write(t, 0o666, good), "can be written by everybody"},
		{"missing", filepath.Join(t.TempDir(), "none.pem"), "no such file"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := testOptions(url)
			o.CABundle = test.path
			c, err := New(o)
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if _, err := mint(t.Context(), c); err != nil {
					t.Error(err)
				}
				return
			}
			e := wantError(t, err, codeConfig)
			if !strings.Contains(e.Error(), test.want) || !strings.Contains(e.Error(), test.path) || !strings.Contains(e.Error(), "ca_bundle") {
				t.Errorf("error is %q, want it to name ca_bundle, %s and %q", e, test.path, test.want)
			}
		})
	}
}

// TestTLSIsVerified: who else answers on AWS's address learns no code.
func TestTLSIsVerified(t *testing.T) {
	config, pem := authority(t, time.Now())
	strangers, _ := authority(t, time.Now())
	expired, expiredPEM := authority(t, time.Now().AddDate(-1, 0, 0))
	_, valid := authority(t, time.Now())
	outdated := config.Clone()
	outdated.MinVersion, outdated.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	tests := []struct {
		name   string
		config *tls.Config
		pem    []byte
		host   string
		code   string
	}{
		{"another authority", strangers, pem, "127.0.0.1", codeCertificate},
		{"another name", config, pem, "127.0.0.2", codeCertificate},
		{"expired", expired, append(valid, expiredPEM...), "127.0.0.1", codeCertificate},
		{"TLS 1.1", outdated, pem, "127.0.0.1", codeUnreachable},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l, err := net.Listen("tcp", test.host+":0")
			if err != nil {
				t.Fatal(err)
			}
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				t.Error("a request came through")
			}))
			_ = s.Listener.Close() // it has another address
			s.Listener, s.TLS, s.Config.ErrorLog = l, test.config, log.New(io.Discard, "", 0)
			s.StartTLS()
			defer s.Close()
			o := testOptions(s.URL)
			o.CABundle = write(t, 0o600, test.pem)
			c := mustNew(t, o)
			_, err = mint(t.Context(), c)
			if e := wantError(t, err, test.code); e.Sent {
				t.Errorf("Sent is true: %v", e)
			}
			_, err = c.Reach(t.Context())
			wantError(t, err, test.code)
		})
	}
}
