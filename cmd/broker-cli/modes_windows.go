// SPDX-License-Identifier: Apache-2.0

package main

// hasModes says whether the mode of a file tells who may read it. Here access
// lists do, and the profile directory's keep other users out.
const hasModes = false
