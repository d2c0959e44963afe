// Package eventbridge is Amazon EventBridge on one machine: the default event bus with PutEvents
// behind AWS's own JSON protocol, and the rules that its owner gives it.
//
// An event comes in through PutEvents (from outside) or Publish (from the local AWS services),
// gets its envelope, and is handed to the target of each rule that matches. Nothing is kept here:
// a call is answered only when every target has taken the event into its own keeping, so an
// answered event is durable, and one that could not be delivered is reported to its sender, who
// still has it. As in AWS, a sender that tries again may reach a target twice.
//
// Watchers see the last events and every new one; they are never waited for.
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

	"modeldispatch/internal/local/awsjson"
)

// Rule gives the events that it matches to a target.
type Rule struct {
	Name string
	// Match gets the whole event, decoded; numbers are json.Number, for patterns compare their text.
	Match func(event any) bool
	// Target takes the event; when it returns nil, the event must be durable with it.
	Target func(ctx context.Context, event json.RawMessage) error
	// Pattern is what ListRules shows; it decides nothing.
	Pattern string
}

// Options is where the bus pretends to be, and what it does.
type Options struct {
	Region  string           // default us-east-1
	Account string           // default 000000000000
	Now     func() time.Time // default time.Now
	Keep    int              // events kept for watchers; default 1000
	// Patience is how long PutEvents tries to deliver before it says that an entry failed; default
	// 10 s. Publish has as long as its context.
	Patience time.Duration
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
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
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

// New makes a bus with these rules.
func New(options Options, rules ...Rule) *Bus {
	options = options.withDefaults()
	b := &Bus{options: options, created: options.Now(), watch: newRing(options.Keep), rules: rules}
	b.service = awsjson.Service{Target: "AWSEvents", Version: "1.1", Operations: b.operations()}
	return b
}

// SetRules replaces the rules. Events that are under way keep those they began with.
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

// Serves says whether the request is for EventBridge.
func (b *Bus) Serves(r *http.Request) bool { return b.service.Serves(r) }

func (b *Bus) ServeHTTP(w http.ResponseWriter, r *http.Request) { b.service.ServeHTTP(w, r) }

// Subscribe shows f the last events and then each new one, in order, one at a time. A watcher that
// falls behind by more than the bus keeps misses the oldest. After cancel at most the call that is
// under way is finished.
func (b *Bus) Subscribe(f func(event json.RawMessage)) (cancel func()) { return b.watch.subscribe(f) }

// envelope is an event as every rule and target sees it.
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

// complete fills in what AWS fills in.
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

// encode is JSON without HTML escapes, which AWS does not use either.
func (e envelope) encode() (json.RawMessage, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(e); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(out.Bytes()), nil
}

// Publish puts an AWS service's event on the bus, a whole event as AWS writes it; version, id, account,
// time, region and resources are filled in where they are missing. It returns when every target
// of a matching rule has taken the event, and tries those that fail again until ctx ends.
func (b *Bus) Publish(ctx context.Context, event json.RawMessage) error {
	var e envelope
	if err := json.Unmarshal(event, &e); err != nil {
		return fmt.Errorf("publishing an event: %w", err)
	}
	switch {
	case e.Source == "" || e.DetailType == "":
		return errors.New("publishing an event: it needs a source and a detail-type")
	case !isObject(e.Detail):
		return errors.New("publishing an event: its detail is not a JSON object")
	}
	if err := b.publish(ctx, e.complete(b.options)); err != nil {
		return fmt.Errorf("publishing %s from %s: %w", e.DetailType, e.Source, err)
	}
	return nil
}

func isObject(text json.RawMessage) bool {
	return json.Valid(text) && bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{"))
}

func (b *Bus) publish(ctx context.Context, e envelope) error {
	event, err := e.encode()
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(event))
	decoder.UseNumber()
	var decoded any
	if err := decoder.Decode(&decoded); err != nil {
		return err
	}
	b.watch.add(event) // before its targets, so that a watcher sees causes before effects
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

// deliver hands the event to a target until it takes it, or ctx ends.
func deliver(ctx context.Context, rule Rule, event json.RawMessage) error {
	const first, most = 10 * time.Millisecond, 2 * time.Second
	for wait := first; ; wait = min(2*wait, most) {
		err := rule.Target(ctx, event)
		if err == nil {
			return nil
		}
		zerolog.Ctx(ctx).Warn().Err(err).Str("rule", rule.Name).Msg("target did not take the event")
		timer := time.NewTimer(wait/2 + rand.N(wait/2))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("rule %s: %w", rule.Name, errors.Join(ctx.Err(), err))
		}
	}
}
