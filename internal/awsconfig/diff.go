// SPDX-License-Identifier: Apache-2.0

package awsconfig

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"unicode"

	"credbroker/internal/secret"
)

// diffContext is how many lines a diff shows around a change.
const diffContext = 3

// Diff returns the unified diff from one content of a file to another, "" if
// they are equal. It is for people: a secret reads secret.Redacted, in a comment
// too, as does what a foreign program is given; and so does a character that a terminal would act on become a mark, so
// it is no patch to be applied.
func Diff(path string, old, new []byte) string {
	if bytes.Equal(old, new) {
		return ""
	}
	var out strings.Builder
	fmt.Fprintf(&out, "--- %s\n+++ %s\n", printable(path), printable(path))
	writeHunks(&out, changes(diffLines(old), diffLines(new)))
	return out.String()
}

// diffLine is a line of a diff.
type diffLine struct {
	line
	secret bool // as a whole: it continues the value of a secret
}

func diffLines(data []byte) []diffLine {
	var list []diffLine
	inSecret := false
	for len(data) > 0 {
		var l diffLine
		l.line, data = cutLine(data)
		switch l.kind {
		case property:
			key, _, _ := bytes.Cut(l.text, []byte("="))
			name := strings.ToLower(string(trim(key)))
			inSecret = isSecret(name) || isProcess(name)
		case continuation:
			l.secret = inSecret
		case header:
			inSecret = false
		}
		list = append(list, l)
	}
	return list
}

func (l diffLine) equal(m diffLine) bool { return l.eol == m.eol && bytes.Equal(l.text, m.text) }

