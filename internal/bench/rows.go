// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"credbroker/internal/awsconfig"
)

// result is one figure and what it has to be.
type result struct {
	figure     string
	got        float64
	unit       string  // after the number: "×", " ms"
	must, goal float64 // 0: none
	atLeast    bool    // more is better
	detail     string  // what the figure was made from
}

// ok reports whether the figure keeps a limit.
func (r result) ok(limit float64) bool {
	switch {
	case limit == 0:
		return true
	case r.atLeast:
		return r.got >= limit
	}
	return r.got <= limit
}

// growthLine is what one size of config and cache costs.
type growthLine struct {
	size     int
	latency  time.Duration // of a conversation
	resident float64       // MiB
	load     time.Duration // of the AWS config
}

// callersLine is what one of many callers at once waits for, in wall time by
// caller.
type callersLine struct {
	callers       int
	broker, floor time.Duration
}

// add enters a result and shows that there is one more.
func (b *bench) add(r result) {
	b.results = append(b.results, r)
	fmt.Fprintf(b.out, "%-62s %s\n", r.figure, number(r.got, r.unit))
}

func (b *bench) missed() bool {
	for _, r := range b.results {
		if !r.ok(r.must) {
			return true
		}
	}
	return false
}

// measure takes every figure.
func (b *bench) measure(peers peerList) error {
	w, err := b.newWorld("small")
	if err != nil {
		return err
	}
	for _, step := range []func(*world) error{
		b.idle, b.cold, b.crowdCold, b.warm, b.crowdWarm, b.load,
		func(w *world) error { return b.peers(w, peers) },
		b.grow,
	} {
		if err := step(w); err != nil {
			return err
		}
	}
	return b.scanner()
}

func (b *bench) idle(w *world) error {
	if err := w.restart(); err != nil {
		return err
	}
	mib, err := w.resident(b.n.settle)
	b.add(result{figure: "brokerd, memory when idle", got: mib, unit: " MiB", must: 15})
	return err
}

// cold takes the whole way: index, plan, worker, code, GetSessionToken.
func (b *bench) cold(w *world) error {
	var own, account []float64
	for range b.n.cold {
		if err := w.restart(); err != nil {
			return err
		}
		if err := w.code(); err != nil {
			return err
		}
		before := w.sandbox.busy.Load()
		took, err := w.helper().once()
		if err != nil {
			return err
		}
		aws := time.Duration(w.sandbox.busy.Load() - before)
		own, account = append(own, ms(took-aws)), append(account, ms(aws))
	}
	b.add(result{
		figure: "cold call, file vault, without AWS's own time", got: median(own), unit: " ms", must: 40, goal: 25,
		detail: fmt.Sprintf("AWS beside it: %.1f ms", median(account)),
	})
	return nil
}

// crowdCold is many callers and no session: one code, one call, no failure.
func (b *bench) crowdCold(w *world) error {
	if err := w.restart(); err != nil {
		return err
	}
	before, err := w.sandbox.calls("GetSessionToken")
	if err != nil {
		return err
	}
	asked, err := w.prompts()
	if err != nil {
		return err
	}
	if err := w.code(); err != nil {
		return err
	}
	wall, failed := together(b.n.callers, w.helper())
	after, err := w.sandbox.calls("GetSessionToken")
	if err != nil {
		return err
	}
	prompts, err := w.prompts()
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%d callers, cold: ", b.n.callers)
	b.add(result{figure: what + "prompts", got: float64(prompts - asked), must: 1, detail: fmt.Sprintf("all of them in %.0f ms", ms(wall))})
	b.add(result{figure: what + "GetSessionToken calls", got: float64(after - before), must: 1})
	b.add(result{figure: what + "failures", got: float64(failed), must: none})
	return nil
}

// none is the limit of what must not happen at all; 0 says that there is none.
const none = 0.5

