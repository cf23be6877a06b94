// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"path/filepath"
	"strings"
	"testing"
)

// readingCase is a pair of files, and who the SDKs take profile dev for. The
// same table is held against the real SDKs: botocore and Go in this package's
// tests wherever they run, JavaScript by make test-sdks, so that the column js
// is what Node.js was seen to do.
//
// A name is that of an access key: of one in a file as it stands, "other" of a
// foreign process, "broker-X" of broker asked for X, "role/R(NAME)" of a role
// assumed with NAME, "+code" of one for which somebody is asked for a code.
// Besides there are sso, login, web-identity, named, none and refused.
type readingCase struct {
	name, config, credentials string
	botocore, gov2, js        string
}

const (
	ourLine   = "credential_process = DIR/broker credential-process dev\n"
	otherLine = "credential_process = DIR/other\n"
	keyA      = "aws_access_key_id = KEYA\naws_secret_access_key = x\n"
	keyB      = "aws_access_key_id = KEYB\naws_secret_access_key = x\n"
	roleR     = "role_arn = arn:aws:iam::111122223333:role/R\n"
	roleS     = "role_arn = arn:aws:iam::111122223333:role/S\n"
	device    = "mfa_serial = arn:aws:iam::111122223333:mfa/ann\n"
	webToken  = "web_identity_token_file = DIR/token\n"
	oldSSO    = "sso_start_url = https://example.com/start\nsso_region = eu-west-1\nsso_account_id = 111122223333\nsso_role_name = dev\n"
	newSSO    = "sso_session = s\nsso_account_id = 111122223333\nsso_role_name = dev\n"
	session   = "[sso-session s]\nsso_start_url = https://example.com/start\nsso_region = eu-west-1\n"
	loginLine = "login_session = arn:aws:iam::111122223333:user/ann\n"
)

