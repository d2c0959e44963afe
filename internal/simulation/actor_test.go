package simulation

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/event"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// errCrashed is the error of every call that an actor makes after it has crashed. Such a call has no effect.
var errCrashed = errors.New("crashed")

// actor is one invocation of a function, or one command of a user: a coroutine that gives way before and after each
// call.
type actor struct {
	world   *world
	name    string
	at      time.Time // when it continues
	crashed bool
	routine *coroutine
	claim   run.Run        // the run, as the actor claimed it
	catalog model.Catalog  // the catalog that was deployed when the actor started
	read    store.Key      // the document that it read last
	began   int            // the number of commits before it started
	listed  map[string]int // by listed partition: the number of commits before the listing
}

// spawn starts an actor with a dispatcher of its own. f reports whether the function acknowledges its work. done gets
// true if it does, and if the actor has not crashed.
func (w *world) spawn(name string, f func(*dispatch.Dispatcher) bool, done func(ok bool)) {
	acknowledged := false
	d := w.dispatcher()
	w.start(name, func() { acknowledged = f(d) }, func(ok bool) { done(ok && acknowledged) })
}

// start starts an actor that calls f. done then gets whether the actor has reached its end without a crash.
func (w *world) start(name string, f func(), done func(ok bool)) {
	a := &actor{world: w, name: name, at: w.now, catalog: w.catalog, began: w.checks.commits, listed: map[string]int{}}
	a.routine = takeCoroutine(func() {
		f()
		done(!a.crashed)
	})
	w.actors = append(w.actors, a)
}

// resume continues the actor until it gives way. It reports whether the actor has ended.
func (a *actor) resume() bool {
	a.world.actor = a
	return a.routine.resume()
}

// end crashes an actor that still waits when the world has ended.
func (a *actor) end() {
	a.crashed = true
	a.resume()
}

// pause gives way before or after a call, for the time that the world draws. It returns errCrashed if the actor crashes
// there.
func (a *actor) pause(point string) error { return a.hold(point, a.world.latency(point)) }

// hold gives way for a time. It returns errCrashed if the actor crashes there, or has crashed before.
func (a *actor) hold(point string, latency time.Duration) error {
	if a.crashed {
		return errCrashed
	}
	w := a.world
	a.at = w.now.Add(latency)
	if w.chance(w.faults.crash) {
		a.crashed = true
		w.trace("%s crashes (%s)", a.name, point)
		return errCrashed
	}
	a.routine.yield(struct{}{})
	if a.crashed {
		return errCrashed
	}
	return nil
}

// errFailed is the error of a call that fails.
var errFailed = errors.New("failed")

// call makes a call with a pause before and after it. An actor that crashes after the call never gets the answer. A
// call that fails has its effect in half of the cases, and the actor cannot know.
func call[T any](a *actor, point string, f func() (T, error)) (T, error) {
	var none T
	fails := a.world.chance(a.world.faults.fails) && point != "RunTask"
	if err := a.pause("before " + point); err != nil {
		return none, err
	}
	if fails && a.world.chance(0.5) {
		a.world.trace("%s: %s fails without effect", a.name, point)
		return none, errFailed
	}
	answer, err := f()
	if crash := a.pause("after " + point); crash != nil {
		return none, crash
	}
	if fails {
		a.world.trace("%s: %s fails after its effect", a.name, point)
		return none, errFailed
	}
	return answer, err
}

// do makes a call that returns only an error.
func do(a *actor, point string, f func() error) error {
	_, err := call(a, point, func() (struct{}, error) { return struct{}{}, f() })
	return err
}

// actorStore is the store as actors reach it. Its calls belong to the actor that is running, world.actor.
type actorStore struct {
	store.Store
	*world
}

func (s actorStore) Get(ctx context.Context, key store.Key) (store.Doc, error) {
	doc, err := call(s.actor, "Get "+key.String(), func() (store.Doc, error) { return s.Store.Get(ctx, key) })
	if err != nil {
		return doc, err
	}
	a := s.actor
	doc = s.broken.changeRead(a, doc)
	a.read = key
	return doc, nil
}

func (s actorStore) Commit(ctx context.Context, writes ...store.Write) error {
	a := s.actor
	writes = s.broken.changeCommit(a, writes)
	point := "Commit"
	for _, one := range writes {
		point += " " + one.Doc.Key.String()
	}
	commit := func(some ...store.Write) error {
		return do(a, point, func() error {
			some = s.withoutCheck(ctx, some)
			err := s.Store.Commit(ctx, some...)
			if err == nil {
				s.checkCommit(a, some)
			}
			return err
		})
	}
	if !s.broken.torn {
		return commit(writes...)
	}
	for _, one := range writes {
		if err := commit(one); err != nil {
			return err
		}
	}
	return nil
}

// withoutCheck removes the version check from the writes that the variant leaves unchecked: each becomes an update of
// the version that the store has now. Other writes stay the same.
func (s actorStore) withoutCheck(ctx context.Context, writes []store.Write) []store.Write {
	if s.broken.unchecked == nil {
		return writes
	}
	var all []store.Write
	for _, one := range writes {
		if doc, err := s.Store.Get(ctx, one.Doc.Key); err == nil && s.broken.unchecked(s.actor, one.Doc) && !one.Delete {
			one.Doc.Version = doc.Version
			one = store.Update(one.Doc)
		}
		all = append(all, one)
	}
	return all
}

func (s actorStore) Partition(ctx context.Context, pk, prefix string, limit int) ([]store.Doc, error) {
	a := s.actor
	return call(a, "Partition "+pk, func() ([]store.Doc, error) {
		docs, err := s.Store.Partition(ctx, pk, prefix, limit)
		a.listed[pk] = s.checks.commits
		if s.broken.waiters != nil && prefix == "w/" {
			s.broken.waiters(docs)
		}
		return docs, err
	})
}

