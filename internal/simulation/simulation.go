// Package simulation tests that the run protocol keeps its promises when calls fail and processes die. Nothing else
// imports it, and all of its code is in tests.
//
// The rest of the program follows one flow: event -> binding -> run -> launch -> task -> outcome -> announcement. Every
// step of that flow can be interrupted, delayed or repeated. An ordinary test chooses a few such moments by hand. The
// simulation draws them at random, thousands of times, and always the same way for the same seed. The code under test
// is the real one: packages handler, dispatch, route and run. Only what surrounds it is simulated.
//
// # Terms
//
//   - A world (type world) is one simulated AWS account: a store in memory, a fake of AWS (package dispatchtest), a
//     clock, and one schedule of actors and timers. world.step advances the clock to the next one. A world starts on
//     2026-03-14 at 09:00 UTC. Within its first hour, four events happen that can start runs of the models of one
//     theme. It ends when every run has ended and no work is left, or after 100 hours.
//   - A theme (themes) is a small set of models whose policies are tested together, such as one with a concurrency
//     limit. The seed selects it.
//   - A deployment (deployments) is a catalog and the name of the ECS cluster in which new tasks start. Each world
//     changes it once, while runs are under way.
//   - An actor (type actor) is one invocation of a Lambda function, or one command of a user, who cancels
//     runs, or pauses and resumes a model. It is a coroutine: it gives way before and after every call of the store and
//     of AWS. There it can be delayed by up to three hours, crash, or lose the answer. Only one actor executes at a
//     time, so a world needs no locks and replays exactly.
//   - A fault is something that goes wrong in a world. The type faults holds the probability of each kind, and roll
//     chooses the probabilities of each world. A gentle world has no crashes, delays, lost messages, failed calls or
//     outages of the sweep, so work that is due happens on time. After 60 hours all faults stop, so that every run can
//     end.
//   - A seed is the number that decides everything in a world: its models, its faults, and every random draw. The same
//     seed and the same code always give the same world. A change in the order of store or AWS calls changes the world
//     of every seed.
//   - A check (the functions check... in checks_test.go) compares what has just happened with an invariant, which must
//     always hold. For example, checkCommit runs at each commit, checkToken and checkLive at RunTask calls, checkNeeded
//     at the start of a task, and checkEnd at the end.
//   - A finding is the text of the first failed check, with the simulated time. It ends the world, and the test fails.
//   - A variant (type variant) breaks one rule of the protocol, to prove that the checks notice it. It does not change
//     the code under test. It changes what an actor reads, what it writes, or which answer it gets. Its field harsh
//     changes the probabilities of the faults, so that the rule matters often.
//   - A burst (simulateBurst) is a world with thousands of runs and no faults, except that the quotas of ECS refuse
//     RunTask calls.
//
// # How to run it
//
//	go test ./internal/simulation                                          # 100 seeds, and the bursts
//	go test ./internal/simulation -run 'TestSimulation$' -seeds 10000      # seeds 1 to 10000
//	go test ./internal/simulation -run 'TestSimulation$' -seed 4711 -v     # one seed, with its story
//	go test ./internal/simulation -run BrokenVariants -break -v            # breaks each rule; takes minutes
//	go test ./internal/simulation -run 'BrokenVariants/rules/RULE' -break -v
//
// When TestSimulation has a finding, it prints the seed. Run that seed with -seed and -v: the test then logs the faults
// of the world, and one line with the simulated time for each crash, failed call, task status, cancellation and
// finding. Without -v no story is recorded. To see more, add calls of world.trace. They draw no random numbers, so they
// do not change the world.
//
// TestSimulationOnDynamoDB runs a few seeds on DynamoDB Local instead of the store in memory, and loses answers below
// the AWS SDK. It needs the environment variable MODELDISPATCH_DYNAMODB_LOCAL (see package dynamodbtest). TestBurst
// measures the launch rate limiter and the capacity breaker: 10,000 objects arrive within 20 seconds of simulated time.
//
// # How to add a check
//
//  1. Write a method check... of world in checks_test.go. It calls world.fail with the finding if the invariant does
//     not hold. It may read world.store, and it draws no random numbers: a check must not change the world. What it
//     must remember goes into the type checks.
//  2. Call it where the invariant can break: from checkCommit for stored documents, from actorAWS.RunTask for calls of
//     ECS, from checkDecided for decisions, or from checkEnd for an invariant of the ended world. If it expects
//     something within a time, let it pass unless checks.gentle is set.
//  3. Run many seeds. Then add a variant that breaks the invariant: it shows that the check can fail.
//  4. Add the invariant to "What must hold" in docs/simulation.md.
//
// # How to add a broken variant
//
//  1. Add an entry to variants in variants_test.go. Its rule says in plain words what the protocol does. The rule is
//     also the name of the subtest, so it contains neither a slash nor a bar.
//  2. Set the one field that breaks the rule, such as read, write, answer or unchecked. If a type of a document has to
//     change, use change. If the rule matters only in rare cases, make the faults that lead to them frequent with
//     harsh, and choose the models with models.
//  3. Run its subtest with -break. It fails if no seed up to 3,000 leads to a finding. Read the finding: it must follow
//     from the broken rule.
//  4. Run `go test ./internal/simulation -run BrokenVariants -break -update`. It writes the table of
//     docs/simulation.md. TestSimulationPageListsEveryRule fails until the table names the same rules in the same
//     order.
//
// # What it does not cover
//
//   - Real AWS services. The fakes keep the contracts that AWS documents, and a wrong fake hides a wrong assumption.
//   - Lambda's runtime, the environment of a function and its IAM role: package wiring tests these. The SQLite store, the
//     local stack and the command line have tests of their own.
//   - Parallel execution within one process. Actors interleave only at calls, so a data race between two goroutines of
//     one function stays hidden.
//   - Parts of the program that no simulated model uses: inputs whose values are stored in S3, declared outputs,
//     `for-each`, `expect`, and the loop guard.
//   - An upgrade: every function of a world runs the same code, so no document comes from an older or newer version. A
//     deployment in a world only changes the catalog and the cluster.
//   - Long backlogs. A world has a handful of runs, and a burst only has runs that succeed.
package simulation
