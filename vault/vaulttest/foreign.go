// SPDX-License-Identifier: Apache-2.0

package vaulttest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
)

// What aws-vault and granted keep, made from the specifications and from what
// they document of themselves. Nothing here knows the library that reads it in
// production: the two agree, or a test says so.

// AWSVaultKey returns what aws-vault and granted store of a key today: the
// credentials type of the AWS SDK for Go, version 2.
func AWSVaultKey(accessKeyID, secretAccessKey string) []byte {
	return fmt.Appendf(nil, `{"AccessKeyID":%q,"SecretAccessKey":%q,"SessionToken":"","Source":"","CanExpire":false,"Expires":"0001-01-01T00:00:00Z","AccountID":""}`,
		accessKeyID, secretAccessKey)
}

// OldAWSVaultKey returns what aws-vault stored while it used version 1 of the
// SDK.
func OldAWSVaultKey(accessKeyID, secretAccessKey string) []byte {
	return fmt.Appendf(nil, `{"AccessKeyID":%q,"SecretAccessKey":%q,"SessionToken":"","ProviderName":""}`, accessKeyID, secretAccessKey)
}

// WrappedItem returns what is stored where a store has room for one text alone.
func WrappedItem(key string, data []byte) []byte {
	wrapped, err := json.Marshal(map[string]any{
		"Key": key, "Data": data, "Label": "aws-vault (" + key + ")", "Description": "",
		"KeychainNotTrustApplication": true, "KeychainNotSynchronizable": false,
	})
	if err != nil {
		panic(err) // text and bytes can be encoded
	}
	return wrapped
}

// rounds are those of aws-vault's files.
const rounds = 8192

// EncryptedFile returns the body of a file of such a store: a compact JWE of
// PBES2-HS256+A128KW and A256GCM (RFC 7516; RFC 7518, sections 4.8 and 5.3).
func EncryptedFile(passphrase string, payload []byte) []byte {
	salt, key, iv := random(12), random(32), random(12)
	header := fmt.Sprintf(`{"alg":"PBES2-HS256+A128KW","created":"2024-01-01 00:00:00 +0000 UTC","enc":"A256GCM","p2c":%d,"p2s":%q}`, rounds, b64(salt))
	salted := append([]byte("PBES2-HS256+A128KW\x00"), salt...)
	wrapping, err := pbkdf2.Key(sha256.New, passphrase, salted, rounds, 16)
	if err != nil {
		panic(err) // of lengths, which are constants
	}
	block, _ := aes.NewCipher(key)    // as above
	sealer, _ := cipher.NewGCM(block) // as above
	protected := b64([]byte(header))
	sealed := sealer.Seal(nil, iv, payload, []byte(protected))
	text, tag := sealed[:len(sealed)-sealer.Overhead()], sealed[len(sealed)-sealer.Overhead():]
	return []byte(strings.Join([]string{protected, b64(wrapKey(wrapping, key)), b64(iv), b64(text), b64(tag)}, "."))
}

// FileName returns how a key is spelled as the name of a file.
func FileName(key string) string {
	var name strings.Builder
	for _, c := range []byte(key) {
		if c == '/' || c == '%' {
			fmt.Fprintf(&name, "%%%02X", c)
			continue
		}
		name.WriteByte(c)
	}
	return name.String()
}

// wrapKey wraps a key with another (RFC 3394, section 2.2.1).
func wrapKey(wrapping, key []byte) []byte {
	block, err := aes.NewCipher(wrapping)
	if err != nil {
		panic(err) // of its length, which is constant
	}
	a := bytes.Repeat([]byte{0xA6}, 8)
	r := bytes.Clone(key)
	n := len(r) / 8
	for j := range 6 {
		for i := range n {
			b := append(bytes.Clone(a), r[8*i:8*i+8]...)
			block.Encrypt(b, b)
			binary.BigEndian.PutUint64(a, binary.BigEndian.Uint64(b[:8])^uint64(n*j+i+1))
			copy(r[8*i:], b[8:])
		}
	}
	return append(a, r...)
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