func readingCases() []readingCase {
	const dev, base = "[profile dev]\n", "[profile base]\n"
	const source = "source_profile = base\n"
	return []readingCase{
		// One source: all alike.
		{"nothing", dev + "region = eu-west-1\n", "", "none", "none", "none"},
		{"no profile", "[default]\n" + keyA, "", "refused", "refused", "none"},
		{"ours", dev + ourLine, "", "broker-dev", "broker-dev", "broker-dev"},
		{"ours for another", dev + "credential_process = DIR/broker credential-process ops\n", "", "broker-ops", "broker-ops", "broker-ops"},
		{"ours with a duration", dev + "credential_process = DIR/broker credential-process --duration=2h dev\n", "", "broker-dev", "broker-dev", "broker-dev"},
		{"a foreign process", dev + otherLine, "", "other", "other", "other"},
		{"a key in config", dev + keyA, "", "KEYA", "KEYA", "KEYA"},
		{"a key in credentials", "", "[dev]\n" + keyA, "KEYA", "KEYA", "KEYA"},
		{"keys in both", dev + keyA, "[dev]\n" + keyB, "KEYB", "KEYB", "KEYB"},
		{"a role from a key", dev + roleR + source + base + keyA, "", "role/R(KEYA)", "role/R(KEYA)", "role/R(KEYA)"},
		{"a role from a key in credentials", dev + roleR + source, "[base]\n" + keyA, "role/R(KEYA)", "role/R(KEYA)", "role/R(KEYA)"},
		{"a role from a process", dev + roleR + source + base + otherLine, "", "role/R(other)", "role/R(other)", "role/R(other)"},
		{"a role from a role", dev + roleR + source + base + roleS + "source_profile = root\n[profile root]\n" + keyA, "", "role/R(role/S(KEYA))", "role/R(role/S(KEYA))", "role/R(role/S(KEYA))"},
		{"a role from itself", dev + roleR + "source_profile = dev\n" + keyA, "", "role/R(KEYA)", "role/R(KEYA)", "role/R(KEYA)"},
		{"web identity", dev + roleR + webToken, "", "web-identity", "web-identity", "web-identity"},
		{"sso of the older kind", dev + oldSSO, "", "sso", "sso", "sso"},
		{"sso", dev + newSSO + session, "", "sso", "sso", "sso"},
		{"login", dev + loginLine, "", "login", "login", "login"},
		{"a role from a credential_source", dev + roleR + "credential_source = Environment\n", "", "role/R(named)", "role/R(named)", "role/R(named)"},
		// What wire leaves.
		{"wired", dev + ourLine + "broker_role_arn = arn:aws:iam::111122223333:role/R\nbroker_source_profile = base\nbroker_mfa_serial = m\nbroker_was_credential_process = DIR/other\nbroker_keep = mfa_serial\n", "[dev]\nbroker_role_arn = x\n", "broker-dev", "broker-dev", "broker-dev"},
		{"a role from a wired profile", dev + roleR + source + base + "credential_process = DIR/broker credential-process base\n", "", "role/R(broker-base)", "role/R(broker-base)", "role/R(broker-base)"},

		// Two sources in one profile.
		{"a key in config and a process", dev + keyA + ourLine, "", "broker-dev", "KEYA", "KEYA"},
		{"a key in credentials and a process", dev + ourLine, "[dev]\n" + keyA, "KEYA", "KEYA", "KEYA"},
		{"a key and a process in credentials", "", "[dev]\n" + keyA + ourLine, "KEYA", "KEYA", "KEYA"},
		{"a role and a process", dev + roleR + ourLine, "", "refused", "role/R(broker-dev)", "broker-dev"},
		{"a role with a source and a process", dev + roleR + source + ourLine + base + keyA, "", "role/R(KEYA)", "refused", "role/R(KEYA)"},
		{"a role and a key", dev + roleR + keyA, "", "refused", "role/R(KEYA)", "KEYA"},
		{"a role alone", dev + roleR, "", "refused", "role/R(none)", "none"},
		{"a role with both sources", dev + roleR + source + "credential_source = Environment\n" + base + keyA, "", "refused", "refused", "none"},
		{"a role and web identity and a process", dev + roleR + webToken + ourLine, "", "web-identity", "refused", "web-identity"},
		{"web identity without a role", dev + webToken + ourLine, "", "refused", "refused", "broker-dev"},
		{"sso and a process", dev + oldSSO + ourLine, "", "sso", "sso", "broker-dev"},
		{"sso and a key in config", dev + oldSSO + keyA, "", "sso", "KEYA", "KEYA"},
		{"sso and a key in credentials", dev + oldSSO, "[dev]\n" + keyA, "sso", "KEYA", "KEYA"},
		{"half of sso and a process", dev + "sso_region = eu-west-1\n" + ourLine, "", "broker-dev", "refused", "broker-dev"},
		{"a missing sso-session", dev + newSSO, "", "refused", "refused", "sso"},
		{"login and a process", dev + loginLine + ourLine, "", "login", "login", "broker-dev"},
		{"login and a key in config", dev + loginLine + keyA, "", "login", "KEYA", "KEYA"},
		{"login and a key in credentials", dev + loginLine, "[dev]\n" + keyA, "KEYA", "KEYA", "KEYA"},
		{"a source without a role", dev + source + base + keyA, "", "none", "refused", "none"},
		{"a source without a role and a process", dev + source + ourLine + base + keyA, "", "broker-dev", "refused", "broker-dev"},

		// What a role starts from.
		{"a device on a key", dev + roleR + source + device + base + keyA, "", "role/R(KEYA)+code", "refused", "refused"},
		{"a device on a process", dev + roleR + source + device + base + ourLine, "", "role/R(broker-dev)+code", "refused", "refused"},
		{"a missing source", dev + roleR + source, "", "refused", "refused", "refused"},
		{"a missing source and a process", dev + roleR + source + ourLine, "", "refused", "refused", "broker-dev"},
		{"an empty source", dev + roleR + source + base + "region = eu-west-1\n", "", "refused", "refused", "refused"},
		{"a circle", dev + roleR + source + base + roleS + "source_profile = dev\n", "", "refused", "refused", "refused"},
		{"a source with a role and a key", dev + roleR + source + base + roleS + keyA, "", "role/R(KEYA)", "role/R(role/S(KEYA))", "role/R(KEYA)"},
		{"a source with a key and a process", dev + roleR + source + base + otherLine + keyA, "", "role/R(other)", "role/R(KEYA)", "role/R(KEYA)"},
		{"a source that logs in", dev + roleR + source + base + loginLine, "", "role/R(login)", "refused", "role/R(login)"},
		{"a role from itself with a process", dev + roleR + "source_profile = dev\n" + ourLine, "", "refused", "refused", "broker-dev"},

		// Half pairs.
		{"half a pair", dev + "aws_access_key_id = KEYA\n", "", "refused", "refused", "none"},
		{"half a pair and a process", dev + "aws_access_key_id = KEYA\n" + ourLine, "", "broker-dev", "refused", "broker-dev"},
		{"the other half and a process", dev + "aws_secret_access_key = x\n" + ourLine, "", "broker-dev", "refused", "broker-dev"},
		{"half a pair in each file", dev + "aws_access_key_id = KEYA\n", "[dev]\naws_secret_access_key = x\n", "refused", "refused", "KEYA"},
		{"half a pair in config, the profile in both", dev + "aws_access_key_id = KEYA\n" + ourLine, "[dev]\nregion = eu-west-1\n", "broker-dev", "broker-dev", "broker-dev"},
		{"half a pair and a whole one", dev + "aws_access_key_id = KEYA\n", "[dev]\n" + keyB, "KEYB", "KEYB", "KEYB"},
		{"an empty key", dev + "aws_access_key_id =\naws_secret_access_key =\n" + ourLine, "", "broker-dev", "broker-dev", "broker-dev"},

		// How it is written.
		{"upper case process", dev + "Credential_Process = DIR/other\n", "", "other", "other", "none"},
		{"upper case key", dev + "AWS_ACCESS_KEY_ID = KEYA\nAWS_SECRET_ACCESS_KEY = x\n" + ourLine, "", "broker-dev", "KEYA", "broker-dev"},
		{"upper case role", dev + "ROLE_ARN = arn:aws:iam::111122223333:role/R\nSource_Profile = base\n" + ourLine + base + keyA, "", "role/R(KEYA)", "refused", "broker-dev"},
		{"quoted process", dev + "credential_process = \"DIR/other\" \"x\"\n", "", "other", "other", "other"},
		{"quoted source", dev + roleR + "source_profile = \"base\"\n" + base + keyA, "", "refused", "role/R(KEYA)", "refused"},
		{"comment behind the source", dev + roleR + "source_profile = base # the key\n" + base + keyA, "", "refused", "role/R(KEYA)", "role/R(KEYA)"},
		{"comment behind a key", dev + "aws_access_key_id = KEYA ; old\naws_secret_access_key = x\n", "", "KEYA ; old", "KEYA", "KEYA"},
		{"comment behind a header", "[profile dev] # mine\n" + keyA, "", "KEYA", "KEYA", "KEYA"},
		{"comment glued to a header", base + keyB + "[profile dev]# mine\n" + otherLine, "", "other", "other", "none"},
		{"bracket in a comment behind a header", "[profile dev] # [mine]\n" + keyA, "", "refused", "KEYA", "KEYA"},
		{"quoted name", "[profile \"dev\"]\n" + keyA, "", "KEYA", "refused", "KEYA"},
		{"two blanks in a header", "[profile  dev]\n" + keyA, "", "KEYA", "KEYA", "none"},
		{"a tab in a header", "[profile\tdev]\n" + keyA, "", "KEYA", "KEYA", "KEYA"},
		{"blanks inside brackets", "[ profile dev ]\n" + keyA, "", "refused", "KEYA", "none"},
		{"no prefix", "[dev]\n" + keyA, "", "refused", "refused", "none"},
		{"a word like the prefix", "[profiles dev]\n" + keyA, "", "KEYA", "refused", "none"},
		{"a dot for the blank", "[profile.dev]\n" + keyA, "", "refused", "refused", "KEYA"},
		{"prefix in credentials", "", "[profile dev]\n" + keyA, "refused", "refused", "none"},
		{"default twice, the plain one last", "[profile default]\n" + keyA + "[default]\n" + keyB + dev + roleR + "source_profile = default\n", "", "role/R(KEYB)", "role/R(KEYA)", "role/R(KEYA)"},
		{"default twice, the plain one first", "[default]\n" + keyB + "[profile default]\n" + keyA + dev + roleR + "source_profile = default\n", "", "role/R(KEYA)", "role/R(KEYA)", "role/R(KEYA)"},
		{"key in DEFAULT", "[DEFAULT]\n" + keyA + dev + "region = eu-west-1\n", "", "KEYA", "none", "none"},
		{"role in DEFAULT of credentials", dev + ourLine, "[DEFAULT]\n" + roleR + "[dev]\nregion = eu-west-1\n", "refused", "broker-dev", "broker-dev"},
		{"a section twice", dev + keyA + dev + otherLine, "", "refused", "KEYA", "KEYA"},
		{"a key twice", dev + "region = a\nregion = b\n" + keyA, "", "refused", "KEYA", "KEYA"},
		{"a section twice elsewhere", dev + keyA + "[a]\n[a]\n", "", "refused", "KEYA", "KEYA"},
		{"process over two lines", dev + "credential_process = DIR/other\n  x\n", "", "other", "other", "other"},
		{"process over two lines with an equals sign", dev + "credential_process = DIR/other\n  --role_arn=x\n", "", "other", "other", "other"},
		{"an empty value with text below", dev + otherLine + "region =\n  a = b\n  eu-west-1\n", "", "refused", "other", "other"},
		{"an indented key", dev + "  " + otherLine, "", "other", "other", "other"},
		{"an indented key below another", dev + "region = eu-west-1\n  " + otherLine, "", "none", "other", "other"},
		{"an indented key below an empty one", dev + "s3 =\n  credential_process = x\n" + otherLine, "", "other", "other", "other"},
		{"a setting that Go refuses", dev + ourLine + "retry_mode = legacy\n", "", "broker-dev", "refused", "broker-dev"},
		{"windows line ends", "[profile dev]\r\nregion = eu-west-1\r\ncredential_process = DIR/other\r\n", "", "other", "other", "other"},
		{"a value of one quote", dev + ourLine + "output = \"\n", "", "broker-dev", "refused", "broker-dev"},
		{"a nested value of one quote", dev + ourLine + "[other]\ns3 =\n  a = '\n", "", "broker-dev", "refused", "broker-dev"},
		{"a value of one quote, and a comment", dev + ourLine, "[other]\na = \" # b\n", "broker-dev", "refused", "broker-dev"},
		{"junk", dev + "junk\n" + keyA, "", "refused", "KEYA", "KEYA"},
		{"a colon", dev + "credential_process : DIR/other\n", "", "other", "other", "none"},
	}
}

