// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"testing"
	"time"

	"credbroker/internal/ipc"
)

func TestSift(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 1, 2, 3, minute, 0, 0, time.UTC) }
	failed := func(code ipc.Code) *ipc.Error { return &ipc.Error{Code: code, Message: "x"} }
	found := []ipc.RecoveredKey{
		{Item: "old", Profile: "dev", AccessKeyID: "AKIA1", StoredAt: at(1)},
		{Item: "new", Profile: "dev", AccessKeyID: "AKIA2", StoredAt: at(3)},
		{Item: "between", Profile: "dev", AccessKeyID: "AKIA3", StoredAt: at(2)},
		{Item: "offline", Profile: "ops", AccessKeyID: "AKIA4", StoredAt: at(1), Error: failed(ipc.CodeAWSUnreachable)},
		{Item: "gone", Profile: "ops", AccessKeyID: "AKIA5", StoredAt: at(9), Error: failed(ipc.CodeAWSKeyUnknown)},
		{Item: "torn", Error: failed(ipc.CodeKeychainCorrupt)},
	}
	keep, skipped := sift(found)
	var kept, left []string
	for _, k := range keep {
		kept = append(kept, k.Item)
	}
	for _, s := range skipped {
		left = append(left, s.Item)
		if s.Error == nil {
			t.Errorf("item %s is left out without a word", s.Item)
		}
	}
	if want := []string{"new", "offline"}; !slices.Equal(kept, want) {
		t.Errorf("kept %q, want %q", kept, want)
	}
	if want := []string{"old", "between", "gone", "torn"}; !slices.Equal(left, want) {
		t.Errorf("left out %q, want %q", left, want)
	}
}
