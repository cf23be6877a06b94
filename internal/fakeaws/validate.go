// SPDX-License-Identifier: Apache-2.0

package fakeaws

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The patterns of the service models.
var (
	nameForm       = regexp.MustCompile(`^[\w+=,.@-]*$`)
	externalIDForm = regexp.MustCompile(`^[\w+=,.@:/-]*$`)
	keyIDForm      = regexp.MustCompile(`^[\w]*$`)
	pathForm       = regexp.MustCompile(`^((/[A-Za-z0-9\.,\+@=_-]+)*)/$`)
	serialForm     = regexp.MustCompile(`^[\w+=/:,.@-]*$`)
	tokenCodeForm  = regexp.MustCompile(`^[\d]*$`)
	tagKeyForm     = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]+$`)
	tagValueForm   = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
	roleARNForm    = regexp.MustCompile(`^arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+$`)
)

const (
	required = true
	optional = false
)

// checker reads parameters and gathers what is wrong with them, as the model
// validation of AWS does: all failures in one answer. The first refusal of
// another code ends it.
type checker struct {
	found   []string
	refused *apiError
}

func (p *checker) result() *apiError {
	if refused := violations(p.found); refused != nil {
		return refused
	}
	return p.refused
}

func (p *checker) fail(name, value, constraint string) {
	member := strings.ToLower(name[:1]) + name[1:]
	p.found = append(p.found, fmt.Sprintf("Value '%s' at '%s' failed to satisfy constraint: Member must %s", value, member, constraint))
}

// text reads a string of low to high characters.
func (p *checker) text(params url.Values, name string, needed bool, low, high int, form *regexp.Regexp) string {
	if !params.Has(name) {
		if needed {
			p.found = append(p.found, fmt.Sprintf("Value null at '%s' failed to satisfy constraint: Member must not be null", strings.ToLower(name[:1])+name[1:]))
		}
		return ""
	}
	value := params.Get(name)
	if n := len([]rune(value)); n < low {
		p.fail(name, value, fmt.Sprintf("have length greater than or equal to %d", low))
	} else if n > high {
		p.fail(name, value, fmt.Sprintf("have length less than or equal to %d", high))
	}
	if form != nil && !form.MatchString(value) {
		p.fail(name, value, "satisfy regular expression pattern: "+strings.Trim(form.String(), "^$"))
	}
	return value
}

// oneOf reads one of a set of words.
func (p *checker) oneOf(params url.Values, name string, needed bool, words ...string) string {
	value := p.text(params, name, needed, 0, math.MaxInt, nil)
	if params.Has(name) && !slices.Contains(words, value) {
		p.fail(name, value, "satisfy enum value set: ["+strings.Join(words, ", ")+"]")
	}
	return value
}

// integer reads a number between low and high.
func (p *checker) integer(params url.Values, name string, missing, low, high int) int {
	if !params.Has(name) {
		return missing
	}
	value := params.Get(name)
	n, err := strconv.Atoi(value)
	switch {
	case err != nil:
		p.refused = refusef("MalformedInput", "Invalid Argument")
	case n < low:
		p.fail(name, value, fmt.Sprintf("have value greater than or equal to %d", low))
	case n > high:
		p.fail(name, value, fmt.Sprintf("have value less than or equal to %d", high))
	}
	return n
}

// mfaParams are the device and the code of a request; both or none.
type mfaParams struct{ serialNumber, tokenCode string }

func (m mfaParams) given() bool { return m.serialNumber != "" }

func (p *checker) mfa(params url.Values) mfaParams {
	m := mfaParams{
		serialNumber: p.text(params, "SerialNumber", optional, 9, 256, serialForm),
		tokenCode:    p.text(params, "TokenCode", optional, 6, 6, tokenCodeForm),
	}
	if (m.serialNumber == "") != (m.tokenCode == "") && p.refused == nil {
		p.refused = refusef(codeAccessDenied, textMFAHalf)
	}
	return m
}

// policies reads the inline policy and the ARNs of managed ones, and returns
// their texts.
func (p *checker) policies(params url.Values) []string {
	var texts []string
	if policy := p.text(params, "Policy", optional, 1, 2048, nil); policy != "" {
		if !json.Valid([]byte(policy)) && p.refused == nil {
			p.refused = refusal(codeMalformedPolicy)
		}
		texts = append(texts, policy)
	}
	arns := members(params, "PolicyArns", ".arn")
	if len(arns) > 10 {
		p.fail("PolicyArns", "[...]", "have length less than or equal to 10")
	}
	return append(texts, arns...)
}

// tags reads the session tags and, of those, the transitive ones.
func (p *checker) tags(params url.Values) (tags, transitive map[string]string) {
	tags, transitive = map[string]string{}, map[string]string{}
	keys, values := members(params, "Tags", ".Key"), members(params, "Tags", ".Value")
	if len(keys) > 50 {
		p.fail("Tags", "[...]", "have length less than or equal to 50")
	}
	var folded []string
	for i, key := range keys {
		value := ""
		if i < len(values) {
			value = values[i]
		}
		member := fmt.Sprintf("tags.%d.member.", i+1)
		if n := len([]rune(key)); n < 1 || n > 128 || !tagKeyForm.MatchString(key) {
			p.fail(member+"key", key, "have length less than or equal to 128 and satisfy regular expression pattern: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]+")
		}
		if len([]rune(value)) > 256 || !tagValueForm.MatchString(value) {
			p.fail(member+"value", value, "have length less than or equal to 256 and satisfy regular expression pattern: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*")
		}
		if f := strings.ToLower(key); slices.Contains(folded, f) && p.refused == nil {
			p.refused = refusef("InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		} else {
			folded = append(folded, f)
		}
		tags[key] = value
	}
	for _, key := range members(params, "TransitiveTagKeys", "") {
		value, ok := tags[key]
		if !ok && p.refused == nil {
			p.refused = refusef("InvalidParameterValue", "The specified transitive tag key must be included in the requested tags.")
		}
		transitive[key] = value
	}
	return tags, transitive
}

// members reads a list of the query protocol: NAME.member.1SUFFIX and so on.
func members(params url.Values, name, suffix string) []string {
	var list []string
	for i := 1; ; i++ {
		key := fmt.Sprintf("%s.member.%d%s", name, i, suffix)
		if !params.Has(key) {
			return list
		}
		list = append(list, params.Get(key))
	}
}

// packedLimit stands for the limit that AWS keeps to itself, in bytes of the
// compressed policies and tags.
const packedLimit = 2048

// packedSize returns how much of the packed limit a request takes, in percent.
func packedSize(policies []string, tags map[string]string) (int, *apiError) {
	if len(policies) == 0 && len(tags) == 0 {
		return 0, nil
	}
	var packed bytes.Buffer
	z, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		return 0, refusal(codeInternal)
	}
	texts := slices.Clone(policies)
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		texts = append(texts, key, tags[key])
	}
	_, err = z.Write([]byte(strings.Join(texts, "\n")))
	if err := errors.Join(err, z.Close()); err != nil {
		return 0, refusal(codeInternal)
	}
	percent := (packed.Len()*100 + packedLimit - 1) / packedLimit
	if percent > 100 {
		return 0, refusef(codePackedPolicy, "Packed policy consumes %d%% of allotted space, please use smaller policy.", percent)
	}
	return percent, nil
}