// show returns the line as a diff may show it.
func (l diffLine) show() string {
	if l.secret {
		return secret.Redacted
	}
	text := string(l.text)
	if before, value, ok := strings.Cut(text, "="); ok {
		switch key := strings.ToLower(strings.Trim(before, "#; \t")); {
		case isSecret(key):
			return strings.TrimRight(before, " \t") + " = " + secret.Redacted
		case isProcess(key):
			if shown := shownProcess(value); shown != strings.TrimSpace(value) {
				text = strings.TrimRight(before, " \t") + " = " + shown
			}
		}
	}
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t=\"',;#[]", r) }) {
		if looksSecret([]byte(word)) && only(word, wordChars+"/+") {
			text = strings.ReplaceAll(text, word, secret.Redacted)
		}
	}
	return strings.Map(func(r rune) rune {
		if r != '\t' && !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// op is a line of a diff: "-" and "+" for a changed one, " " for one that both
// contents have.
type op struct {
	mark byte
	line diffLine
}

// writeHunks prints the changes of ops with the lines around them.
func writeHunks(out *strings.Builder, ops []op) {
	oldAt, newAt := 1, 1 // lines that stand before ops[from]
	for from := 0; from < len(ops); {
		first := slices.IndexFunc(ops[from:], op.changes)
		if first < 0 {
			return
		}
		first += from
		end := first // one after the last change of the hunk
		for i := first; i < len(ops) && i <= end+2*diffContext; i++ {
			if ops[i].changes() {
				end = i + 1
			}
		}
		start := max(from, first-diffContext)
		oldAt, newAt = advance(ops[from:start], oldAt, newAt)
		from = min(len(ops), end+diffContext)
		hunk := ops[start:from]
		oldEnd, newEnd := advance(hunk, oldAt, newAt)
		fmt.Fprintf(out, "@@ -%s +%s @@\n", lineRange(oldAt, oldEnd), lineRange(newAt, newEnd))
		for _, o := range hunk {
			fmt.Fprintf(out, "%c%s\n", o.mark, o.line.show())
			if o.line.eol == "" {
				out.WriteString("\\ No newline at end of file\n")
			}
		}
		oldAt, newAt = oldEnd, newEnd
	}
}

func (o op) changes() bool { return o.mark != ' ' }

// advance returns the line numbers in both contents after ops.
func advance(ops []op, oldAt, newAt int) (int, int) {
	for _, o := range ops {
		if o.mark != '+' {
			oldAt++
		}
		if o.mark != '-' {
			newAt++
		}
	}
	return oldAt, newAt
}

// lineRange writes lines as diff does: the line before them where there are none.
func lineRange(from, end int) string {
	if from == end {
		return fmt.Sprintf("%d,0", from-1)
	}
	return fmt.Sprintf("%d,%d", from, end-from)
}

// changes returns what leads from one content to another.
func changes(a, b []diffLine) []op {
	al := aligner{a: a, b: b, to: make([]int, len(a)), seed: maphash.MakeSeed()}
	al.align(0, len(a), 0, len(b))
	var ops []op
	j := 0
	for i, l := range a {
		if al.to[i] == 0 {
			ops = append(ops, op{'-', l})
			continue
		}
		for ; j < al.to[i]-1; j++ {
			ops = append(ops, op{'+', b[j]})
		}
		ops = append(ops, op{' ', l})
		j++
	}
	for ; j < len(b); j++ {
		ops = append(ops, op{'+', b[j]})
	}
	return ops
}

// aligner finds the lines that two contents have in common.
type aligner struct {
	a, b []diffLine
	to   []int // for each line of a: 1 + its place in b; 0: none
	seed maphash.Seed
}

// align pairs the lines of a[a0:a1] with those of b[b0:b1]. It goes by the lines
// that stand there once in both, as headers do, and by what is around them: so
// its work grows with the file, not with the square of the changes.
func (al *aligner) align(a0, a1, b0, b1 int) {
	for ; a0 < a1 && b0 < b1 && al.a[a0].equal(al.b[b0]); a0, b0 = a0+1, b0+1 {
		al.to[a0] = b0 + 1
	}
	for ; a0 < a1 && b0 < b1 && al.a[a1-1].equal(al.b[b1-1]); a1, b1 = a1-1, b1-1 {
		al.to[a1-1] = b1
	}
	if a0 == a1 || b0 == b1 {
		return
	}
	pairs := al.unique(a0, a1, b0, b1)
	if len(pairs) == 0 {
		return
	}
	for _, p := range pairs {
		al.align(a0, p[0], b0, p[1])
		al.to[p[0]] = p[1] + 1
		a0, b0 = p[0]+1, p[1]+1
	}
	al.align(a0, a1, b0, b1)
}

// unique returns the lines that stand once in both parts: of those the most
// that are in the same order.
func (al *aligner) unique(a0, a1, b0, b1 int) [][2]int {
	type place struct{ a, b int } // 1 + index; 0: nowhere, -1: twice
	note := func(at *int, i int) {
		if *at != 0 {
			i = -2
		}
		*at = i + 1
	}
	places := map[uint64]*place{} // by a hash: a line may hold a secret, of which there are enough copies
	for i := a0; i < a1; i++ {
		h := maphash.Bytes(al.seed, al.a[i].text)
		if places[h] == nil {
			places[h] = &place{}
		}
		note(&places[h].a, i)
	}
	for j := b0; j < b1; j++ {
		if p := places[maphash.Bytes(al.seed, al.b[j].text)]; p != nil {
			note(&p.b, j)
		}
	}
	var pairs [][2]int
	for i := a0; i < a1; i++ {
		p := places[maphash.Bytes(al.seed, al.a[i].text)]
		if p.a > 0 && p.b > 0 && al.a[i].equal(al.b[p.b-1]) {
			pairs = append(pairs, [2]int{i, p.b - 1})
		}
	}
	return rising(pairs)
}

// rising returns a longest part of pairs, which rise in the first number, that
// rises in the second, too.
func rising(pairs [][2]int) [][2]int {
	var ends []int // of the best part of each length: the pair that it ends with
	before := make([]int, len(pairs))
	for i, p := range pairs {
		n, _ := slices.BinarySearchFunc(ends, p[1], func(e, b int) int { return pairs[e][1] - b })
		before[i] = -1
		if n > 0 {
			before[i] = ends[n-1]
		}
		if n == len(ends) {
			ends = append(ends, i)
		}
		ends[n] = i
	}
	if len(ends) == 0 {
		return nil
	}
	var found [][2]int
	for i := ends[len(ends)-1]; i >= 0; i = before[i] {
		found = append(found, pairs[i])
	}
	slices.Reverse(found)
	return found
}