func (s actorStore) Due(ctx context.Context, shard int, before time.Time, limit int) ([]store.DueDoc, error) {
	return call(s.actor, "Due", func() ([]store.DueDoc, error) { return s.Store.Due(ctx, shard, before, limit) })
}

// actorAWS is AWS as actors reach it, with the faults of the world. Its calls belong to the actor that is running.
type actorAWS struct{ *world }

func (a actorAWS) RunTask(ctx context.Context, request json.RawMessage, deadline time.Time) (fargate.Answer, error) {
	w := a.world
	if w.chance(w.faults.slow) {
		if err := a.actor.hold("a slow RunTask", w.between(0, run.CallTimeout)); err != nil {
			return fargate.Answer{}, err
		}
	}
	return call(a.actor, "RunTask", func() (fargate.Answer, error) {
		noteAnswer := w.checkToken(request)
		if w.chance(w.faults.throttle) {
			return w.broken.changeAnswer(fargate.Answer{Refusal: &run.Outcome{Class: run.ClassThrottled, Detail: "Rate exceeded"}})
		}
		if w.broken.noDeadline {
			deadline = w.now.Add(time.Minute)
		}
		noAnswer := fargate.Answer{Refusal: &run.Outcome{Class: run.ClassThrottled, Detail: "ServerException"}, Indefinite: true}
		if w.now.Before(deadline) && w.chance(w.faults.gatewayError) { // ECS continues with the request later
			w.after(w.between(0, 25*time.Second), func() {
				_, _ = w.aws.ECS.RunTask(ctx, request, w.now.Add(time.Second)) // no actor gets the answer
				w.checkLive()
			})
			return w.broken.changeAnswer(noAnswer)
		}
		answer, err := w.aws.ECS.RunTask(ctx, request, deadline)
		w.checkLive()
		switch {
		case err != nil:
			return answer, err
		case w.chance(w.faults.serverError): // ECS may have started a task all the same
			return w.broken.changeAnswer(noAnswer)
		case answer.Task != nil && w.chance(w.faults.conflict):
			answer.Task = &event.Task{ARN: answer.Task.ARN}
		}
		noteAnswer(answer)
		return w.broken.changeAnswer(answer)
	})
}

func (a actorAWS) Definition(ctx context.Context, family, container string) (fargate.Definition, error) {
	return call(a.actor, "Definition", func() (fargate.Definition, error) {
		return a.world.aws.ECS.Definition(ctx, family, container)
	})
}

func (a actorAWS) DescribeTasks(ctx context.Context, arns ...string) map[string]fargate.Described {
	w := a.world
	all, err := call(a.actor, "DescribeTasks", func() (map[string]fargate.Described, error) {
		if w.chance(w.faults.throttle) {
			return nil, errors.New("throttled")
		}
		all := w.aws.ECS.DescribeTasks(ctx, arns...)
		for _, arn := range arns {
			one := all[arn]
			w.changeTask(&one.Task)
			if w.hides(arn) {
				one = fargate.Described{Err: fargate.ErrMissing}
			}
			all[arn] = one
		}
		return all, nil
	})
	if err != nil {
		all = map[string]fargate.Described{}
		for _, arn := range arns {
			all[arn] = fargate.Described{Err: err}
		}
	}
	return all
}

func (a actorAWS) ListTasks(ctx context.Context, cluster, startedBy string) ([]string, error) {
	w := a.world
	return call(a.actor, "ListTasks", func() ([]string, error) {
		arns, err := w.aws.ECS.ListTasks(ctx, cluster, startedBy)
		if len(arns) > 0 && w.hides(arns[0]) {
			return nil, err
		}
		return arns, err
	})
}

func (a actorAWS) StopTask(ctx context.Context, arn, reason string) error {
	w := a.world
	return do(a.actor, "StopTask", func() error {
		if w.chance(w.faults.throttle) {
			return errors.New("throttled")
		}
		if w.hides(arn) && w.broken.hiddenIsStopped {
			return nil
		}
		if w.hides(arn) {
			return fargate.ErrMissing
		}
		return w.aws.ECS.StopTask(ctx, arn, reason)
	})
}

func (a actorAWS) Enqueue(_ context.Context, id string, delay time.Duration) error {
	w := a.world
	return do(a.actor, "Enqueue", func() error {
		w.send(queueLaunch, id, delay)
		return nil
	})
}

func (a actorAWS) Wake(_ context.Context, id string, delay time.Duration) error {
	w := a.world
	return do(a.actor, "Wake", func() error {
		w.send(queueWake, id, delay)
		return nil
	})
}

func (a actorAWS) Stat(ctx context.Context, uri string) (modified time.Time, there bool, err error) {
	err = do(a.actor, "Stat", func() (err error) {
		modified, there, err = a.world.aws.Stat(ctx, uri)
		return err
	})
	return modified, there, err
}

func (a actorAWS) Put(ctx context.Context, uri string, body []byte) error {
	return do(a.actor, "Put", func() error { return a.world.aws.Put(ctx, uri, body) })
}

func (a actorAWS) Get(ctx context.Context, uri string) ([]byte, error) {
	return call(a.actor, "Get", func() ([]byte, error) { return a.world.aws.Get(ctx, uri) })
}

func (a actorAWS) Announce(ctx context.Context, one dispatch.Announcement) error {
	w := a.world
	return do(a.actor, "Announce", func() error {
		if w.chance(w.faults.throttle) {
			return errors.New("throttled")
		}
		if w.broken.announce != nil {
			one = w.broken.announce(w, one)
		}
		return w.aws.Announce(ctx, one)
	})
}
