// Package taskdef knows ECS task definitions: the rules of ECS and Fargate for them, the form in which they are
// registered, and the form in which CloudFormation creates them.
//
// # Place in the flow
//
//	task-definition.json → Check → Definition, in model.Catalog → Properties → CloudFormation template (package stack)
//	                                                            → the local ECS (package local)
//
// Package catalog calls Check while it compiles a model, so that `modeldispatch check` finds a definition that ECS would
// reject before a deployment does. Package stack calls Properties for the template of a deployment. The Lambda functions
// link neither: they know a definition by its family.
//
// # Terms
//
//   - A task definition describes the containers of a task. Its file has the form that aws ecs register-task-definition
//     reads. The output of aws ecs describe-task-definition is accepted too.
//   - The lint checks a definition against the rules of ECS and Fargate. It reports an error if ECS would reject the
//     definition or a task could not work, and a warning if the definition probably does not do what its author wants.
//   - The use (Use) says how a model uses its definition: the family, the capacity, and the container that runs the
//     model. A definition can be right for one use and wrong for another.
//   - The registered form is the definition as register-task-definition takes it: without the fields that only
//     describe-task-definition answers (describedOnly), without nulls and empty lists, and with the size of the task
//     as text in CPU units and MiB.
//   - The size of a task is its CPU units (1024 are one vCPU) and its memory in MiB (1024 are one GB). ECS accepts
//     "0.25 vCPU" and "0.5 GB" too, and so does this package.
//
// # Entry points
//
// Check lints a definition and returns its registered form. Properties returns CloudFormation's form. CheckName and
// CheckSize check a name and a size that model.yaml gives.
//
// # Rules
//
//   - A check of a definition belongs in a check method of lint. It reports at the value that is wrong (lint.at), or at
//     Use.At if a field of model.yaml is wrong.
//   - Each rule has a bad definition, testdata/bad/<rule>.json, with its problems in <rule>.txt. TestBadDefinitions
//     compares them; `go test ./internal/taskdef -update` writes the .txt files.
//   - members and describedOnly list the fields of ECS's API. TestMembers and TestDescribedOnly compare them with the
//     AWS SDK.
//   - Properties does not know the deployment: package stack sets the family, the roles and the options of the logs.
package taskdef
