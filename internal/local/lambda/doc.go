// Package lambda imitates AWS Lambda in this process. It invokes Go handlers with the JSON that Lambda would send them,
// and delivers events to them as Lambda's asynchronous invocations and SQS event source mappings do.
//
// Functions do every step of the flow event -> binding -> run -> launch -> task -> outcome -> announcement except the
// task. This package invokes them: EventBridge rules and schedules call InvokeAsync, and queues feed functions through
// mappings. Package local declares the functions and the mappings.
//
// # Terms
//
//   - A Function is a named handler with a timeout and a limit on concurrent asynchronous invocations.
//   - An asynchronous event is a payload that InvokeAsync accepted. It is in a hidden queue of its function.
//   - A function error (FunctionError) is the failure of a handler: an error, a panic, a timeout or a response over the
//     size limit.
//   - A failure destination is the SQS queue that receives a record of each event that Lambda stops retrying.
//   - A Mapping connects a queue to a function: Lambda's event source mapping. It delivers messages in batches.
//   - The batching window limits how long a mapping waits to fill a batch after its first message.
//   - A poller receives messages from one queue and handles several of them concurrently. There is one for each
//     function and one for each mapping.
//
// # Entry points
//
// New checks the functions and mappings, and creates the queues for asynchronous events. Run starts the pollers and
// blocks. Invoke calls a function and returns its response. InvokeAsync accepts an event and returns before its
// delivery. Idle and WaitIdle tell when no event or message is left.
//
// Inside, deliver decides what happens to an asynchronous event after a try, processBatch and itemFailures decide which
// messages of a batch are deleted, and runHandler turns the end of a handler into a response or a FunctionError.
//
// # State and failures
//
// All durable state is in the queues of the local SQS. An accepted event or message stays in its queue until a
// function has handled it or its tries are used up, so it survives the death of this process. Delivery is at least
// once.
//
//   - Asynchronous event: a function error leads to two more tries, after Options.RetryDelays. Then giveUp sends a
//     record to the failure destination. The count of function errors is in memory, so it starts again with a new
//     process. maxDeliveries bounds the deliveries of an event over all processes, because an event may kill the
//     process. https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-configuring.html
//   - Batch of a mapping: failed messages become visible again after Mapping.RetryDelay, and the others are deleted.
//     The queue's own redrive policy moves a message to the dead-letter queue after too many receives.
//   - Queue that cannot be polled: the poller logs the error and tries again after a second. Only a closed SQS server
//     ends Run with an error.
//
// The functions share this process. A panic affects no other invocation. A handler that ignores its context runs on
// after its timeout, but the engine no longer waits for it.
package lambda
