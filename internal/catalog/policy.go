package catalog

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"modeldispatch/internal/cron"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/model"
)

// readPolicy reads one of the fields that describe how runs are treated.
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
	case "max-launches-per-hour":
		d.model.Policy.MaxLaunchesPerHour, _ = m.integer("max-launches-per-hour", 1, 100_000)
	}
}

func (d *draft) readRetry(m member) {
	r := &d.model.Policy.Retry
	m.fields("retry", map[string]func(member){
		"attempts":  func(f member) { r.Attempts, _ = f.integer("attempts", 1, 100) },
		"timed-out": func(f member) { r.TimedOut = f.boolean("timed-out") },
		"lost":      func(f member) { r.Lost = f.boolean("lost") },
		"backoff":   func(f member) { r.BackoffMin, r.BackoffMax = f.backoff() },
		"out-of-memory": func(f member) {
			f.fields("out-of-memory", map[string]func(member){"max-memory": func(g member) {
				if n, ok := g.memory("max-memory", 512, 122880); ok {
					r.OutOfMemory, d.maxMemory = &model.OutOfMemory{MaxMemory: n}, &g
				}
			}})
		},
	})
}

// backoff reads a range of durations such as 30s .. 15m, or one duration for a backoff that does not grow.
func (v value) backoff() (from, to time.Duration) {
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
		v.errorf("backoff is %q; expected a range such as 30s .. 15m", text)
		return 0, 0
	}
	if to < from {
		v.errorf("backoff is %q: the first duration must not be longer than the second", text)
	}
	return from, to
}

func (d *draft) readExitCodes(m member) {
	list, _ := m.members("exit-codes")
	d.model.Policy.ExitCodes = map[int]model.ExitCodeAction{}
	for _, one := range list {
		code, err := strconv.Atoi(one.name)
		if err != nil || code < 1 || code > 255 {
			d.problem(one.key, false, "exit-codes: %q is not a whole number from 1 to 255", one.name)
			continue
		}
		word, ok := one.word("exit code "+one.name, string(model.ExitCodeSkip), string(model.ExitCodeRetry), string(model.ExitCodeFail))
		if ok {
			d.model.Policy.ExitCodes[code] = model.ExitCodeAction(word)
		}
	}
}

func (d *draft) readConcurrency(m member) {
	c := &model.Concurrency{Overlap: model.OverlapQueue}
	m.fields("concurrency", map[string]func(member){
		"limit": func(f member) { c.Limit, _ = f.integer("limit", 1, 200) },
		"per":   func(f member) { c.Per = d.readPer(f) },
		"overlap": func(f member) {
			word, _ := f.word("overlap", string(model.OverlapQueue), string(model.OverlapSkip), string(model.OverlapReplace))
			c.Overlap = model.Overlap(word)
		},
		"pool": func(f member) {
			c.Pool, _ = f.text("pool")
			if _, known := d.project.pools[c.Pool]; !known {
				f.errorf("there is no pool %q in %s; %s", c.Pool, ProjectFile, hint("pools", c.Pool, slices.Collect(maps.Keys(d.project.pools))))
			}
		},
	})
	if (c.Limit > 0) == (c.Pool != "") {
		m.errorf("concurrency needs exactly one of limit and pool")
	}
	switch {
	case c.Pool == "":
	case c.Per != nil:
		m.errorf("concurrency cannot have both pool and per, because the models share the pool: remove per, or use limit instead of pool")
	case c.Overlap == model.OverlapReplace:
		m.errorf("overlap: replace would cancel runs of other models in pool %q: use queue or skip", c.Pool)
	}
	d.model.Policy.Concurrency = c
}

// readPer reads the name of an input, or a list of names. It leaves out names with an error.
func (d *draft) readPer(m member) model.Per {
	per := model.Per{}
	for _, v := range m.list() {
		name, ok := v.text("per")
		if !ok {
			continue
		}
		in, known := d.model.Input(name)
		switch t, err := model.ParseTemplate(name); {
		case err == nil && len(t.Placeholders()) > 0:
			v.errorf("per is %q; expected the names of inputs, without braces: %s", name, perOf(t))
		case !known:
			v.errorf("per: %q is not an input of the model; %s", name, hint("inputs", name, d.inputNames()))
		case in.Optional && in.Default == nil:
			v.errorf("per: input %q may be unset: give it a default, or remove it here", name)
		case slices.Contains(per, name):
			v.errorf("per lists input %q twice", name)
		default:
			per = append(per, name)
		}
	}
	return per
}

