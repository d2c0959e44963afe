package catalog

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"modeldispatch/internal/cron"
	"modeldispatch/internal/model"
	"modeldispatch/internal/yamldoc"
)

// readPolicy reads one of the fields that describe how runs are treated.
func (d *draft) readPolicy(field string, m yamldoc.Member) {
	switch field {
	case "timeout":
		if text, _ := m.Raw(); text == "none" {
			d.model.Policy.Timeout = 0
		} else if timeout, ok := m.Duration("timeout"); ok {
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
		d.model.Policy.MaxLaunchesPerHour, _ = m.Integer("max-launches-per-hour", 1, 100_000)
	}
}

func (d *draft) readRetry(m yamldoc.Member) {
	r := &d.model.Policy.Retry
	m.Fields("retry", yamldoc.Readers{
		"attempts":  func(f yamldoc.Member) { r.Attempts, _ = f.Integer("attempts", 1, 100) },
		"timed-out": func(f yamldoc.Member) { r.TimedOut = f.Boolean("timed-out") },
		"lost":      func(f yamldoc.Member) { r.Lost = f.Boolean("lost") },
		"backoff":   func(f yamldoc.Member) { r.BackoffMin, r.BackoffMax = f.DurationRange("backoff") },
		"out-of-memory": func(f yamldoc.Member) {
			f.Fields("out-of-memory", yamldoc.Readers{"max-memory": func(g yamldoc.Member) {
				if n, ok := g.Memory("max-memory", 512, 122880); ok {
					r.OutOfMemory, d.maxMemory = &model.OutOfMemory{MaxMemory: n}, &g
				}
			}})
		},
	})
}

func (d *draft) readExitCodes(m yamldoc.Member) {
	list, _ := m.Members("exit-codes")
	d.model.Policy.ExitCodes = map[int]model.ExitCodeAction{}
	for _, one := range list {
		code, err := strconv.Atoi(one.Name)
		if err != nil || code < 1 || code > 255 {
			one.Key.Errorf("exit-codes: %q is not a whole number from 1 to 255", one.Name)
			continue
		}
		word, ok := one.Word("exit code "+one.Name, string(model.ExitCodeSkip), string(model.ExitCodeRetry), string(model.ExitCodeFail))
		if ok {
			d.model.Policy.ExitCodes[code] = model.ExitCodeAction(word)
		}
	}
}

func (d *draft) readConcurrency(m yamldoc.Member) {
	c := &model.Concurrency{Overlap: model.OverlapQueue}
	m.Fields("concurrency", yamldoc.Readers{
		"limit": func(f yamldoc.Member) { c.Limit, _ = f.Integer("limit", 1, 200) },
		"per":   func(f yamldoc.Member) { c.Per = d.readPer(f) },
		"overlap": func(f yamldoc.Member) {
			word, _ := f.Word("overlap", string(model.OverlapQueue), string(model.OverlapSkip), string(model.OverlapReplace))
			c.Overlap = model.Overlap(word)
		},
		"pool": func(f yamldoc.Member) {
			c.Pool, _ = f.Text("pool")
			if _, known := d.project.pools[c.Pool]; !known {
				f.Errorf("there is no pool %q in %s; %s",
					c.Pool, ProjectFile, yamldoc.Hint("pools", c.Pool, slices.Collect(maps.Keys(d.project.pools))))
			}
		},
	})
	if (c.Limit > 0) == (c.Pool != "") {
		m.Errorf("concurrency needs exactly one of limit and pool")
	}
	switch {
	case c.Pool == "":
	case c.Per != nil:
		m.Errorf("concurrency cannot have both pool and per, because the models share the pool: remove per, or use limit instead of pool")
	case c.Overlap == model.OverlapReplace:
		m.Errorf("overlap: replace would cancel runs of other models in pool %q: use queue or skip", c.Pool)
	}
	d.model.Policy.Concurrency = c
}

// readPer reads the name of an input, or a list of names. It leaves out names with an error.
func (d *draft) readPer(m yamldoc.Member) model.Per {
	per := model.Per{}
	for _, v := range m.List() {
		name, ok := v.Text("per")
		if !ok {
			continue
		}
		in, known := d.model.Input(name)
		switch t, err := model.ParseTemplate(name); {
		case err == nil && len(t.Placeholders()) > 0:
			v.Errorf("per is %q; expected the names of inputs, without braces: %s", name, perOf(t))
		case !known:
			v.Errorf("per: %q is not an input of the model; %s", name, yamldoc.Hint("inputs", name, d.inputNames()))
		case in.Optional && in.Default == nil:
			v.Errorf("per: input %q may be unset: give it a default, or remove it here", name)
		case slices.Contains(per, name):
			v.Errorf("per lists input %q twice", name)
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

func (d *draft) readDebounce(m yamldoc.Member) {
	b := &model.Debounce{}
	m.Fields("debounce", yamldoc.Readers{
		"quiet":     func(f yamldoc.Member) { b.Quiet, _ = f.Duration("quiet") },
		"max-delay": func(f yamldoc.Member) { b.MaxDelay, _ = f.Duration("max-delay") },
		"per":       func(f yamldoc.Member) { b.Per = d.readPer(f) },
	})
	if b.Quiet == 0 {
		m.Errorf("debounce needs quiet: the time without an event after which a window closes, such as 2m")
	}
	if b.MaxDelay > 0 && b.MaxDelay < b.Quiet {
		m.Errorf("debounce: quiet (%s) must not be longer than max-delay (%s)", b.Quiet, b.MaxDelay)
	}
	if b.MaxDelay == 0 { // without a maximum, a steady flow of events would keep the window open forever
		b.MaxDelay = defaultDelayFactor * b.Quiet
	}
	d.model.Policy.Debounce = b
}

// maxObjects is the maximum number of objects that a run waits for. One commit of the store records all of them.
const maxObjects = 50

func (d *draft) readWaitFor(m yamldoc.Member) {
	w := &model.WaitFor{}
	m.Fields("wait-for", yamldoc.Readers{
		"objects": func(f yamldoc.Member) {
			for _, v := range f.List() {
				t, ok := d.template(v, "an object")
				if !ok {
					continue
				}
				d.checkInputs(v, t, true)
				if !strings.HasPrefix(t.String(), model.ObjectScheme) {
					v.Errorf("%q is not an S3 URI of the form s3://bucket/key", t)
				}
				checkBucket(v, t.String())
				w.Objects = append(w.Objects, t)
			}
		},
		"max-age": func(f yamldoc.Member) { w.MaxAge, _ = f.Duration("max-age") },
		"timeout": func(f yamldoc.Member) { w.Timeout, _ = f.Duration("timeout") },
	})
	switch {
	case len(w.Objects) == 0:
		m.Errorf("wait-for needs objects: a list of S3 URIs")
	case len(w.Objects) > maxObjects:
		m.Errorf("wait-for has %d objects; the maximum is %d: list only the objects that are written last", len(w.Objects), maxObjects)
	}
	d.model.Policy.WaitFor = w
}

func (d *draft) readExpect(m yamldoc.Member) {
	e := &model.Expect{Timezone: d.timezone}
	m.Fields("expect", yamldoc.Readers{
		"success-by": func(f yamldoc.Member) {
			if e.SuccessBy, _ = f.Text("success-by"); e.SuccessBy != "" {
				if _, err := cron.Parse(e.SuccessBy, nil); err != nil {
					f.Errorf("%v", err)
				}
			}
		},
		"timezone": func(f yamldoc.Member) { e.Timezone = f.TimeZone("timezone") },
		"per": func(f yamldoc.Member) {
			e.Per = d.readPer(f)
			d.checkExpectPer(f, e)
		},
	})
	if e.SuccessBy == "" {
		m.Errorf("expect needs success-by: a cron() expression for the times by which a run must have succeeded")
	}
	d.model.Policy.Expect = e
}

// checkExpectPer checks that each input of expect.per has an enum, and that no two combinations of values have the same
// text (model.Per.Value).
func (d *draft) checkExpectPer(m yamldoc.Member, e *model.Expect) {
	var axes []model.Axis
	for _, name := range e.Per {
		in, _ := d.model.Input(name)
		if len(in.Enum) == 0 {
			m.Errorf("expect.per names input %q, which has no enum: give it one, so that the program knows which runs to expect", name)
			return
		}
		axes = append(axes, model.Axis{Input: name, Values: in.Enum})
	}
	if tooMany(axes) {
		m.Errorf("expect.per has more than %d combinations of values: name fewer inputs", maxCombinations)
		return
	}
	seen := map[string]bool{}
	for _, c := range model.Combinations(axes) {
		value := e.Per.Value(c)
		if seen[value] {
			m.Errorf("expect.per: two combinations have the same text %s: remove \",\" and \"=\" from the enum values", value)
		}
		seen[value] = true
	}
}
