package catalog

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"modeldispatch/internal/cron"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/model"
)

// readPolicy reads one of the policies.
func (d *draft) readPolicy(field string, m member) {
	switch field {
	case "timeout":
		if text, _ := m.raw(); text == "none" {
			d.model.Policy.Timeout = 0
		} else if timeout, ok := m.duration("timeout"); ok {
			d.model.Policy.Timeout = timeout
		}
	case "retry":
		d.readRetry(m)
	case "exit-codes":
		d.readExitCodes(m)
	case "concurrency":
		d.readConcurrency(m)
	case "debounce":
		d.readDebounce(m)
	case "wait-for":
		d.readWaitFor(m)
	case "expect":
		d.readExpect(m)
	case "launches-per-hour":
		d.model.Policy.Brake, _ = m.integer("launches-per-hour", 1, 100_000)
	}
}

func (d *draft) readRetry(m member) {
	r := &d.model.Policy.Retry
	m.fields("retry", map[string]func(member){
		"attempts":  func(f member) { r.Attempts, _ = f.integer("attempts", 1, 100) },
		"timed-out": func(f member) { r.TimedOut = f.boolean("timed-out") },
		"lost":      func(f member) { r.Lost = f.boolean("lost") },
		"backoff":   func(f member) { r.BackoffMin, r.BackoffMax = f.span() },
		"out-of-memory": func(f member) {
			f.fields("out-of-memory", map[string]func(member){"up-to": func(g member) {
				if n, ok := g.integer("up-to", 512, 122880); ok {
					r.OutOfMemory, d.upTo = &model.OutOfMemory{UpTo: n}, &g
				}
			}})
		},
	})
}

// span is a range of durations: 30s .. 15m.
func (v value) span() (from, to time.Duration) {
	text, ok := v.text("backoff")
	if !ok {
		return 0, 0
	}
	low, high, two := strings.Cut(text, "..")
	from, lowErr := parseDuration(strings.TrimSpace(low))
	to, highErr := from, lowErr
	if two {
		to, highErr = parseDuration(strings.TrimSpace(high))
	}
	if lowErr != nil || highErr != nil {
		v.errorf("backoff is %q, and a range as 30s .. 15m is expected", text)
		return 0, 0
	}
	if to < from {
		v.errorf("backoff %q ends before it starts", text)
	}
	return from, to
}

func (d *draft) readExitCodes(m member) {
	list, _ := m.members("exit-codes")
	d.model.Policy.ExitCodes = map[int]model.Verdict{}
	for _, one := range list {
		code, err := strconv.Atoi(one.name)
		if err != nil || code < 1 || code > 255 {
			d.problem(one.key, false, "%q is no exit code that can mean something: 1 to 255 can", one.name)
			continue
		}
		if word, ok := one.word("an exit code's meaning", string(model.VerdictSkipped), string(model.VerdictRetry), string(model.VerdictFail)); ok {
			d.model.Policy.ExitCodes[code] = model.Verdict(word)
		}
	}
}

func (d *draft) readConcurrency(m member) {
	c := &model.Concurrency{Overlap: model.OverlapQueue}
	m.fields("concurrency", map[string]func(member){
		"limit": func(f member) { c.Limit, _ = f.integer("limit", 1, 200) },
		"per":   func(f member) { c.Per = d.per(f) },
		"overlap": func(f member) {
			word, _ := f.word("overlap", string(model.OverlapQueue), string(model.OverlapSkip), string(model.OverlapReplace))
			c.Overlap = model.Overlap(word)
		},
		"pool": func(f member) {
			c.Pool, _ = f.text("pool")
			if _, known := d.project.pools[c.Pool]; !known {
				f.errorf("there is no pool %q in %s; %s", c.Pool, ProjectFile, meant(c.Pool, keys(d.project.pools)))
			}
		},
	})
	if (c.Limit > 0) == (c.Pool != "") {
		m.errorf("concurrency needs either a limit or a pool")
	}
	switch {
	case c.Pool == "":
	case !c.Per.IsZero():
		m.errorf("a pool is shared by its models, so it has no per: leave per out, or give the model a limit of its own")
	case c.Overlap == model.OverlapReplace:
		m.errorf("overlap: replace would end runs of other models of pool %q: queue and skip are right for a pool", c.Pool)
	}
	d.model.Policy.Concurrency = c
}

