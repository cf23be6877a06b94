// SPDX-License-Identifier: Apache-2.0

//go:build !race

package ipc

// raceDetector says that the test was built with -race.
const raceDetector = false
