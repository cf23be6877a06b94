// SPDX-License-Identifier: Apache-2.0

// Package ipc is the conversation protocol of broker: JSON lines between a
// client and brokerd on a unix socket, and between either of them and a
// broker-vault worker on its standard input and output.
package ipc
