// Package event decodes the payloads of the Lambda functions into events. It gives each event an identity, so that a
// second delivery of the same event can be recognized.
//
// It is the first step of the flow event -> binding -> run -> launch -> task -> outcome -> announcement. A handler of
// package handler decodes a payload here, and gives the events to package dispatch. Package dispatch asks package route
// for the bindings of an event, and starts a run for each. The package holds no state and calls no service.
//
// An ECS task state change also arrives as an EventBridge event. [DecodeTask] makes a [Task] of it and not an [Event]:
// it starts no run, and reports on a task that a run started.
//
// # Terms
//
//   - An event ([Event]) is one thing that happened: a schedule was due, an S3 object was created, an SQS message was
//     sent, a run succeeded, another event occurred on an EventBridge bus, or a user started a model.
//   - The kind (model.Kind) says which of these happened. A trigger takes events of its own kind only.
//   - The identity is a text that is the same for every delivery of one event. Package dispatch accepts an identity
//     once for each model and combination, and computes the ids of runs from it.
//   - The source is the name under which package route looks up the triggers of an event.
//   - The fields are a tree of decoded JSON, which placeholders and patterns read. [Fields] lists the fields of each kind
//     of event, and [CommonFields] those of all kinds. No other place lists them: decoding takes its names from there,
//     package catalog checks placeholders and `where` against them, and tests compare the documents with them.
//   - An open field has fields of its own, whose names are known only when an event arrives, such as the body of a
//     message.
//   - The payload of an event is the JSON that is recorded for it. An operator can send it again (a replay).
//   - A wrapping is one of the forms in which AWS delivers the same event, for example an S3 notification in an SNS
//     envelope in an SQS message.
//   - A delivery ([Delivery]) is one message of an SQS batch, with the events that were decoded from it.
//
// # Kinds of events
//
//	kind      identity                                   source
//	schedule  schedule/<model>/<trigger>/<hash>/<time>   model
//	arrival   arrival/<bucket>/<key>/<write>             bucket
//	message   message/<queue>/<message id>               queue
//	after     after/<run id>                             upstream model
//	event     event/<event id>                           event's source
//	manual    manual/<model>/<digest of key>             model
//
// How the variable parts of an identity are made:
//
//   - schedule: hash is the hash of the trigger's content, and time is the scheduled time in UTC. A changed trigger is
//     therefore another event, even at the same time.
//   - arrival: write is the version id. Without a version (or with the version "null") it is the sequencer, in upper
//     case and without zeros at its end. Without a sequencer it is the ETag.
//   - message: if the message has the attribute [IdentityAttribute], its value is the identity. A replayed message
//     keeps its first identity in this way, although SQS gives it a new message id.
//   - event: an event without an id is identified by the digest of its payload.
//   - manual: the caller chooses the key. Two calls with the same key are the same event, whatever their inputs.
//   - A payload that cannot be decoded becomes an event of kind "event" with the identity undecoded/<digest>
//     ([Undecoded]). It has no source and no fields. The handlers use it to record the payload with the error.
//
// A digest is the first 12 bytes of a SHA-256, as hexadecimal text.
//
// [Event.Value] returns the value of a placeholder: of a field, or of what only a placeholder can read (Field.Where is
// false). It returns times in the trigger's time zone, and the upstream run's inputs with their types.
//
// # Wrappings
//
//	payload                                                          decoder
//	EventBridge event, any source                                    DecodeEventBridge
//	EventBridge event "Object Created" of aws.s3                     DecodeArrival
//	EventBridge event "ECS Task State Change" of aws.ecs             DecodeTask
//	the Input of a schedule in EventBridge Scheduler                 DecodeSchedule
//	S3 notification; the same in an SNS batch, or an SNS envelope    DecodeArrival
//	SQS batch of anything                                            DecodeMessages
//	SQS batch of S3 notifications, or of these in SNS envelopes      DecodeMessages, DecodeArrival
//	SQS batch of "Object Created" events                             DecodeMessages, DecodeArrival
//
// [Decode] recognizes the payload by its shape (shapeOf), and names the function that takes it.
//
// # Rules
//
//   - S3 form-encodes the keys in its notifications, and does not encode them in EventBridge events. Object.Key is
//     always decoded, so every wrapping of one write gives the same identity.
//   - S3's test notification and its notifications of deletions give no event and no error.
//   - In a queue, only S3's payloads are unwrapped. Every other message is a message event with its body as it was
//     sent, even if the body is an SNS envelope or an EventBridge event.
//   - One bad record does not affect the others. DecodeArrival returns the events that it could decode together with
//     an error. DecodeMessages puts the error into the Delivery.
//   - Numbers are decoded as json.Number, so that they keep their digits.
//   - The decoders check the form of a payload, and do not check who sent it.
//   - The form of an identity must not change: an event that is delivered before and after the change would start
//     two runs.
package event
