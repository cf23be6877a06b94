// SPDX-License-Identifier: Apache-2.0

// Package desktop puts a question before a user who has no terminal open: in a
// window of the desktop.
//
// The window is drawn by pinentry, which desktops already have for GnuPG and
// ssh. It takes the keyboard for itself, so that nothing else sees what is
// typed, and it is asked over its own small protocol, Assuan: no shell, no text
// that it could take for a command, and nothing of ours in its arguments or its
// environment. It is found by absolute paths, and runs only if it belongs to
// root and nobody else can write it.
package desktop
