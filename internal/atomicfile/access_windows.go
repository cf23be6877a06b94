// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Rights by which a file can be read, and by which it can be changed or put
// out of the way.
const (
	Reading = windows.ACCESS_MASK(windows.FILE_READ_DATA | windows.GENERIC_READ | windows.GENERIC_ALL)
	Writing = windows.ACCESS_MASK(windows.FILE_WRITE_DATA | windows.FILE_APPEND_DATA | windows.DELETE | deleteChild |
		windows.WRITE_DAC | windows.WRITE_OWNER | windows.GENERIC_WRITE | windows.GENERIC_ALL)
)

// deleteChild is the right to delete what is in a directory, whatever its own
// list says (FILE_DELETE_CHILD of winnt.h).
const deleteChild = 0x40

// Private returns what makes a new file, or a directory with all that comes
// into it, one of this user alone: only this user and the system may open it,
// whatever the directory above lets through. It is what Write and MkdirAll give
// where no bit of perm is for others.
func Private() (*windows.SecurityAttributes, error) {
	user, err := self()
	if err != nil {
		return nil, err
	}
	// P: nothing is inherited. FA: all rights. OICI: also for what is made below.
	sd, err := windows.SecurityDescriptorFromString("D:P(A;OICI;FA;;;" + user.String() + ")(A;OICI;FA;;;SY)")
	if err != nil {
		return nil, err
	}
	return &windows.SecurityAttributes{Length: uint32(unsafe.Sizeof(windows.SecurityAttributes{})), SecurityDescriptor: sd}, nil
}

// Others names somebody who has one of rights to f, or owns it, and is neither
// this user nor the administrators or the system, whom nothing keeps out. It
// returns "" if there is nobody.
func Others(f *os.File, rights windows.ACCESS_MASK) (who string, err error) {
	sd, err := windows.GetSecurityInfo(windows.Handle(f.Fd()), windows.SE_FILE_OBJECT,
		windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return "", fmt.Errorf("read who may open it: %w", err)
	}
	user, err := self()
	if err != nil {
		return "", err
	}
	owner, _, err := sd.Owner()
	if err != nil {
		return "", err
	}
	if !trusted(owner, user) {
		return owner.String(), nil
	}
	dacl, _, err := sd.DACL()
	if err != nil {
		return "", err
	}
	if dacl == nil { // no list is no protection
		return "everybody", nil
	}
	return grantee(dacl, user, rights)
}

// grantee returns the first in a list who is given one of rights and should not be.
func grantee(dacl *windows.ACL, user *windows.SID, rights windows.ACCESS_MASK) (string, error) {
	const callback = 9 // ACCESS_ALLOWED_CALLBACK_ACE_TYPE: the same, with a condition behind it
	for i := range uint32(dacl.AceCount) {
		var ace *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(dacl, i, &ace); err != nil {
			return "", err
		}
		kind := ace.Header.AceType
		if kind != windows.ACCESS_ALLOWED_ACE_TYPE && kind != callback ||
			ace.Header.AceFlags&windows.INHERIT_ONLY_ACE != 0 || ace.Mask&rights == 0 {
			continue
		}
		if sid := (*windows.SID)(unsafe.Pointer(&ace.SidStart)); !trusted(sid, user) {
			return sid.String(), nil
		}
	}
	return "", nil
}

func trusted(sid, user *windows.SID) bool {
	return sid.Equals(user) || sid.IsWellKnown(windows.WinLocalSystemSid) ||
		sid.IsWellKnown(windows.WinBuiltinAdministratorsSid) || sid.IsWellKnown(windows.WinCreatorOwnerRightsSid)
}

// self returns the SID of the user whose process this is.
func self() (*windows.SID, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, fmt.Errorf("find out who this user is: %w", err)
	}
	return user.User.Sid, nil
}
