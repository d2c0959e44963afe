package eventbridge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awseb "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/rs/zerolog"

	"modeldispatch/internal/local/eventbridge"
)

// target records the events that it gets. The first calls, as many as failures says, fail.
type target struct {
	mu       sync.Mutex
	got      []string
	failures int
}

func (g *target) take(_ context.Context, event json.RawMessage) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failures > 0 {
		g.failures--
		return errors.New("not now")
	}
	g.got = append(g.got, string(event))
	return nil
}

func (g *target) all() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.got)
}

// from returns a Match function for the events of a source.
func from(source string) func(any) bool {
	return func(event any) bool {
		fields, _ := event.(map[string]any)
		return fields["source"] == source
	}
}

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 5e8, time.FixedZone("CET", 3600)) }

func serve(t *testing.T, b *eventbridge.Bus) *awseb.Client {
	t.Helper()
	web := httptest.NewServer(b)
	t.Cleanup(web.Close)
	return awseb.New(awseb.Options{
		Region: "us-east-1", BaseEndpoint: &web.URL, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
	})
}

func entry(source, detailType, detail string) types.PutEventsRequestEntry {
	return types.PutEventsRequestEntry{Source: &source, DetailType: &detailType, Detail: &detail}
}

func TestPutEvents(t *testing.T) {
	t.Parallel()
	var sales, all target
	c := serve(t, eventbridge.New(eventbridge.Options{Now: noon},
		eventbridge.Rule{Name: "sales", Match: from("acme.sales"), Target: sales.take},
		eventbridge.Rule{Name: "all", Match: func(any) bool { return true }, Target: all.take},
	))
	full := entry("acme.sales", "Order <placed>", `{ "total": 1.50 }`)
	full.Time, full.Resources = aws.Time(time.Unix(1700000000, 0)), []string{"order/1"}
	in := &awseb.PutEventsInput{Entries: []types.PutEventsRequestEntry{full, entry("acme.stock", "Counted", `{}`)}}
	out, err := c.PutEvents(t.Context(), in)
	if err != nil || out.FailedEntryCount != 0 {
		t.Fatalf("response %+v, error %v", out, err)
	}
	want := `{"version":"0","id":"` + *out.Entries[0].EventId + `","detail-type":"Order <placed>",` +
		`"source":"acme.sales","account":"000000000000",` +
		`"time":"2023-11-14T22:13:20Z","region":"us-east-1","resources":["order/1"],"detail":{"total":1.50}}`
	if got := sales.all(); len(got) != 1 || got[0] != want {
		t.Errorf("sales got\n%s, want\n%s", strings.Join(got, "\n"), want)
	}
	completed := `"time":"2026-03-01T11:00:00Z","region":"us-east-1","resources":[],"detail":{}}`
	if got := all.all(); len(got) != 2 || !strings.Contains(strings.Join(got, "\n"), completed) {
		t.Errorf("all got %v", got)
	}
}

