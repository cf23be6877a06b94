// SPDX-License-Identifier: Apache-2.0

// Package testcorpus reads the corpus of AWS files: one small file set for each
// feature that somebody's real ~/.aws has, with what has to come of every
// profile. The sets are in internal/e2e/testdata/corpus.
//
// A set is a txtar archive. Its comment starts with "#" lines that say the
// feature; then come directives, one a line:
//
//	escaped FILE       \r \t \xHH \\ in the file stand for those bytes, and a
//	                   backslash at the end of a line for no end of line
//	repeat FILE N      the file, then N times the file FILE.each in which
//	                   {{n}} is the number, from 1, with five digits
//	link FROM TO       FROM is a symbolic link to TO, which goes on from there;
//	                   the content stands at the end of the chain
//	mode FILE OCTAL    the permissions of the file; 0600 without
//	partition NAME     the set is of another partition than aws
//
// The files config and credentials are those of ~/.aws; one that is not there
// does not exist. Where some profile is wired already, config.unwired is what
// unwire makes of config; elsewhere that is config itself. Other files stand beside them. {{home}} in a file is the home
// directory, {{broker}} the program.
//
// The file want has a line for each profile, and none for a profile that is
// not in the files:
//
//	PROFILE ACCOUNT RESOURCE [alone]   served; RESOURCE as in an ARN of STS,
//	                                   with or without the name of the session
//	PROFILE unserved                   broker leaves it as it is
//	PROFILE refused TEXT               wire says why not, with this text
//	* refused TEXT                     wire refuses the files as a whole
//	... PROFILE ACCOUNT RESOURCE       as the first, of a profile among many
//	                                   that have no line
//
// The word alone says that an SDK which has the stored keys as static ones
// comes to the same identity by the original files: the expectation does not
// rest on how broker reads them.
package testcorpus

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

// Case is one set of files. It is not changed by its methods.
type Case struct {
	Name      string // of the archive, without its suffix
	Feature   string // what its first lines say
	Partition string // "aws" unless it says otherwise
	Want      []Want
	Sampled   bool // Want names some of the profiles only

	files map[string][]byte
	links []link
	modes map[string]fs.FileMode
}

type link struct{ from, to string }

// Want is what has to come of one profile.
type Want struct {
	Profile string // "*" for the files as a whole
	// Account and Resource are those of the identity, empty when there is none.
	Account, Resource string
	Alone             bool   // also for an SDK by itself
	Refused           string // a part of the reason, or ""
}

// Served reports whether broker serves the profile, and it can be wired.
func (w Want) Served() bool { return w.Account != "" }

// Matches reports whether an ARN is that of the identity.
func (w Want) Matches(arn string) bool {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[4] != w.Account {
		return false
	}
	return parts[5] == w.Resource || strings.HasPrefix(w.Resource, "assumed-role/") && strings.HasPrefix(parts[5], w.Resource+"/")
}

// Load reads every set of a directory, in the order of their names.
func Load(dir string) ([]Case, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil {
		return nil, err
	}
	var cases []Case
	for _, path := range paths {
		c, err := load(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		cases = append(cases, c)
	}
	return cases, nil
}

func load(path string) (Case, error) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		return Case{}, err
	}
	c := Case{
		Name:      strings.TrimSuffix(filepath.Base(path), ".txtar"),
		Partition: "aws",
		files:     map[string][]byte{},
		modes:     map[string]fs.FileMode{},
	}
	for _, f := range archive.Files {
		if _, again := c.files[f.Name]; again {
			return Case{}, fmt.Errorf("has the file %s twice", f.Name)
		}
		c.files[f.Name] = slices.Clip(f.Data) // they lie one after the other in one array
	}
	for text := range strings.Lines(string(c.files["want"])) {
		if err := c.want(strings.Fields(text)); err != nil {
			return Case{}, err
		}
	}
	delete(c.files, "want")
	for text := range strings.Lines(string(archive.Comment)) {
		if said, ok := strings.CutPrefix(text, "#"); ok {
			c.Feature = strings.TrimSpace(c.Feature + " " + strings.TrimSpace(said))
		} else if err := c.directive(strings.Fields(text)); err != nil {
			return Case{}, err
		}
	}
	return c, nil
}

func (c *Case) want(words []string) error {
	if len(words) == 0 {
		return nil
	}
	if words[0] == "..." {
		c.Sampled, words = true, words[1:]
	}
	w := Want{}
	if len(words) > 1 {
		w.Profile = words[0]
	}
	switch {
	case len(words) == 2 && words[1] == "unserved":
	case len(words) > 2 && words[1] == "refused":
		w.Refused = strings.Join(words[2:], " ")
	case len(words) == 3 && isAccount(words[1]):
		w.Account, w.Resource = words[1], words[2]
	case len(words) == 4 && isAccount(words[1]) && words[3] == "alone":
		w.Account, w.Resource, w.Alone = words[1], words[2], true
	default:
		return fmt.Errorf("want: %q is no expectation", words)
	}
	if slices.ContainsFunc(c.Want, func(o Want) bool { return o.Profile == w.Profile }) {
		return fmt.Errorf("want: %s stands there twice", w.Profile)
	}
	c.Want = append(c.Want, w)
	return nil
}

