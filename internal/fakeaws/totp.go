// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"crypto/hmac"
	"crypto/sha1" // RFC 6238 as AWS uses it
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"time"
)

// defaultStep is the time step of a virtual MFA device: RFC 6238, section 4.1.
const defaultStep = 30 * time.Second

var seedEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// totpCode returns the 6 digits of RFC 6238 with SHA-1 for one time step.
func totpCode(seed []byte, counter int64) string {
	mac := hmac.New(sha1.New, seed)
	var message [8]byte
	binary.BigEndian.PutUint64(message[:], uint64(counter))
	mac.Write(message[:])
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	number := binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff
	return fmt.Sprintf("%06d", number%1e6)
}

// stepOf returns the number of the time step that holds t.
func stepOf(t time.Time, step time.Duration) int64 {
	return t.UnixNano() / int64(step)
}

// stepEnd returns the first instant after a time step.
func stepEnd(counter int64, step time.Duration) time.Time {
	return time.Unix(0, (counter+1)*int64(step))
}
