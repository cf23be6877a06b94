// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// HideProcess closes this process to the other programs of its user, before it
// holds a secret: they may see who it is, wait for it and end it, and no more.
// A crash is not reported, since a report has memory in it.
func HideProcess() error {
	windows.SetErrorMode(windows.SEM_FAILCRITICALERRORS | windows.SEM_NOGPFAULTERRORBOX | windows.SEM_NOOPENFILEERRORBOX)
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return fmt.Errorf("find out who this user is: %w", err)
	}
	const rights = windows.PROCESS_QUERY_LIMITED_INFORMATION | windows.PROCESS_TERMINATE | windows.SYNCHRONIZE
	// OW: without a word on the owner, he could give himself any right again.
	sd, err := windows.SecurityDescriptorFromString(fmt.Sprintf("D:P(A;;0x%x;;;%s)(A;;GA;;;SY)(A;;RC;;;OW)", rights, user.User.Sid))
	if err != nil {
		return fmt.Errorf("hide the memory of this process: %w", err)
	}
	dacl, _, err := sd.DACL()
	if err != nil {
		return fmt.Errorf("hide the memory of this process: %w", err)
	}
	err = windows.SetSecurityInfo(windows.CurrentProcess(), windows.SE_KERNEL_OBJECT,
		windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, dacl, nil)
	if err != nil {
		return fmt.Errorf("hide the memory of this process: %w", err)
	}
	return nil
}