func keys[V any](m map[string]V) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	return all
}

// per is a key made of inputs.
func (d *draft) per(m member) model.Template {
	t, ok := d.template(m.value, "per")
	if ok {
		d.checkInputs(m.value, t, true)
	}
	return t
}

// longest is how many times as long as its quiet a group of events is kept open, where the model does not say.
const longest = 10

func (d *draft) readDebounce(m member) {
	b := &model.Debounce{}
	m.fields("debounce", map[string]func(member){
		"quiet":   func(f member) { b.Quiet, _ = f.duration("quiet") },
		"at-most": func(f member) { b.AtMost, _ = f.duration("at-most") },
		"per":     func(f member) { b.Per = d.per(f) },
	})
	if b.Quiet == 0 {
		m.errorf("debounce needs quiet: how long nothing must happen")
	}
	if b.AtMost > 0 && b.AtMost < b.Quiet {
		m.errorf("debounce: quiet (%s) is longer than at-most (%s)", b.Quiet, b.AtMost)
	}
	if b.AtMost == 0 { // else events that keep coming would keep the run from ever starting
		b.AtMost = longest * b.Quiet
	}
	d.model.Policy.Debounce = b
}

// mostObjects is how many objects a run waits for at most: they are noted in one commit.
const mostObjects = 50

func (d *draft) readWaitFor(m member) {
	w := &model.WaitFor{}
	m.fields("wait-for", map[string]func(member){
		"objects": func(f member) {
			for _, v := range f.list() {
				t, ok := d.template(v, "an object")
				if !ok {
					continue
				}
				d.checkInputs(v, t, true)
				if !strings.HasPrefix(t.String(), "s3://") {
					v.errorf("%q is no S3 URI s3://bucket/key", t)
				}
				v.checkBucket(t.String())
				w.Objects = append(w.Objects, t)
			}
		},
		"newer-than": func(f member) { w.NewerThan, _ = f.duration("newer-than") },
		"timeout":    func(f member) { w.Timeout, _ = f.duration("timeout") },
	})
	switch {
	case len(w.Objects) == 0:
		m.errorf("wait-for needs objects: a list of S3 URIs")
	case len(w.Objects) > mostObjects:
		m.errorf("wait-for has %d objects, and at most %d are waited for: name one that is written last", len(w.Objects), mostObjects)
	}
	d.model.Policy.WaitFor = w
}

func (d *draft) readExpect(m member) {
	e := &model.Expect{Timezone: d.timezone}
	m.fields("expect", map[string]func(member){
		"success-by": func(f member) {
			if e.SuccessBy, _ = f.text("success-by"); e.SuccessBy != "" {
				if _, err := cron.Parse(e.SuccessBy, nil); err != nil {
					f.errorf("%v", err)
				}
			}
		},
		"timezone": func(f member) { e.Timezone = f.zone() },
		"per": func(f member) {
			e.Per, _ = f.text("per")
			if in, known := d.model.Input(e.Per); !known || len(in.Enum) == 0 {
				f.errorf("expect per %q: an input with an enum is needed, so that it is known what to expect", e.Per)
			}
		},
	})
	if e.SuccessBy == "" {
		m.errorf("expect needs success-by: a cron() by which a run must have succeeded")
	}
	d.model.Policy.Expect = e
}

// checkSize checks a Fargate size.
func checkSize(v value, cpu, memory int) {
	if fargate.ValidSize(cpu, memory) {
		return
	}
	var right []string
	for _, s := range fargate.Sizes() {
		if s.CPU == cpu {
			right = append(right, strconv.Itoa(s.Memory))
		}
	}
	if len(right) == 0 {
		var cpus []string
		for _, s := range fargate.Sizes() {
			cpus = append(cpus, strconv.Itoa(s.CPU))
		}
		v.errorf("Fargate has no tasks with %d CPU units; it has %s", cpu, strings.Join(slices.Compact(cpus), ", "))
		return
	}
	if len(right) > 6 {
		right = []string{right[0], right[1], "…", right[len(right)-1]}
	}
	v.errorf("Fargate has no task with %d CPU units and %d MiB; with this CPU it has %s MiB", cpu, memory, strings.Join(right, ", "))
}
