// SPDX-License-Identifier: Apache-2.0

package awsconfig

// maxProfileName is the longest profile name, in bytes, that broker takes. AWS
// names no limit; the name is part of messages, prompts and vault records.
const maxProfileName = 128

// ValidProfileName reports why broker does not take name as the name of a
// profile, as an Error of CodeUsage, or nil. The characters are those of the
// AWS config: letters, digits and - _ / . % @ : +. A name never becomes part of
// a path, so "/" and ".." are legal; a leading "-" is not, because it would
// read as a flag in the command lines that broker writes.
func ValidProfileName(name string) error {
	reason := ""
	switch {
	case name == "":
		reason = "is empty"
	case len(name) > maxProfileName:
		reason = "is longer than 128 bytes"
	case name[0] == '-':
		reason = `starts with "-"`
	case !validName(name):
		reason = "has a character other than letters, digits and - _ / . % @ : +"
	default:
		return nil
	}
	return &Error{Code: CodeUsage, Message: "profile name " + reason}
}

// validName reports whether name is an identifier of the AWS config: the name
// of a section or the key of a property.
func validName[T string | []byte](name T) bool {
	for i := range len(name) {
		if !isNameByte(name[i]) {
			return false
		}
	}
	return len(name) > 0
}

func isNameByte(b byte) bool {
	switch {
	case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '-' <= b && b <= ':': // with - . / and :
		return true
	}
	return b == '_' || b == '@' || b == '+' || b == '%'
}
