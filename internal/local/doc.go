// Package local runs the whole of modeldispatch on one machine, in one process and without an AWS
// account. The command `modeldispatch local` starts it.
//
// It combines two things. The local AWS imitates the services that modeldispatch uses, each in its
// own package: s3, sqs, ecs, eventbridge, lambda and scheduler. They keep AWS's contracts, and any
// AWS SDK or CLI can call S3, SQS, ECS and EventBridge on one loopback port. Behind them run the
// real functions, wired as a deployment wires them.
//
//	S3 put ──► bus ──► arrival ─┐
//	SQS ─────────────► message ─┼─► store, launch queue ─► launch ─► ECS ─► process
//	schedule ────────► schedule ┘                                     │
//	                        store ◄── completion ◄── bus ◄── task state changes
//
// # Terms
//
//   - A stack (Stack) is one running local AWS with its functions, its store and its endpoint. It takes the place of
//     the CloudFormation stack that a deployment has in an account.
//   - The endpoint is the stack's URL on 127.0.0.1. It serves all services. ServeHTTP selects the
//     service of a request.
//   - The data folder holds everything that the stack stores. By default it is .modeldispatch in the
//     project's folder. One stack at a time may use it.
//   - The credential is the project's access key. Each client must send its id, except to read an object with GET or
//     HEAD. See package guard.
//   - A proof is a code that only a program with the credential can compute. The stack shows it to
//     callers, so that no other program on the same port can pass for the stack.
//   - A tally lists the runs that have not ended and the attempts that have more than one task.
//
// # Entry points
//
//   - Start starts a stack and returns when its endpoint answers. Stack.Close stops it.
//   - Endpoint finds the running stack of a data folder, and returns its address and credential.
//   - Wire returns a dispatcher that works on a running stack, for commands in another process.
//   - Stack.Put and Stack.Deliver send objects and events through the stack. Stack.Seed stores an
//     object without an event.
//   - Stack.Watch reports decisions, changes of runs and announcements.
//   - Stack.Tally checks that each run ended and that no attempt has two tasks.
//   - LogFile returns the path of a container's log.
//
// In an account, CloudFormation creates the resources of a deployment. Here Stack.deploy does it:
// it creates the buckets, queues, task definitions and functions of the catalog. Stack.rules decides
// which events invoke which function.
//
// # State
//
// What must survive is in the data folder, so a start continues after a crash of the process:
//
//	store.db       runs, events and all other documents of the store (unless Options.Store is set)
//	sqs.db         messages, and the asynchronous events of the functions
//	ecs.db         tasks; the local ECS knows a stopped task for an hour
//	s3/            buckets and objects
//	logs/          logs: RUN/ATTEMPT-CONTAINER.log for tasks of runs, TASK/CONTAINER.log for others
//	credentials    the access key, in the form of AWS's credentials file
//	endpoint       the URL of the running stack; Close removes it
//
// In memory, and lost with the process, are the multipart uploads of S3 that are not completed, the clusters that a
// client created, the count of errors of each asynchronous event (its tries start again), and the deliveries of
// schedules that are under way.
//
// # What to know
//
//   - An event that the stack answered is stored first. After a crash the next start continues it:
//     queues deliver again, ECS stops the tasks that were left, and the sweep advances their runs.
//   - A function has one minute. SQS tries a message five times, Lambda tries an asynchronous event
//     three times. Both then go to the queue modeldispatch-dead-letters.
//   - The local sweep runs every five seconds, because a developer may be waiting for the runs that a crash
//     interrupted. The sweep of an account runs every minute.
//   - Times of schedules that pass while no stack runs are not made up for.
//   - The stack compares access key ids and does not verify signatures.
//   - Containers run as processes of this machine. See package process.
//   - A request for another AWS service gets an error that names the four services.
//   - Files and folders are readable by their owner only. See package private.
package local
