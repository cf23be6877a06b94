// SPDX-License-Identifier: Apache-2.0

package testcorpus

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNothingBreaksCorpusIsLarge: the corpus is what "nothing breaks" means, so
// nobody empties it, and each set says what it is there for and what is wanted.
func TestNothingBreaksCorpusIsLarge(t *testing.T) {
	cases, err := Load("../e2e/testdata/corpus")
	if err != nil {
		t.Fatal(err)
	}
	const least = 100
	if len(cases) < least {
		t.Errorf("%d sets of files, want %d", len(cases), least)
	}
	served, refused, alone := 0, 0, 0
	for _, c := range cases {
		if c.Feature == "" {
			t.Errorf("%s does not say what its feature is", c.Name)
		}
		if len(c.Want) == 0 || len(c.Served()) == 0 && !strings.Contains(refusals(c), "refused") {
			t.Errorf("%s expects nothing to be served or refused", c.Name)
		}
		if c.RefusedWhole() != "" && len(c.Want) != 1 {
			t.Errorf("%s is refused as a whole and expects more", c.Name)
		}
		served += len(c.Served())
		refused += strings.Count(refusals(c), "refused")
		for _, w := range c.Want {
			if w.Alone {
				alone++
			}
		}
	}
	t.Logf("%d sets: %d profiles served, %d of them known to an SDK alone; %d refusals", len(cases), served, alone, refused)
	if alone < served/2 {
		t.Errorf("%d of %d expectations are seen with an SDK alone, want half at least", alone, served)
	}
}

func refusals(c Case) string {
	text := ""
	for _, w := range c.Want {
		if w.Refused != "" {
			text += "refused "
		}
	}
	return text
}

func TestWriteMakesWhatTheArchiveSays(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.txtar"), "# one\n# feature\nescaped config\nrepeat config 2\nlink config ../one/two\nlink ../one/two {{home}}/three\nmode config 0640\npartition aws-cn\n"+
		"-- config --\na\\r\n\\xffb\\t\\\\\\\n{{broker}}\n-- config.each --\n{{n}}\n-- want --\nx 111122223333 user/ann alone\ny refused for a reason\n... z unserved\n")
	cases, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := cases[0]
	if c.Name != "a" || c.Feature != "one feature" || c.Partition != "aws-cn" || !c.Sampled || len(c.Want) != 3 || len(c.Served()) != 1 || !c.Want[0].Alone || c.Want[1].Refused != "for a reason" {
		t.Errorf("read %+v", c)
	}
	home := filepath.Join(dir, "home")
	if err := c.Write(home, "/broker"); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(home, ".aws", "config")); err != nil || string(data) != "a\r\n\xffb\t\\/broker\n00001\n00002\n" {
		t.Errorf("config is %q, %v", data, err)
	}
	for _, link := range []string{".aws/config", "one/two"} {
		if info, err := os.Lstat(filepath.Join(home, link)); err != nil || info.Mode().Type() != os.ModeSymlink {
			t.Errorf("%s is no link: %v", link, err)
		}
	}
	if info, err := os.Lstat(filepath.Join(home, "three")); err != nil || info.Mode() != 0o640 {
		t.Errorf("the file at the end: %v, %v", info, err)
	}
}

func TestLoadRefusesWhatIsNoSet(t *testing.T) {
	for name, text := range map[string]string{
		"directive":     "# x\nescape config\n-- config --\n",
		"no file":       "# x\nescaped config\n-- config --\n\\q\n",
		"no byte":       "# x\nescaped config\n-- config --\n\\xzz\n",
		"file twice":    "# x\n-- config --\n-- config --\n",
		"expectation":   "# x\n-- want --\ndev user/ann\n",
		"profile twice": "# x\n-- want --\ndev unserved\ndev unserved\n",
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "a.txtar"), text)
		if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "a.txtar") {
			t.Errorf("%s: error %v, want one that names the file", name, err)
		}
	}
}

func TestWantMatches(t *testing.T) {
	w := Want{Account: "111122223333", Resource: "assumed-role/dev"}
	for arn, want := range map[string]bool{
		"arn:aws:sts::111122223333:assumed-role/dev/ann":   true,
		"arn:aws:sts::111122223333:assumed-role/dev-2/ann": false,
		"arn:aws:sts::444455556666:assumed-role/dev/ann":   false,
		"arn:aws:iam::111122223333:user/ann":               false,
		"":                                                 false,
	} {
		if got := w.Matches(arn); got != want {
			t.Errorf("%s: %v, want %v", arn, got, want)
		}
	}
	user := Want{Account: "111122223333", Resource: "user/ann"}
	if user.Matches("arn:aws:iam::111122223333:user/ann/other") || !user.Matches("arn:aws:iam::111122223333:user/ann") {
		t.Error("a user matches by less than its whole name")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
