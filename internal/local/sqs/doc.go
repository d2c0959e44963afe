// Package sqs is the local Amazon SQS: standard queues behind SQS's own JSON protocol, for any AWS SDK or CLI, and
// behind a Go API, for the local stack itself. The local stack keeps in it the launch and wake queues, the dead-letter
// queue, the queues of the models' message triggers, and hidden queues with the asynchronous events of Lambda
// functions. So in the flow (event -> binding -> run -> launch -> task -> outcome -> announcement) a step that is to be
// done waits here as a message.
//
// Terms:
//
//   - Visible: a message that a receive can return now.
//   - In flight: a received message, hidden until its visibility timeout ends or it is deleted.
//   - Delayed: a sent message, hidden until its delay ends.
//   - Receipt: the text that names one receive of one message. Only the receipt of the latest receive
//     can delete the message or change its visibility.
//   - Dead letter: a message that was received as often as the queue's RedrivePolicy allows. The next
//     receive moves it to the dead-letter queue instead of returning it.
//   - Hidden queue: a queue that only this process sees. The HTTP side does not know it.
//   - Held: a message in flight whose receiver lives in this process (Server.Receive), not behind HTTP.
//
// Entry points: New opens the queues. Server.Create makes a queue, Server.Send, Server.Receive,
// Server.Delete and Server.ChangeVisibility work on its messages, and Server.Counts and Server.Busy
// count them. Server.ServeHTTP answers AWS clients; the files api_*.go hold its operations, and the
// other files the engine that both sides share.
//
// Where state lies: one SQLite database (Options.File) has a table of queues and a table of messages.
// A message is one row from send to delete. Two columns decide its state: when it is visible next, and
// how often it was received. A waiting receiver sleeps until a signal or a timer wakes it. A change that
// makes a message visible raises the signal. The timer fires when the next message becomes visible.
//
// Rules:
//
//   - Every change is one transaction. A message whose Send has returned survives a crash of the
//     process. A power cut can lose the last messages (see dataSource).
//   - One process at a time holds the database file. A second one gets an error from New.
//   - After a restart, held messages are visible at once, because their receivers are gone. Messages
//     received over HTTP stay hidden until their visibility timeout ends.
//   - Delivery is at least once, and the order is not guaranteed, as in SQS.
//   - Checks, limits, defaults, MD5 sums and error names are SQS's own. The types of requests and
//     responses have the field names of SQS's API.
//   - Not supported: FIFO queues, encryption, policies, tags, throttling, and the 60 seconds for which
//     SQS blocks the name of a deleted queue.
package sqs
