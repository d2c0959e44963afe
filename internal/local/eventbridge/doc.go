// Package eventbridge is the local Amazon EventBridge: the default event bus, its PutEvents API behind AWS's own JSON
// protocol, and the rules that the local stack gives it.
//
// In the flow (event -> binding -> run -> launch -> task -> outcome -> announcement) the bus carries three sorts of
// EventBridge events:
//
//   - events of S3 objects and of users, which can start runs and become an event.Event;
//   - state changes of ECS tasks, which start no run: they become an event.Task, and the completion function records
//     from them that the task of a run is running, or that it has stopped;
//   - announcements of runs and of rejected events.
//
// Terms:
//
//   - Event: a JSON object in EventBridge's envelope (version, id, detail-type, source, account, time,
//     region, resources, detail).
//   - Rule: a function that matches events, and the target that gets them.
//   - Target: a function that stores an event durably. The local stack's targets invoke Lambda
//     functions asynchronously.
//   - Entry: one event of a PutEvents call, before the bus adds the envelope.
//   - Watcher: a function given to Subscribe that observes all events.
//
// Entry points: New makes a Bus, and Bus.SetRules replaces its rules. PutEvents (Bus.ServeHTTP) takes
// events from outside, and Bus.Publish takes those of the local AWS services. Rule.Match decides
// which rule gets an event. Bus.Subscribe adds a watcher.
//
// What happens to an event: the bus completes its envelope, shows it to the watchers, and hands it to
// the target of every rule that matches. The bus calls a failing target again, with growing pauses of
// 10 ms to 2 s. After Options.DeliveryTimeout it gives up: it logs the event with the name of the
// rule, and reports the failure to the sender. EventBridge tries for 24 hours. It can, because it
// stores the event first and answers the sender at once.
//
// Rules for maintainers:
//
//   - The bus keeps no event durably. A call returns only after every target has stored the event or
//     failed, so an event whose sender got a success is durable. An event that could not be delivered
//     is reported to its sender, which still has it.
//   - Delivery is at least once, as in AWS: a sender that tries again may reach a target twice.
//   - An entry that is invalid or not delivered fails alone. PutEvents still answers 200, with the
//     error in that entry's result.
//   - Watchers never delay an event. The bus holds the last Options.Keep events in memory for them; a
//     watcher that is too slow misses the oldest.
//   - The API serves PutEvents, ListRules, DescribeEventBus and ListEventBuses. Rules cannot be
//     changed over HTTP, and there is one bus, "default".
package eventbridge