func TestInvalidEntriesFailAlone(t *testing.T) {
	t.Parallel()
	var all target
	matchAll := func(any) bool { return true }
	c := serve(t, eventbridge.New(eventbridge.Options{}, eventbridge.Rule{Name: "all", Match: matchAll, Target: all.take}))
	elsewhere := entry("acme", "x", `{}`)
	elsewhere.EventBusName = aws.String("other")
	here := entry("acme", "x", `{}`)
	here.EventBusName = aws.String("arn:aws:events:us-east-1:000000000000:event-bus/default")
	cases := []struct {
		entry types.PutEventsRequestEntry
		code  string
	}{
		{entry("acme", "x", `{"a":1}`), ""},
		{here, ""},
		{entry("aws.s3", "x", `{}`), "NotAuthorizedForSourceException"},
		{entry("", "x", `{}`), "InvalidArgument"},
		{entry("acme", "", `{}`), "InvalidArgument"},
		{entry("acme", strings.Repeat("ü", 129), `{}`), "InvalidArgument"},
		{entry("acme", "x", ``), "InvalidArgument"},
		{entry("acme", "x", `[1]`), "MalformedDetail"},
		{entry("acme", "x", `{"a":`), "MalformedDetail"},
		{elsewhere, "InvalidArgument"},
	}
	in := &awseb.PutEventsInput{}
	failed := int32(0)
	for _, c := range cases {
		in.Entries = append(in.Entries, c.entry)
		if c.code != "" {
			failed++
		}
	}
	out, err := c.PutEvents(t.Context(), in)
	if err != nil || out.FailedEntryCount != failed || len(out.Entries) != len(cases) {
		t.Fatalf("response %+v, error %v", out, err)
	}
	for i, c := range cases {
		got := out.Entries[i]
		valid := c.code == ""
		if aws.ToString(got.ErrorCode) != c.code || valid != (got.EventId != nil) || valid != (got.ErrorMessage == nil) {
			t.Errorf("entry %d: code %q (%s), want %q", i, aws.ToString(got.ErrorCode), aws.ToString(got.ErrorMessage), c.code)
		}
	}
	if n := len(all.all()); n != 2 {
		t.Errorf("%d events were delivered, want the 2 valid ones", n)
	}
}

func TestPutEventsLimits(t *testing.T) {
	t.Parallel()
	c := serve(t, eventbridge.New(eventbridge.Options{}))
	detail := func(size int) string { return `{"a":"` + strings.Repeat("x", size-len(`sd{"a":""}`)) + `"}` }
	for name, test := range map[string]struct {
		entries []types.PutEventsRequestEntry
		fits    bool
	}{
		"no entry":       {[]types.PutEventsRequestEntry{}, false},
		"ten entries":    {slices.Repeat([]types.PutEventsRequestEntry{entry("s", "d", `{}`)}, 10), true},
		"eleven entries": {slices.Repeat([]types.PutEventsRequestEntry{entry("s", "d", `{}`)}, 11), false},
		"1 MiB":          {[]types.PutEventsRequestEntry{entry("s", "d", detail(1<<20))}, true},
		"1 MiB + 1 byte": {[]types.PutEventsRequestEntry{entry("s", "d", detail(1<<20+1))}, false},
	} {
		out, err := c.PutEvents(t.Context(), &awseb.PutEventsInput{Entries: test.entries})
		switch {
		case test.fits && (err != nil || out.FailedEntryCount != 0):
			t.Errorf("%s: response %+v, error %v", name, out, err)
		case !test.fits && (err == nil || !strings.Contains(err.Error(), "ValidationException")):
			t.Errorf("%s: error %v, want a ValidationException", name, err)
		}
	}
}

func TestPublish(t *testing.T) {
	t.Parallel()
	var all target
	b := eventbridge.New(eventbridge.Options{Now: noon}, eventbridge.Rule{Name: "all", Match: from("aws.s3"), Target: all.take})
	whole := `{"version":"0","id":"7","detail-type":"Object Created","source":"aws.s3","account":"1",` +
		`"time":"2026-01-01T00:00:00Z","region":"eu-west-1","resources":["r"],"detail":{"object":{"key":"a+b <ü> 100%"}}}`
	if err := b.Publish(t.Context(), json.RawMessage(whole)); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(t.Context(), json.RawMessage(`{"source":"aws.s3","detail-type":"Object Created","detail":{}}`)); err != nil {
		t.Fatal(err)
	}
	got := all.all()
	if got[0] != whole {
		t.Errorf("a complete event was changed to\n%s, want\n%s", got[0], whole)
	}
	var filled map[string]any
	if err := json.Unmarshal([]byte(got[1]), &filled); err != nil {
		t.Fatal(err)
	}
	if filled["time"] != "2026-03-01T11:00:00Z" || filled["id"] == "" || filled["version"] != "0" {
		t.Errorf("a completed event is %v", filled)
	}
	for _, bad := range []string{`{`, `{"source":"aws.s3","detail":{}}`, `{"source":"aws.s3","detail-type":"x","detail":"{}"}`} {
		if err := b.Publish(t.Context(), json.RawMessage(bad)); err == nil {
			t.Errorf("publishing %s: no error", bad)
		}
	}
}