// perOf returns the correct form of a per that was written as a template: `per: [region, date]` for {region}/{date}.
func perOf(t model.Template) string {
	var names []string
	for _, p := range t.Placeholders() {
		names = append(names, p.Name)
	}
	if len(names) == 1 {
		return "per: " + names[0]
	}
	return "per: [" + strings.Join(names, ", ") + "]"
}

// defaultDelayFactor times quiet is the default of max-delay.
const defaultDelayFactor = 10

func (d *draft) readDebounce(m member) {
	b := &model.Debounce{}
	m.fields("debounce", map[string]func(member){
		"quiet":     func(f member) { b.Quiet, _ = f.duration("quiet") },
		"max-delay": func(f member) { b.MaxDelay, _ = f.duration("max-delay") },
		"per":       func(f member) { b.Per = d.readPer(f) },
	})
	if b.Quiet == 0 {
		m.errorf("debounce needs quiet: the time without an event after which a window closes, such as 2m")
	}
	if b.MaxDelay > 0 && b.MaxDelay < b.Quiet {
		m.errorf("debounce: quiet (%s) must not be longer than max-delay (%s)", b.Quiet, b.MaxDelay)
	}
	if b.MaxDelay == 0 { // without a maximum, a steady flow of events would keep the window open forever
		b.MaxDelay = defaultDelayFactor * b.Quiet
	}
	d.model.Policy.Debounce = b
}

// maxObjects is the maximum number of objects that a run waits for. One commit of the store records all of them.
const maxObjects = 50

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
				if !strings.HasPrefix(t.String(), model.ObjectScheme) {
					v.errorf("%q is not an S3 URI of the form s3://bucket/key", t)
				}
				v.checkBucket(t.String())
				w.Objects = append(w.Objects, t)
			}
		},
		"max-age": func(f member) { w.MaxAge, _ = f.duration("max-age") },
		"timeout": func(f member) { w.Timeout, _ = f.duration("timeout") },
	})
	switch {
	case len(w.Objects) == 0:
		m.errorf("wait-for needs objects: a list of S3 URIs")
	case len(w.Objects) > maxObjects:
		m.errorf("wait-for has %d objects; the maximum is %d: list only the objects that are written last", len(w.Objects), maxObjects)
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
			e.Per = d.readPer(f)
			d.checkExpectPer(f, e)
		},
	})
	if e.SuccessBy == "" {
		m.errorf("expect needs success-by: a cron() expression for the times by which a run must have succeeded")
	}
	d.model.Policy.Expect = e
}

// checkExpectPer checks that each input of expect.per has an enum, and that no two combinations of values have the same
// text (model.Per.Value).
func (d *draft) checkExpectPer(m member, e *model.Expect) {
	var axes []model.Axis
	for _, name := range e.Per {
		in, _ := d.model.Input(name)
		if len(in.Enum) == 0 {
			m.errorf("expect.per names input %q, which has no enum: give it one, so that the program knows which runs to expect", name)
			return
		}
		axes = append(axes, model.Axis{Input: name, Values: in.Enum})
	}
	if tooMany(axes) {
		m.errorf("expect.per has more than %d combinations of values: name fewer inputs", maxCombinations)
		return
	}
	seen := map[string]bool{}
	for _, c := range model.Combinations(axes) {
		value := e.Per.Value(c)
		if seen[value] {
			m.errorf("expect.per: two combinations have the same text %s: remove \",\" and \"=\" from the enum values", value)
		}
		seen[value] = true
	}
}

// checkSize checks that Fargate offers tasks with these CPU units and MiB.
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
		v.errorf("Fargate does not offer %d CPU units; use one of %s", cpu, strings.Join(slices.Compact(cpus), ", "))
		return
	}
	if len(right) > 6 {
		right = []string{right[0], right[1], "…", right[len(right)-1]}
	}
	v.errorf("Fargate does not offer %d CPU units with %d MiB; with this CPU, use one of %s MiB", cpu, memory, strings.Join(right, ", "))
}
