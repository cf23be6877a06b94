// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

// hasModes says whether the mode of a file tells who may read it.
const hasModes = true
