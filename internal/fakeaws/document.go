// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"encoding/json"
	"fmt"
)

// The document is what broker-sandbox serve and account print: all that a person
// or a script needs to use the account. It is the one place where its secrets
// are shown.
type (
	document struct {
		Endpoint  string         `json:"endpoint"`
		CAFile    string         `json:"caFile,omitempty"`
		AccountID string         `json:"accountId"`
		Users     []documentUser `json:"users"`
		Roles     []documentRole `json:"roles"`
	}
	documentUser struct {
		UserName   string           `json:"userName"`
		ARN        string           `json:"arn"`
		AccessKeys []documentKey    `json:"accessKeys"`
		Devices    []documentDevice `json:"devices"`
	}
	documentKey struct {
		AccessKeyID     string `json:"accessKeyId"`
		SecretAccessKey string `json:"secretAccessKey"`
		Status          string `json:"status"`
		CreateDate      string `json:"createDate"`
	}
	documentDevice struct {
		SerialNumber string `json:"serialNumber"`
		TOTPSecret   string `json:"totpSecret,omitempty"` // base32; none for a passkey
	}
	documentRole struct {
		RoleName           string `json:"roleName"`
		RoleARN            string `json:"roleArn"`
		MaxSessionDuration int    `json:"maxSessionDuration"` // seconds
		Trusts             string `json:"trusts"`
		ExternalID         string `json:"externalId,omitempty"`
		RequiresMFA        bool   `json:"requiresMfa,omitempty"`
	}
)

// Document returns the account as one line of JSON, secrets included, with the
// keys that Users returns. caFile may be empty.
func (s *Server) Document(endpoint, caFile string) ([]byte, error) {
	d := document{Endpoint: endpoint, CAFile: caFile, AccountID: s.accountID, Users: []documentUser{}, Roles: []documentRole{}}
	for _, u := range s.Users() {
		du := documentUser{UserName: u.UserName, ARN: u.ARN, AccessKeys: []documentKey{}, Devices: []documentDevice{}}
		for _, k := range u.AccessKeys {
			du.AccessKeys = append(du.AccessKeys, documentKey{k.AccessKeyID, k.SecretAccessKey.Reveal(), k.Status, iamTime(k.CreateDate)})
		}
		for _, v := range u.Devices {
			du.Devices = append(du.Devices, documentDevice{v.SerialNumber, v.TOTPSecret.Reveal()})
		}
		d.Users = append(d.Users, du)
	}
	for _, r := range s.roles {
		d.Roles = append(d.Roles, documentRole{r.RoleName, r.ARN, int(r.MaxSessionDuration.Seconds()), r.Trusts, r.ExternalID, r.RequireMFA})
	}
	data, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("describe pretend account: %w", err)
	}
	return append(data, '\n'), nil
}
