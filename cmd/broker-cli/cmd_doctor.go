// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"credbroker/internal/awsconfig"
	"credbroker/internal/client"
	"credbroker/internal/ipc"
	"credbroker/internal/paths"
)

// A finding of doctor is a problem, which is the exit status too, or a note.
const (
	levelProblem = "problem"
	levelNote    = "note"
)

// maxShown is how many findings of one check are printed for people.
const maxShown = 10

// finding is one thing that doctor has to say.
type finding struct {
	Level   string `json:"level"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Profile string `json:"profile,omitempty"`
	// Profiles are the others that have it from the same cause.
	Profiles []string `json:"profiles,omitempty"`
	Message  string   `json:"message"`
	Hint     string   `json:"hint,omitempty"`
}

// add counts a profile in that has the same from the same cause.
func (f *finding) add(profile string) {
	if profile != "" && profile != f.Profile && !slices.Contains(f.Profiles[max(0, len(f.Profiles)-1):], profile) {
		f.Profiles = append(f.Profiles, profile)
	}
}

// text is the finding on one line.
func (f finding) text() string {
	if f.File == "" {
		return f.Message
	}
	return awsconfig.Pos{File: f.File, Line: f.Line}.String() + ": " + f.Message
}

// checked is what one check found.
type checked struct {
	Name     string    `json:"name"`
	OK       bool      `json:"ok"` // no problem; there may be notes
	Summary  string    `json:"summary"`
	Findings []finding `json:"findings"`
}

// diagnosis is the JSON of broker doctor.
type diagnosis struct {
	OK     bool      `json:"ok"`
	Checks []checked `json:"checks"`
}

// doctor holds what its checks look at. They change nothing, but for the item
// that the store is tried with, and start no daemon.
type doctor struct {
	*app
	places   paths.Places
	settings awsconfig.Settings     // the defaults if the config cannot be read
	files    awsconfig.Files        // the caller's
	config   *awsconfig.Config      // of files; nil if they cannot be read
	keys     map[string]string      // profile → access key ID
	status   *ipc.Status            // nil if the daemon did not tell
	pairs    map[awsconfig.Pos]bool // access keys in the files, of which checkKeys tells
	unset    bool                   // settings could not be read
	unlisted bool                   // keys could not be read
	works    bool                   // the store does
	promised []string               // items that a client is about to store
	findings []finding              // of the check that runs
}

func newDoctorCommand(a *app) *cli.Command {
	return &cli.Command{
		Name:      "doctor",
		Usage:     "say what is wrong with this setup",
		UsageText: "broker doctor [--json]",
		Description: about(`Looks at the daemon and what it waits for, broker's config, the store, the
environment and the AWS files, and says for each problem what to do. Changes
nothing and starts no daemon; a store that is locked may ask to be unlocked. The
exit status is 1 if something is wrong.`, "broker doctor"),
		Flags: []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := a.noWords(c); err != nil {
				return err
			}
			return a.doctor(c.Context, c.Bool("json"))
		},
	}
}

func (a *app) doctor(ctx context.Context, asJSON bool) error {
	d := &doctor{app: a, settings: awsconfig.DefaultSettings()}
	var err error
	if d.places, err = a.Places(); err != nil {
		return err
	}
	if d.files, err = a.AWSFiles(); err != nil {
		return err
	}
	result := d.examine(ctx)
	if asJSON {
		err = a.printJSON(result)
	} else {
		a.printDiagnosis(result)
	}
	if n := result.problems(); err == nil && n > 0 {
		return &ipc.Error{Message: fmt.Sprintf("doctor found %s", count(n, "problem"))}
	}
	return err
}

// examine runs every check. The first ones read what the later ones look at.
func (d *doctor) examine(ctx context.Context) diagnosis {
	result := diagnosis{OK: true}
	for _, c := range []struct {
		name  string
		check func(context.Context) string
	}{
		{"version", d.checkVersion},
		{"daemon", d.checkDaemon},
		{"config", d.checkConfig},
		{"store", d.checkStore},
		{"items", d.checkItems},
		{"environment", d.checkEnvironment},
		{"endpoint", d.checkEndpoint},
		{"files", d.checkFiles},
		{"keys", d.checkKeys},
		{"shapes", d.checkShapes},
		{"profiles", d.checkProfiles},
	} {
		d.findings = []finding{}
		done := checked{Name: c.name, Summary: c.check(ctx)}
		done.Findings = gathered(d.findings)
		result.Checks = append(result.Checks, done)
	}
	result.sayOnce()
	return result
}

// sayOnce drops what an earlier check says in the words of a later one, which
// knows better what it is of: brokerd complains of files that doctor reads too.
func (d *diagnosis) sayOnce() {
	said := map[string]bool{}
	for i := len(d.Checks) - 1; i >= 0; i-- {
		c := &d.Checks[i]
		c.Findings = slices.DeleteFunc(c.Findings, func(f finding) bool { return said[f.text()] })
		c.OK = true
		for _, f := range c.Findings {
			said[f.text()] = true
			c.OK = c.OK && f.Level != levelProblem
		}
		d.OK = d.OK && c.OK
	}
}

func (d diagnosis) problems() int {
	n := 0
	for _, c := range d.Checks {
		for _, f := range c.Findings {
			if f.Level == levelProblem {
				n++
			}
		}
	}
	return n
}

// printDiagnosis writes the checks in their order: what is well in one line,
// what is not with the next step below it.
func (a *app) printDiagnosis(d diagnosis) {
	for _, c := range d.Checks {
		if c.OK {
			a.printf("ok: %s: %s\n", c.Name, c.Summary)
		}
		for i, f := range c.Findings {
			if i == maxShown {
				a.printf("%s: %s more of these: broker doctor --json\n", f.Level, fmt.Sprint(len(c.Findings)-i))
				break
			}
			a.printf("%s: %s: %s%s\n", f.Level, c.Name, f.text(), f.others())
			if f.Hint != "" {
				a.printf("  next: %s\n", f.Hint)
			}
		}
	}
	if d.OK {
		a.printf("nothing is wrong\n")
	}
}

// gathered makes one finding of what several profiles have from one cause, a
// problem if it is one to any of them.
func gathered(findings []finding) []finding {
	list := []finding{} // never nil: JSON would say null
	said := map[string]int{}
	for _, f := range findings {
		i, again := said[f.text()]
		if !again {
			said[f.text()] = len(list)
			list = append(list, f)
			continue
		}
		list[i].add(f.Profile)
		if f.Level == levelProblem {
			list[i].Level = f.Level
		}
	}
	return list
}

// others says which other profiles have the same.
func (f finding) others() string {
	const most = 3
	switch n := len(f.Profiles); {
	case n == 0:
		return ""
	case n > most:
		return fmt.Sprintf(" (so for %s and %d more)", strings.Join(f.Profiles[:most], ", "), n-most)
	}
	return " (so for " + strings.Join(f.Profiles, ", ") + ")"
}

func (d *doctor) problem(message, hint string) {
	d.finds(levelProblem, message, hint)
}

func (d *doctor) note(message, hint string) {
	d.finds(levelNote, message, hint)
}

func (d *doctor) finds(level, message, hint string) {
	d.findings = append(d.findings, finding{Level: level, Message: message, Hint: hint})
}

// failed is a finding from a failure that a command would end with.
func (d *doctor) failed(level string, err error) {
	coded, _ := client.Failure(err)
	d.finds(level, coded.Message, coded.Hint)
}

func (d *doctor) at(pos awsconfig.Pos, f finding) {
	f.File, f.Line = pos.File, pos.Line
	d.findings = append(d.findings, f)
}

// count returns "1 problem", "2 problems".
func count(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}
