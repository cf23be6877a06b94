// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"credbroker/internal/client"
	"credbroker/internal/ipc"
	"credbroker/internal/secret"
)

func TestParseCSV(t *testing.T) {
	const id, key = "AKIARTX3GSDSYYBOSE25", "sGMLZmB9CyVV0MCfnrfOzKlQAZ67Z5OPhNvKASjy"
	for _, test := range []struct {
		name, text string
		users      string // of the rows, joined; "!" before a message for an error
	}{
		{"two columns", "Access key ID,Secret access key\n" + id + "," + key + "\n", ""},
		{"byte order mark and CRLF", "\ufeffAccess key ID,Secret access key\r\n" + id + "," + key + "\r\n", ""},
		{"no newline at the end", "Access key ID,Secret access key\n" + id + "," + key, ""},
		{"user name", "User Name,Access key ID,Secret access key\nann," + id + "," + key + "\n", "ann"},
		{"user name, later spelling", "User name,Password,Access key ID,Secret access key,Console login link\nann,\"a,\"\"b\"," + id + "," + key + ",https://x\n", "ann"},
		{"blanks", " Access key ID , Secret access key \n " + id + " , " + key + " \n", ""},
		{"several rows", "User name,Access key ID,Secret access key\nann," + id + "," + key + "\ncarol,,\nbob," + id + "," + key + "\n", "ann bob"},
		{"empty", "", "!there is no header line"},
		{"other columns", "Name,Value\na,b\n", "!the header lacks"},
		{"no rows", "Access key ID,Secret access key\n", "!the file holds no access key"},
		{"swapped on purpose", "Secret access key,Access key ID\n" + key + "," + id + "\n", ""},
		{"stray quote", "Access key ID,Secret access key\n\"" + id + "," + key + "\n", "!line "},
	} {
		t.Run(test.name, func(t *testing.T) {
			keys, err := parseCSV([]byte(test.text))
			if message, bad := strings.CutPrefix(test.users, "!"); bad {
				if err == nil || !strings.Contains(err.Error(), message) || strings.Contains(err.Error(), key) {
					t.Fatalf("error = %v, want one that says %q and no secret", err, message)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var users []string
			for _, k := range keys {
				users = append(users, k.UserName)
				if k.AccessKeyID != id || !k.SecretAccessKey.Equal(secret.New(key)) {
					t.Errorf("row of %q holds %s", k.UserName, k.AccessKeyID)
				}
			}
			if got := strings.Join(users, " "); got != test.users {
				t.Errorf("rows of %q, want %q", got, test.users)
			}
		})
	}
}

func FuzzParseCSV(f *testing.F) {
	f.Add([]byte("User name,Access key ID,Secret access key\nann,AKIA,x\n"))
	f.Add([]byte("\ufeffAccess key ID,Secret access key\r\n\"a\"\"b\",c\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := parseCSV(data)
		if (err == nil) != (len(keys) > 0) {
			t.Errorf("%d keys and error %v", len(keys), err)
		}
	})
}

func TestPick(t *testing.T) {
	ann := csvKey{keyPair{AccessKeyID: "AKIA1"}, "ann"}
	bob := csvKey{keyPair{AccessKeyID: "AKIA2"}, "bob"}
	for _, test := range []struct {
		keys  []csvKey
		want  string
		found string
	}{
		{[]csvKey{ann}, "", "ann"},
		{[]csvKey{ann}, "ann", "ann"},
		{[]csvKey{ann}, "bob", ""},
		{[]csvKey{ann, bob}, "", ""},
		{[]csvKey{ann, bob}, "bob", "bob"},
		{[]csvKey{ann, bob}, "AKIA1", "ann"},
		{[]csvKey{ann, ann}, "ann", ""},
	} {
		if key, found := pick(test.keys, test.want); found != (test.found != "") || key.UserName != test.found {
			t.Errorf("pick(%d keys, %q) = %q, %v; want %q", len(test.keys), test.want, key.UserName, found, test.found)
		}
	}
}

// TestCheckKey: nothing that could be the secret is repeated, or told to the
// daemon as an access key ID.
func TestCheckKey(t *testing.T) {
	const id, key = "AKIARTX3GSDSYYBOSE25", "sGMLZmB9CyVV0MCfnrfOzKlQAZ67Z5OPhNvKASjy"
	for _, test := range []struct {
		id, key, want string
	}{
		{id, key, ""},
		{key, id, "are swapped"},
		{"ASIARTX3GSDSYYBOSE25", key, "is a temporary key"},
		{id, "", "is missing"},
		{"", key, "is missing"},
		{"akiartx3gsdsyybose25", key, "is malformed"},
		{"AKIA", key, "is malformed"},
		{key[:39], id, "is malformed"},
	} {
		err := keyPair{test.id, secret.New(test.key)}.check()
		if test.want == "" {
			if err != nil {
				t.Errorf("%s: %v", test.id, err)
			}
			continue
		}
		coded, status := client.Failure(err)
		if coded.Code != ipc.CodeKeyInvalid || status != client.ExitError || !strings.Contains(coded.Message, test.want) || strings.Contains(coded.Message+coded.Hint, key[:39]) {
			t.Errorf("%q: %+v, status %d; want code key_invalid and %q", test.id, coded, status, test.want)
		}
	}
}
