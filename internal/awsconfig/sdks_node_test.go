// SPDX-License-Identifier: Apache-2.0

//go:build sdks

package awsconfig

import (
	"os"
	"path/filepath"
	"testing"
)

// TestReadingsOfJavaScript: the column js is what the SDK does. It runs by make
// test-sdks, which says in BROKER_NODE where the script and its packages are.
func TestReadingsOfJavaScript(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("BROKER_NODE")
	if dir == "" {
		t.Fatal("BROKER_NODE is not set: make test-sdks")
	}
	holdAgainst(t, JavaScript, func(tc readingCase) string { return tc.js }, []string{"AWS_EC2_METADATA_DISABLED=true"},
		"node", filepath.Join(dir, "as_javascript.mjs"))
}
