// Package limiter spaces the RunTask calls of all launchers, and keeps runs from calls that ECS would refuse. All
// launchers share one document (records.Limiter), which holds the launch rate, the open capacity breakers and the counts
// of the loop guard.
//
// In the flow event -> binding -> run -> launch -> task -> outcome -> announcement, package limiter decides when a run
// may be launched, and with which capacity. Package dispatch asks it for a [Reservation] before each launch, and reports
// what ECS refused. The limiter changes a run only to release it from a breaker, through the interface [Runs].
//
// # Terms
//
//   - The launch rate is the number of RunTask calls a second, of all launchers together. It stays below the account's
//     quota.
//   - A reservation tells when one run may make its call, and which capacity type it asks for.
//   - A capacity breaker, one for each capacity type such as spot, keeps runs from calls that ECS would refuse.
//   - A waiter is a run that waits at a breaker. Waiters leave in the order in which their runs were accepted.
//   - The loop guard stops a model that is launched more than max-launches-per-hour times in one clock hour. Such a model
//     usually starts itself. Package dispatch pauses it.
//
// # Capacity breakers
//
//	state      when                                           runs with this capacity
//	closed     no refusal since it closed                     are launched
//	open       ECS refused, or stopped a task, for lack of    wait in the order of their acceptance; each task on this
//	           capacity or for a quota (OpenBreaker)          capacity that ends releases one as its replacement
//	half-open  once a minute, while open (Probe)              one waiter is released as a probe. Each probe whose task
//	                                                          runs releases two more. A probe that is refused waits
//	                                                          again
//
// A breaker closes when a probe is due and no run waits. A run whose model lists several capacities takes the first
// one with a closed breaker; if all are open, it waits at the breaker of the last one.
package limiter
