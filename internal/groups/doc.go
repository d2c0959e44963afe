// Package groups grants the slots of concurrency groups. A concurrency group is a set of runs of which only a limited
// number may run at once; a model declares it with `concurrency`.
//
// In the flow event -> binding -> run -> launch -> task -> outcome -> announcement, a run waits for its slot before its
// first launch. Package dispatch carries out the effect run.Admit by [Groups.Admit], and gives back the slot of a run
// that ends with the write that [Leave] returns, in the commit that ends the run. Groups changes runs through the
// interface [Runs].
//
// # Terms
//
//   - A holder is a run that holds a slot, until it ends. The document of the group (records.Holders) names them.
//   - A waiter is a run that waits for a slot. Its document (records.Waiter) is in the partition of the group. The first
//     waiter is the one whose run was accepted first.
//   - To admit is to grant the free slots of a group to its first waiters. Only Admit grants slots: each run that joins a
//     group, ends or is resumed asks for it.
//   - The overlap policy of a model says what happens to a run that finds its group full: it is queued, it is skipped, or
//     it replaces the oldest holder.
//
// # Pause
//
// While a model is paused, Admit grants its runs no slot, and skips none of them by an overlap policy. Its waiters do not
// block other models of a pool. A run of a model without a concurrency limit waits in the group of the pause ([Paused]).
package groups