// settingCases are about settings, not about who somebody is.
func settingCases() []readingCase {
	const dev, region, endpoint = "[profile dev]\n", "region = eu-west-1", "endpoint_url = http://127.0.0.1:1"
	var list []readingCase
	for _, s := range []struct{ name, config, credentials string }{
		{"plain", dev + region + "\n" + endpoint, ""},
		{"quotes", dev + "region = \"eu-west-1\"\nendpoint_url = 'http://127.0.0.1:1'\n", ""},
		{"comments", dev + region + " # a\n" + endpoint + "\t; b\n", ""},
		{"no comments", dev + region + "#a\n" + endpoint + ";b\n", ""},
		{"upper case", dev + "REGION = eu-west-1\nEndpoint_URL = http://127.0.0.1:1\n", ""},
		{"two lines", dev + region + "\n  x\n" + endpoint + "\n", ""},
		{"two lines, one with a colon", dev + endpoint + "\n  region:x\n", ""},
		{"in credentials", dev + "output = json\n", "[dev]\n" + region + "\n" + endpoint + "\n"},
		{"in credentials alone", "", "[dev]\n" + region + "\n" + endpoint + "\n"},
		{"in both", dev + region + "\n" + endpoint + "\n", "[dev]\nregion = x\nendpoint_url = http://127.0.0.1:2\n"},
		{"empty in one", dev + region + "\n" + endpoint + "\n", "[dev]\nregion =\nendpoint_url =\n"},
		{"DEFAULT", "[DEFAULT]\n" + region + "\n" + dev + "output = json\n", ""},
		{"DEFAULT, and an own one", "[DEFAULT]\nregion = x\n" + dev + region + "\n", ""},
		{"a blank line in between", dev + region + "\n\n  x\n" + endpoint, ""},
		{"a comment in between", dev + region + "\n# c\n  x\n" + endpoint, ""},
		{"an indented comment", dev + region + "\n  # c\n" + endpoint, ""},
		{"tabs", dev + "region\t=\teu-west-1\t\n", ""},
		{"no blanks", dev + "region=eu-west-1\n", ""},
		{"twice", dev + "region = x\n[profile other]\n" + region + "\n", ""},
		{"an equals sign in it", dev + "endpoint_url = http://127.0.0.1:1/?a=b\n", ""},
		{"a percent sign in it", dev + "endpoint_url = http://127.0.0.1:1/%41%(x)s\n", ""},
		{"one quote", dev + "region = \"eu-west-1\n", ""},
		{"windows line ends", "[profile dev]\r\n" + region + "\r\n" + endpoint + "\r\n", ""},
		{"below a block", dev + "s3 =\n  region = x\n" + region + "\n", ""},
		{"no newline at the end", dev + region, ""},
	} {
		list = append(list, readingCase{name: "setting: " + s.name, config: s.config, credentials: s.credentials})
	}
	return list
}