func (b *bench) warm(w *world) error {
	if err := w.restart(); err != nil {
		return err
	}
	if err := w.prime(); err != nil {
		return err
	}
	t, err := interleave(b.n.warm, b.floor, w.helper())
	if err != nil {
		return err
	}
	b.add(result{
		figure: "warm credential-process / floor, wall", got: ratio(t[1], t[0]), unit: "×", must: 1.35, goal: 1.15,
		detail: fmt.Sprintf("%.2f ms and %.2f ms", ms(t[1]), ms(t[0])),
	})
	if err := b.warmCounts(w); err != nil {
		return err
	}
	run := w.command("broker", "exec", "dev", "--", "true")
	if t, err = interleave(b.n.run, b.floor, run); err != nil {
		return err
	}
	b.add(result{
		figure: "warm exec -- true / floor, wall", got: ratio(t[1], t[0]), unit: "×", must: 2.2, goal: 1.5,
		detail: fmt.Sprintf("%.2f ms and %.2f ms", ms(t[1]), ms(t[0])),
	})
	return nil
}

// warmCounts takes the figures of a warm call that no load of the machine
// changes.
func (b *bench) warmCounts(w *world) error {
	var kib, count [2]float64
	for i, p := range []program{b.floor, w.helper()} {
		var err error
		if kib[i], err = peak(b.n.memory, p); err != nil {
			return err
		}
		if count[i], err = instructions(b.n.counts, b.dir, p); err != nil {
			return err
		}
	}
	b.add(result{
		figure: "peak memory of the helper / floor", got: kib[1] / kib[0], unit: "×", must: 2.0, goal: 1.3,
		detail: fmt.Sprintf("%.1f MiB and %.1f MiB", kib[1]/1024, kib[0]/1024),
	})
	if count[0] == 0 {
		b.notes = append(b.notes, "Instructions are not counted: valgrind is not installed.")
		return nil
	}
	b.add(result{
		figure: "instructions of the helper / floor, callgrind", got: count[1] / count[0], unit: "×",
		detail: fmt.Sprintf("%.0f and %.0f thousand", count[1]/1000, count[0]/1000),
	})
	return nil
}

// crowdWarm is many callers and a live session.
func (b *bench) crowdWarm(w *world) error {
	for _, callers := range []int{1, 10, 50, b.n.callers} {
		var times [2][]time.Duration
		for range 5 {
			for i, p := range []program{b.floor, w.helper()} {
				wall, failed := together(callers, p)
				if failed > 0 {
					return fmt.Errorf("%d of %d warm callers of %s failed", failed, callers, p.argv[0])
				}
				times[i] = append(times[i], wall/time.Duration(callers))
			}
		}
		b.callers = append(b.callers, callersLine{callers, median(times[1]), median(times[0])})
	}
	last := b.callers[len(b.callers)-1]
	b.add(result{
		figure: fmt.Sprintf("%d callers, warm: wall by caller / floor", b.n.callers),
		got:    ratio(last.broker, last.floor), unit: "×", must: 1.5, goal: 1.2,
		detail: fmt.Sprintf("%.2f ms and %.2f ms, as many of each at once", ms(last.broker), ms(last.floor)),
	})
	return nil
}

func (b *bench) load(w *world) error {
	var all []float64
	for range 5 {
		rate, err := w.throughput(b.n.load)
		if err != nil {
			return err
		}
		all = append(all, rate)
	}
	b.add(result{figure: "conversations a second, with their clients on the same cores", got: median(all), must: 5000, goal: 10000, atLeast: true})
	return nil
}

