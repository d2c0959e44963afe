// Package model defines a model: a batch job in a container, declared as a function with typed inputs and named
// outputs, together with the triggers that start it and the policy that its runs follow.
//
// # Place in the flow
//
//	event → binding → run → launch → task → outcome → announcement
//
// Nearly every package imports this one; it imports only the standard library. It holds data types and pure functions
// on them: it reads no files, no clock and no environment. Package catalog reads YAML, checks it, and builds the types.
// Package route binds an event to the inputs of a model. Model.Render then turns bound inputs into the task of one run,
// and package run applies the policy.
//
// The JSON form of these types is stored in two places: in the compiled catalog, which the functions read when they
// start, and in the documents of each run, which keep the policy and the rendered task that the run was accepted with.
//
// # Terms
//
//   - An input is a typed parameter. Its value is kept as canonical text: ISO dates, RFC 3339 times, compact JSON, and
//     everything else as written. Input.Parse makes canonical text, and Input.Text writes it in the input's own format.
//   - An output is an S3 object that a successful run must leave.
//   - A template is text with placeholders such as {region} or {date:%Y/%m}. Template.Expand replaces each by a value.
//     Nothing is computed, except that {scheduled.date-1d} moves a scheduled time (Offset).
//   - A trigger names a kind of event, and binds inputs from it.
//   - A combination holds one value for each of some inputs, like one cell of a matrix. A trigger with for-each starts
//     one run for each combination of its axes. An axis (Axis) is an input with a list of values. Per names the inputs
//     that tell runs apart in a concurrency group, in a debounce window, or in an expectation.
//   - A policy holds the rules for runs: timeout, retries, exit codes, wait-for, debounce, concurrency, expectation and
//     loop guard. The retry budget of each class of failure is in package run (budgets).
//   - A wait-for (WaitFor) names S3 objects that must exist before a run is launched.
//   - An overlap (Overlap) is the action for a run whose concurrency group is full: it waits for a slot (queue), it
//     ends as skipped (skip), or it replaces the oldest holder (replace).
//   - An expectation (Expect) names times by which a run must have succeeded. If none has, package dispatch announces
//     "Model Run Overdue".
//   - The loop guard (MaxLaunchesPerHour) pauses a model that would be launched more often than that within a clock
//     hour. Such a model usually starts itself.
//   - A capacity is a place where tasks run: Fargate, Fargate Spot, container instances, or ECS Anywhere.
//   - A catalog holds all models of one environment. Its compiled form is one line of JSON with an index, and then one
//     line for each model. An entry is a model's part of the index: enough to route events, so that a function decodes
//     only the models that it needs.
//   - A deployment is one CloudFormation stack with its models; on a laptop the local stack takes its place. Its name
//     begins the names of its queues and task definitions.
//
// # Entry points
//
//   - Catalog.Encode writes the compiled form, ReadCatalog reads it for a deployment, and Catalog.ForDeployment does
//     both. Catalog.Model finds a model, and Catalog.Index lists the entries.
//   - ParseTemplate and Template.Expand handle templates, Strftime and Strptime handle date formats.
//   - Input.Parse decides whether a value is valid for an input.
//   - ParseObjectURI reads the URI of an S3 object, CutObjectURI splits the URI in a pattern, and
//     Template.ObjectPrefix returns the beginning of a URI that depends on inputs.
//   - Model.Render decides which command, environment, outputs and tags a task gets.
//   - Combinations, Model.ExpectedCombinations and Per.Key decide which runs belong together.
//
// # Rules
//
//   - The types do not check themselves. Package catalog checks every model, and the functions here rely on that: a
//     time zone exists, a format is valid, `expect.per` names inputs with an enum.
//   - A change of a JSON form that older code cannot read needs a new Schema.
//   - A run keeps the policy that it was accepted with. Only limits, overlap and pause are read live.
package model
