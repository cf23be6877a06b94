// SPDX-License-Identifier: Apache-2.0

// Package desktop reaches a user who has no terminal open: it puts a question
// before them, in a window of the desktop, and shows notices.
//
// The window is drawn by pinentry, which desktops already have for GnuPG and
// ssh. It takes the keyboard for itself, so that nothing else sees what is
// typed, and it is asked over its own small protocol, Assuan: no shell, no text
// that it could take for a command, and nothing of ours in its arguments or its
// environment. It is found by absolute paths, and runs only if it belongs to
// root and nobody else can write it.
//
// Notices go to the notification service of a Linux desktop, over the session
// bus. That service may be absent, stuck or gone the next moment, and none of it
// holds anybody up: each thing asked of it has half a second. Its answers are the
// IDs of buttons that the notice has, and nothing else.
package desktop
