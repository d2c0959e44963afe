// Package route finds the runs that an event starts, with a value for each input. It can also say why an event starts
// no run of a model.
//
// It is the second step of the flow event -> binding -> run -> launch -> task -> outcome -> announcement. Package
// dispatch takes an event (package event) and asks [Table.Route] for its bindings and rejections. It accepts the
// bindings. It stores each rejection as an event record with the reason and the payload (dispatch.Dispatcher.Accept).
// [Table.Explain] also returns a reason for each model that takes no part. The command line shows these reasons, and
// package dispatch gives the nearest one when no model matches an event. [Table.Bind] binds inputs that are given by
// hand, without an event. [Rules] and [Queues] return the EventBridge rules and the queues that a catalog needs: a
// deployment and the local stack create them. The package calls no service. Its only state is the Table, which does not
// change after [New], so that any number of goroutines can use it at once.
//
// # Terms
//
//   - A [Table] holds the compiled triggers of a catalog. Its index leads from the kind and the source of an event
//     (bucket, queue, model or EventBridge source) to the triggers that may match it. The cost of Route therefore
//     depends on the triggers of that source, and not on the number of models.
//   - A trigger matches an event if the kind, the source, the arrival pattern or event pattern, and `where` all match.
//   - An arrival pattern ([Arrival]) is an S3 URI with placeholders. A capture is the text that a placeholder matches.
//   - A combination (model.Combination) holds one value for each input in `for-each`. A trigger that matches an event
//     starts one run for each combination.
//   - A binding ([Binding]) is one run that an event would start: a model, a trigger, a combination and the input
//     values.
//   - A rejection ([Rejection]) is a combination for which an input has no value, or a wrong one.
//   - A miss ([Miss]) is a model without a trigger that matches the event, with the reason.
//
// # Which trigger matches an event
//
// The triggers of a model are tried in the order of the file. The first trigger that matches the event wins, and the
// others are not tried, even if an input of the first turns out wrong. An event therefore starts at most one run of a
// model and combination. Models do not affect each other.
//
// `where` is an event pattern that reads the fields of the event and the captures. An object whose key ends in a slash
// and that is empty is a folder marker. No trigger matches it.
//
// # Binding order
//
// A trigger can have a field `inputs`, which is either a map from inputs to templates, or the name of a namespace
// (body, detail or upstream). The inputs of the model are bound in the order of the file. Each takes the first value
// that exists of these (binder.find):
//
//  1. for-each: its value in the combination.
//  2. trigger inputs: the template that the map gives it. A placeholder of the template is looked up as a capture, then
//     as a value of the combination, and then by event.Event.Value. If a placeholder has no value, the template gives
//     no value.
//  3. captures: the capture with its name.
//  4. fields: the field with its name in the namespace that `inputs` names.
//  5. defaults: its default. It may use the values of the inputs above it.
//
// An input without a value is left out if it is optional. Otherwise the combination is rejected. model.Input.Parse
// checks the value and returns its canonical text. A wrong value does not fall through to the next source: it rejects
// the combination, even if a default exists. A rejection names every input that is wrong. Each binding records in From
// where the value of each input came from.
//
// # How a near miss is chosen
//
// Explain compares each trigger of a model with the event and stops at the first thing that does not match.
// Miss.Closeness grows with each step that matches: kind, source, beginning of the key, rest of the key or `where`. The
// miss of a model comes from its trigger with the highest value, and from the first of equals. A trigger with several
// arrival patterns is compared by the nearest one. Explain sorts the misses by Closeness, highest first, and leaves
// equal ones in the order of the catalog.
//
// # Limits
//
//   - Arrival patterns use Go's regexp, so that the time to match grows linearly with the key. A pattern has at most
//     [MaxPattern] bytes.
//   - A pattern of an event trigger that does not fix the source is not in the index. Route tries such triggers for
//     each EventBridge event.
//   - Explain uses no index. Its cost grows with the number of triggers in the catalog.
package route
