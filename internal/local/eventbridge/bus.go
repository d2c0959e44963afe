package eventbridge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"modeldispatch/internal/jsonread"
	"modeldispatch/internal/local/awsjson"
)

// Rule hands the events that it matches to a target.
type Rule struct {
	Name string
	// Match reports whether the rule matches the event. It gets the whole event as decoded JSON.
	// Numbers are json.Number, because patterns compare their text.
	Match func(event any) bool
	// Target stores the event. It returns nil only once the event is durable.
	Target func(ctx context.Context, event json.RawMessage) error
	// Pattern is the text that ListRules returns. The bus itself uses Match only.
	Pattern string
}

// Options configure a Bus. The zero value is ready to use.
type Options struct {
	Region  string           // the region in envelopes and ARNs; default us-east-1
	Account string           // the account in envelopes and ARNs; default 000000000000
	Now     func() time.Time // the clock; default time.Now
	Keep    int              // the number of past events that watchers can still see; default 1000
	// DeliveryTimeout limits how long PutEvents and Publish try to deliver an event before they
	// report it as failed; default 10 s.
	DeliveryTimeout time.Duration
}

func (o Options) withDefaults() Options {
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.Account == "" {
		o.Account = "000000000000"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Keep == 0 {
		o.Keep = 1000
	}
	if o.DeliveryTimeout == 0 {
		o.DeliveryTimeout = 10 * time.Second
	}
	return o
}

// Bus is the default event bus. Its methods may be called from any goroutine.
type Bus struct {
	options Options
	service awsjson.Service
	created time.Time
	watch   *ring

	mu    sync.RWMutex
	rules []Rule
}

// New returns a bus with the given rules.
func New(options Options, rules ...Rule) *Bus {
	options = options.withDefaults()
	b := &Bus{options: options, created: options.Now(), watch: newRing(options.Keep), rules: rules}
	b.service = awsjson.Service{Target: "AWSEvents", Version: "1.1", Operations: b.operations()}
	return b
}

// SetRules replaces the rules. An event that is being delivered keeps the old ones.
func (b *Bus) SetRules(rules ...Rule) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rules = rules
}

func (b *Bus) currentRules() []Rule {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.rules
}

// Handles reports whether the request is for EventBridge.
func (b *Bus) Handles(r *http.Request) bool { return b.service.Handles(r) }

// ServeHTTP answers a request to EventBridge's API.
func (b *Bus) ServeHTTP(w http.ResponseWriter, r *http.Request) { b.service.ServeHTTP(w, r) }

// Subscribe calls f with the past events that the bus still holds (Options.Keep) and then with each
// new one, in order, one at a time. A watcher that falls further behind than that misses the oldest
// events. After cancel at most one call of f, which has already begun, still finishes.
func (b *Bus) Subscribe(f func(event json.RawMessage)) (cancel func()) { return b.watch.subscribe(f) }

// envelope is a complete event, in the form that rules and targets get.
type envelope struct {
	Version    string          `json:"version"`
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Account    string          `json:"account"`
	Time       string          `json:"time"`
	Region     string          `json:"region"`
	Resources  []string        `json:"resources"`
	Detail     json.RawMessage `json:"detail"`
}

// complete returns the event with its missing fields set, as AWS sets them.
func (e envelope) complete(o Options) envelope {
	fill := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	fill(&e.Version, "0")
	fill(&e.ID, uuid.NewString())
	fill(&e.Account, o.Account)
	fill(&e.Region, o.Region)
	fill(&e.Time, o.Now().UTC().Format(time.RFC3339))
	if e.Resources == nil {
		e.Resources = []string{}
	}
	return e
}

// encode returns the event as JSON. Like AWS it does not escape <, > and &.
func (e envelope) encode() (json.RawMessage, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(e); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(out.Bytes()), nil
}

// Publish puts an event of an AWS service on the bus. The event is a whole envelope; Publish sets
// version, id, account, time, region and resources where they are missing. It returns nil once the
// target of every matching rule has stored the event, and tries failing targets again until
// Options.DeliveryTimeout is over. It returns an error if the event is not JSON, has no source or
// detail-type, or has a detail that is not an object, and if a target has not stored the event when
// the time is over or ctx ends.
func (b *Bus) Publish(ctx context.Context, event json.RawMessage) error {
	var e envelope
	if err := json.Unmarshal(event, &e); err != nil {
		return fmt.Errorf("publishing an event: %w", err)
	}
	switch {
	case e.Source == "" || e.DetailType == "":
		return errors.New("publishing an event: source and detail-type are required")
	case !isObject(e.Detail):
		return errors.New("publishing an event: detail must be a JSON object")
	}
	if err := b.publish(ctx, e.complete(b.options)); err != nil {
		return fmt.Errorf("publishing %s from %s: %w", e.DetailType, e.Source, err)
	}
	return nil
}

// isObject reports whether text is one JSON object.
func isObject(text json.RawMessage) bool {
	return json.Valid(text) && bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{"))
}

// publish shows the event to watchers and delivers it to the targets of all matching rules in
// parallel, for at most Options.DeliveryTimeout. The error joins those of all targets that failed.
func (b *Bus) publish(ctx context.Context, e envelope) error {
	ctx, cancel := context.WithTimeout(ctx, b.options.DeliveryTimeout)
	defer cancel()
	event, err := e.encode()
	if err != nil {
		return err
	}
	decoded, err := jsonread.Value(event)
	if err != nil {
		return err
	}
	b.watch.add(event) // before the targets get it, so that a watcher sees a cause before its effects
	var deliveries sync.WaitGroup
	rules := b.currentRules()
	failures := make([]error, len(rules))
	for i, rule := range rules {
		if rule.Match(decoded) {
			deliveries.Go(func() { failures[i] = deliver(ctx, rule, event) })
		}
	}
	deliveries.Wait()
	return errors.Join(failures...)
}

// deliver calls the rule's target until it accepts the event or ctx ends. In the second case it logs
// the event, because no more tries follow.
func deliver(ctx context.Context, rule Rule, event json.RawMessage) error {
	const firstPause, longestPause = 10 * time.Millisecond, 2 * time.Second
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := rule.Target(ctx, event)
		if err == nil {
			return nil
		}
		zerolog.Ctx(ctx).Warn().Err(err).Str("rule", rule.Name).Msg("target did not accept the event")
		timer := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			zerolog.Ctx(ctx).Error().Err(err).Str("rule", rule.Name).RawJSON("event", event).Msg("event not delivered; the bus gave up")
			return fmt.Errorf("rule %s: %w", rule.Name, errors.Join(ctx.Err(), err))
		}
	}
}
