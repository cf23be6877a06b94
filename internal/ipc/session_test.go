// SPDX-License-Identifier: Apache-2.0

package ipc

import "testing"

// The session has one name, as long as it lasts.
func TestLoginSession(t *testing.T) {
	leader, start, err := LoginSession()
	if err != nil || leader < 0 || start == 0 {
		t.Fatalf("LoginSession() = %d, %d, %v", leader, start, err)
	}
	again, then, err := LoginSession()
	if again != leader || then != start || err != nil {
		t.Errorf("LoginSession() = %d, %d; then %d, %d, %v", leader, start, again, then, err)
	}
}