// grow makes a second user with ever more profiles and sessions, and in the
// end compares a warm call of the two.
func (b *bench) grow(small *world) error {
	w, err := b.newWorld("large")
	if err != nil {
		return err
	}
	if err := w.prime(); err != nil {
		return err
	}
	have := 0
	for _, size := range b.n.growth {
		if err := w.profiles(size); err != nil {
			return err
		}
		if err := w.fill(have, size); err != nil {
			return err
		}
		have = size
		line := growthLine{size: size}
		if line.latency, err = w.latency(10*b.n.warm, size); err != nil {
			return err
		}
		if line.resident, err = w.resident(b.n.settle); err != nil {
			return err
		}
		if line.load, _, _, err = readings(5, filepath.Join(w.home, ".aws", "config")); err != nil {
			return err
		}
		b.growth = append(b.growth, line)
		if size == 1000 {
			b.add(result{figure: "brokerd, memory with 1 000 sessions", got: line.resident, unit: " MiB", must: 25})
		}
	}
	if _, err := w.command("broker", "status").output(); err != nil {
		return err // its answer is longer than a line by now
	}
	least := b.n.growth[0]
	if err := small.profiles(least); err != nil {
		return err
	}
	if err := small.fill(0, least); err != nil {
		return err
	}
	t, err := interleave(b.n.warm, small.helper(), w.helper())
	if err != nil {
		return err
	}
	b.add(result{
		figure: fmt.Sprintf("warm call, %d / %d profiles and sessions", have, least), got: ratio(t[1], t[0]), unit: "×", must: 1.05,
		detail: fmt.Sprintf("%.2f ms and %.2f ms", ms(t[1]), ms(t[0])),
	})
	argv := []string{"exec", "dev", "--", "true"}
	if t, err = interleave(max(b.n.run/5, 1), small.command("broker", argv...), w.command("broker", argv...)); err != nil {
		return err
	}
	b.add(result{
		figure: fmt.Sprintf("exec -- true, %d / %d profiles", have, least), got: ratio(t[1], t[0]), unit: "×",
		detail: fmt.Sprintf("%.2f ms and %.2f ms: the overlay has all profiles", ms(t[1]), ms(t[0])),
	})
	return nil
}

// scanner compares the reader of AWS files with the least that looks at lines.
func (b *bench) scanner() error {
	path := filepath.Join(b.worlds[0].home, "ten-thousand")
	var text bytes.Buffer
	for i := range 10_000 {
		fmt.Fprintf(&text, "[profile account-%05d]\nrole_arn = arn:aws:iam::%012d:role/Admin\nsource_profile = main\nregion = eu-west-1\n\n", i, i)
	}
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		return err
	}
	load, scan, bare, err := readings(b.n.run, path)
	if err != nil {
		return err
	}
	b.add(result{
		figure: "reading a file of 10 000 profiles / bufio.Scanner", got: ratio(load, scan), unit: "×", must: 12, goal: 6,
		detail: fmt.Sprintf("%.2f ms and %.2f ms; %.2f ms for a Scanner that makes no string of a line", ms(load), ms(scan), ms(bare)),
	})
	edit, read, err := editing(max(b.n.run/5, 1), text.Bytes())
	if err != nil {
		return err
	}
	b.add(result{
		figure: "wiring all of 10 000 profiles, checked / reading the file", got: ratio(edit, read), unit: "×",
		detail: fmt.Sprintf("%.0f ms and %.2f ms, in memory", ms(edit), ms(read)),
	})
	return nil
}

// readings returns the median times of n readings of a file, in turn: as an
// AWS config, by a Scanner that takes each line as a string, and by one that
// does not even do that.
func readings(n int, path string) (load, scan, bare time.Duration, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, 0, err
	}
	var times [3][]time.Duration
	for range n {
		for i, read := range []func() error{
			func() error { _, err := awsconfig.Load(awsconfig.Files{Config: path}); return err },
			func() error {
				lines := bufio.NewScanner(bytes.NewReader(data))
				for lines.Scan() {
					_ = lines.Text() // the work is what counts
				}
				return lines.Err()
			},
			func() error {
				lines := bufio.NewScanner(bytes.NewReader(data))
				for lines.Scan() {
					_ = lines.Bytes() // as above
				}
				return lines.Err()
			},
		} {
			began := time.Now()
			if err := read(); err != nil {
				return 0, 0, 0, err
			}
			times[i] = append(times[i], time.Since(began))
		}
	}
	return median(times[0]), median(times[1]), median(times[2]), nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }
