// SPDX-License-Identifier: Apache-2.0

package ipc

// Logger is what this package needs of a *slog.Logger, which it does not name:
// the client would link log/slog, for which every helper pays in memory.
type Logger interface {
	Debug(msg string, args ...any)
	Info(msg string, args ...any)
	Warn(msg string, args ...any)
	Error(msg string, args ...any)
}

// noLog drops everything.
type noLog struct{}

func (noLog) Debug(string, ...any) {}
func (noLog) Info(string, ...any)  {}
func (noLog) Warn(string, ...any)  {}
func (noLog) Error(string, ...any) {}