// Patterns compare numbers by their text, so 300 differs from 300.0.
func TestMatchGetsNumbersAsText(t *testing.T) {
	t.Parallel()
	var texts []string
	b := eventbridge.New(eventbridge.Options{}, eventbridge.Rule{Name: "n", Match: func(event any) bool {
		detail := event.(map[string]any)["detail"].(map[string]any)
		texts = append(texts, fmt.Sprintf("%T %v", detail["n"], detail["n"]))
		return false
	}})
	if err := b.Publish(t.Context(), json.RawMessage(`{"source":"s","detail-type":"d","detail":{"n":300.0}}`)); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(texts, []string{"json.Number 300.0"}) {
		t.Errorf("matched with %v", texts)
	}
}

func TestDelivery(t *testing.T) {
	t.Parallel()
	event := json.RawMessage(`{"source":"s","detail-type":"d","detail":{}}`)
	t.Run("is retried until the target accepts the event", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			slow, quick := target{failures: 5}, target{}
			b := eventbridge.New(eventbridge.Options{},
				eventbridge.Rule{Name: "slow", Match: from("s"), Target: slow.take},
				eventbridge.Rule{Name: "quick", Match: from("s"), Target: quick.take})
			if err := b.Publish(t.Context(), event); err != nil {
				t.Error(err)
			}
			if len(slow.all()) != 1 || len(quick.all()) != 1 {
				t.Errorf("slow got %v, quick got %v", slow.all(), quick.all())
			}
		})
	})
	t.Run("failure is an error of Publish that names the rule", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			never := target{failures: 1e9}
			b := eventbridge.New(eventbridge.Options{}, eventbridge.Rule{Name: "never", Match: from("s"), Target: never.take})
			var log strings.Builder
			ctx, cancel := context.WithTimeout(zerolog.New(&log).WithContext(t.Context()), time.Hour)
			defer cancel()
			begin := time.Now()
			err := b.Publish(ctx, event)
			if !errors.Is(err, context.DeadlineExceeded) ||
				!strings.Contains(err.Error(), "rule never") || !strings.Contains(err.Error(), "not now") {
				t.Errorf("error %v", err)
			}
			if took := time.Since(begin); took != 10*time.Second {
				t.Errorf("Publish tried for %s, want 10s", took)
			}
			lines := strings.Split(strings.TrimSpace(log.String()), "\n")
			last := lines[len(lines)-1]
			for _, part := range []string{`"level":"error"`, `"rule":"never"`, `"error":"not now"`, `"event":{`, `"source":"s"`, "gave up"} {
				if !strings.Contains(last, part) {
					t.Errorf("the last line of the log is %s, want %s in it", last, part)
				}
			}
		})
	})
	t.Run("failure fails the entry of PutEvents", func(t *testing.T) {
		t.Parallel()
		never := target{failures: 1e9}
		c := serve(t, eventbridge.New(eventbridge.Options{DeliveryTimeout: time.Millisecond},
			eventbridge.Rule{Name: "never", Match: from("bad"), Target: never.take}))
		out, err := c.PutEvents(t.Context(), &awseb.PutEventsInput{
			Entries: []types.PutEventsRequestEntry{entry("bad", "d", `{}`), entry("good", "d", `{}`)},
		})
		if err != nil || out.FailedEntryCount != 1 ||
			aws.ToString(out.Entries[0].ErrorCode) != "InternalFailure" || out.Entries[1].EventId == nil {
			t.Errorf("response %+v, error %v", out, err)
		}
	})
	t.Run("follows new rules", func(t *testing.T) {
		t.Parallel()
		var old, fresh target
		b := eventbridge.New(eventbridge.Options{}, eventbridge.Rule{Name: "old", Match: from("s"), Target: old.take})
		b.SetRules(eventbridge.Rule{Name: "new", Match: from("s"), Target: fresh.take})
		if err := b.Publish(t.Context(), event); err != nil {
			t.Error(err)
		}
		if len(old.all()) != 0 || len(fresh.all()) != 1 {
			t.Errorf("old got %v, new got %v", old.all(), fresh.all())
		}
	})
}

