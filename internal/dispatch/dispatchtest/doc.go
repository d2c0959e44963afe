// Package dispatchtest provides an in-memory AWS for tests of package dispatch and of the packages above it. It
// follows the contracts of AWS, for example of client tokens and task statuses. It has no goroutines, no clock of its
// own and no randomness: only what a test does happens.
//
//   - [AWS] implements dispatch.Queue, dispatch.Objects and dispatch.Bus. A test reads its fields to see which
//     messages, objects and announcements there are.
//   - [ECS] implements dispatch.Launcher and dispatch.Watcher. A test moves a task on with Start, Warn, Exit and
//     Stopped, which return the task as the state-change event shows it.
//
// Typical use:
//
//	aws := dispatchtest.New(now)
//	d := dispatch.New(dispatch.Options{Launcher: aws.ECS, Watcher: aws.ECS, Queue: aws, Objects: aws, Bus: aws, ...})
//	...
//	err := d.Observe(ctx, aws.ECS.Exit(arn, 0)) // the task ends, and its event arrives
//
// Neither type is safe for concurrent use.
package dispatchtest