// written puts the files of a case into a directory. The programs in them are
// in bin.
func (tc readingCase) written(t *testing.T, dir, bin string) Files {
	t.Helper()
	files := Files{Config: filepath.Join(dir, "config"), Credentials: filepath.Join(dir, "credentials")}
	write(t, files.Config, strings.ReplaceAll(tc.config, "DIR", bin))
	write(t, files.Credentials, strings.ReplaceAll(tc.credentials, "DIR", bin))
	return files
}

// who writes a reading as the table does.
func (r Reading) who() string {
	switch r.Source {
	case SourceNamed:
		return "named"
	case SourceKey:
		return r.AccessKeyID
	case SourceBroker:
		return "broker-" + r.Profile
	case SourceProcess:
		return "other"
	case SourceRole:
		name := "role/" + r.RoleARN[strings.LastIndexByte(r.RoleARN, '/')+1:] + "(" + r.From.who() + ")"
		if r.AsksCode {
			name += "+code"
		}
		return name
	}
	return r.Source
}

// TestReadings holds the table against our idea of the SDKs.
func TestReadings(t *testing.T) {
	t.Parallel()
	for _, tc := range readingCases() {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r, err := ReadAsSDKs(tc.written(t, t.TempDir(), "/opt/bin"))
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range []string{tc.botocore, tc.gov2, tc.js} {
				if got := r.Of("dev")[i]; got.who() != want {
					t.Errorf("%s: got %s (%s), want %s", got.SDK, got.who(), got.Reason, want)
				}
			}
		})
	}
}