func TestWatchers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := eventbridge.New(eventbridge.Options{Keep: 3})
		publish := func(names ...string) {
			for _, n := range names {
				if err := b.Publish(t.Context(), json.RawMessage(`{"source":"`+n+`","detail-type":"d","detail":{}}`)); err != nil {
					t.Fatal(err)
				}
			}
		}
		// watch subscribes a watcher that records the sources of events. At the source "block" it waits for release.
		release := make(chan struct{})
		watch := func() (seen func() string, cancel func()) {
			var mu sync.Mutex
			var sources []string
			cancel = b.Subscribe(func(event json.RawMessage) {
				var e struct{ Source string }
				if err := json.Unmarshal(event, &e); err != nil {
					t.Error(err)
				}
				mu.Lock()
				sources = append(sources, e.Source)
				mu.Unlock()
				if e.Source == "block" {
					<-release
				}
			})
			return func() string {
				synctest.Wait()
				mu.Lock()
				defer mu.Unlock()
				return strings.Join(sources, " ")
			}, cancel
		}
		early, cancelEarly := watch()
		for _, n := range []string{"a", "b", "c", "d"} {
			publish(n)
			synctest.Wait()
		}
		late, cancelLate := watch()
		if early() != "a b c d" || late() != "b c d" {
			t.Errorf("early saw %q, late saw %q", early(), late())
		}
		cancelLate()
		cancelLate()
		publish("block")
		synctest.Wait()
		publish("e", "f", "g", "h") // publishing does not wait for the blocked watcher, which misses e
		close(release)
		if early() != "a b c d block f g h" || late() != "b c d" {
			t.Errorf("early saw %q, late saw %q", early(), late())
		}
		cancelEarly()
	})
}

func TestBusAndRuleDescriptions(t *testing.T) {
	t.Parallel()
	c := serve(t, eventbridge.New(eventbridge.Options{Now: noon},
		eventbridge.Rule{Name: "sales", Pattern: `{"source":["acme"]}`}, eventbridge.Rule{Name: "stock"}))
	bus, err := c.DescribeEventBus(t.Context(), &awseb.DescribeEventBusInput{})
	const arn = "arn:aws:events:us-east-1:000000000000:event-bus/default"
	if err != nil || *bus.Arn != arn || !bus.CreationTime.Equal(noon()) {
		t.Errorf("bus %+v %v", bus, err)
	}
	buses, err := c.ListEventBuses(t.Context(), &awseb.ListEventBusesInput{})
	if err != nil || len(buses.EventBuses) != 1 || *buses.EventBuses[0].Name != "default" {
		t.Errorf("buses %+v %v", buses, err)
	}
	rules, err := c.ListRules(t.Context(), &awseb.ListRulesInput{NamePrefix: aws.String("sa")})
	if err != nil || len(rules.Rules) != 1 ||
		*rules.Rules[0].EventPattern != `{"source":["acme"]}` || rules.Rules[0].State != types.RuleStateEnabled {
		t.Errorf("rules %+v %v", rules, err)
	}
	var absent *types.ResourceNotFoundException
	if _, err := c.ListRules(t.Context(), &awseb.ListRulesInput{EventBusName: aws.String("other")}); !errors.As(err, &absent) {
		t.Errorf("rules of another bus: %v", err)
	}
}