func isAccount(text string) bool { return len(text) == 12 && strings.Trim(text, "0123456789") == "" }

func (c *Case) directive(words []string) error {
	if len(words) == 0 {
		return nil
	}
	arguments := map[string]int{"escaped": 1, "repeat": 2, "link": 2, "mode": 2, "partition": 1}
	n, known := arguments[words[0]]
	if !known || len(words) != 1+n {
		return fmt.Errorf("directive %q is none", words)
	}
	switch name := words[1]; words[0] {
	case "escaped":
		data, err := unescape(c.files[name])
		c.files[name] = data
		return err
	case "repeat":
		times, err := strconv.Atoi(words[2])
		each := c.files[name+".each"]
		for n := range times {
			c.files[name] = append(c.files[name], bytes.ReplaceAll(each, []byte("{{n}}"), fmt.Appendf(nil, "%05d", n+1))...)
		}
		delete(c.files, name+".each")
		return err
	case "link":
		c.links = append(c.links, link{name, words[2]})
	case "mode":
		mode, err := strconv.ParseUint(words[2], 8, 9)
		c.modes[name] = fs.FileMode(mode)
		return err
	case "partition":
		c.Partition = name
	}
	return nil
}

// unescape replaces what stands for bytes that an archive cannot show.
func unescape(data []byte) ([]byte, error) {
	var out []byte
	for len(data) > 0 {
		if data[0] != '\\' {
			out, data = append(out, data[0]), data[1:]
			continue
		}
		switch next := data[1]; next { // the last byte of a file in an archive is "\n"
		case '\n':
			data = data[2:]
		case 'r':
			out, data = append(out, '\r'), data[2:]
		case 't':
			out, data = append(out, '\t'), data[2:]
		case '\\':
			out, data = append(out, '\\'), data[2:]
		case 'x':
			b, err := strconv.ParseUint(string(data[2:4]), 16, 8)
			if err != nil {
				return nil, fmt.Errorf(`escape: \x%s is no byte`, data[2:4])
			}
			out, data = append(out, byte(b)), data[4:]
		default:
			return nil, fmt.Errorf(`escape: \%c is none`, next)
		}
	}
	return out, nil
}

// Served returns the profiles that have an identity to come to.
func (c Case) Served() []Want {
	return slices.DeleteFunc(slices.Clone(c.Want), func(w Want) bool { return !w.Served() })
}

// RefusedWhole returns a part of the reason for which wire refuses the files as
// a whole, or "".
func (c Case) RefusedWhole() string {
	for _, w := range c.Want {
		if w.Profile == "*" {
			return w.Refused
		}
	}
	return ""
}

// Data returns the content of a file, and whether it exists.
func (c Case) Data(name, home, broker string) ([]byte, bool) {
	data, ok := c.files[name]
	data = bytes.ReplaceAll(data, []byte("{{home}}"), []byte(home))
	return bytes.ReplaceAll(data, []byte("{{broker}}"), []byte(broker)), ok
}

// Unwired returns what unwire makes of a file, whether wire was there before or
// not.
func (c Case) Unwired(name, home, broker string) []byte {
	if _, ok := c.files[name+unwired]; ok {
		name += unwired
	}
	data, _ := c.Data(name, home, broker)
	return data
}

// unwired ends the name of what comes out of a file that was wired.
const unwired = ".unwired"

// Write makes the files in the directory .aws of a home, which is empty.
func (c Case) Write(home, broker string) error {
	dir := filepath.Join(home, ".aws")
	at := map[string]string{} // where the content of a file is, from dir
	for _, l := range c.links {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, l.from)), 0o700); err != nil {
			return err
		}
		to := strings.ReplaceAll(l.to, "{{home}}", home)
		if err := os.Symlink(to, filepath.Join(dir, l.from)); err != nil {
			return err
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(dir, filepath.Dir(l.from), to)
		}
		at[filepath.Join(dir, l.from)] = to
	}
	for name := range c.files {
		if strings.HasSuffix(name, unwired) {
			continue
		}
		path := filepath.Join(dir, name)
		for at[path] != "" {
			path = at[path]
		}
		if err := c.writeFile(name, path, home, broker); err != nil {
			return err
		}
	}
	return nil
}

func (c Case) writeFile(name, path, home, broker string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	mode := cmp.Or(c.modes[name], 0o600)
	data, _ := c.Data(name, home, broker)
	if err := os.WriteFile(path, data, mode); err != nil {
		return err
	}
	return os.Chmod(path, mode) // whatever the umask is
}
