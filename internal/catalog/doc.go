// Package catalog compiles the files of a project into a catalog: modeldispatch.yaml, one models/<name>/model.yaml for
// each model, and the task definitions that are files of a model.
//
// # Place in the flow
//
//	files → Compile → model.Catalog → CloudFormation templates (package stack), compiled catalog (the functions)
//
// Commands of the CLI call Compile before there is any event: `modeldispatch check` prints the problems of the models,
// `explain` shows which models an event would start, `compile` writes the files of a deployment, `next` shows the next
// times of schedules, and `local` runs the models on this machine. Compile finds every error that can be found without
// an event, all in one pass, so that later code needs no second check. The Lambda functions never read YAML. They read
// the encoded catalog (model.Catalog.Encode, model.ReadCatalog).
//
// # Terms
//
//   - A project is a folder with a modeldispatch.yaml. Find looks for it in a folder and its parents.
//   - An environment is an entry of `environments`. It names a stack and gives values to the variables ${NAME}. The
//     environment "local" exists without an entry.
//   - A deployment is one CloudFormation stack with its models; on a laptop the local stack takes its place. Its name
//     is the name of that stack and the prefix of its resources: Options.Deployment, or the stack of the environment,
//     or "modeldispatch". Its resources come from template.yaml, the SAM template in the root of this repository, and
//     from the templates that package stack generates.
//   - Defaults are fields in modeldispatch.yaml for the models that do not set them. A model's field replaces the
//     default as a whole; the two are not merged.
//   - A problem (Problem) is an error or a warning with its file, line, column and model. A file with a warning
//     compiles, but probably does not do what its author wants: Compile returns warnings beside the catalog.
//   - A placeholder, {name}, stands for a value that is known when an event arrives. A variable, ${NAME}, is replaced
//     during compilation. ${AWS::…} is left for CloudFormation, and is an error where CloudFormation does not see it.
//   - The lint checks a task definition against the rules of ECS and Fargate.
//
// # Entry points
//
// Find returns the project's folder, Compile its catalog, and DeploymentName the deployment's name without the models.
// Schema and ProjectSchema return JSON schemas for editors.
//
// # Inside
//
//   - yaml.go: document parses a file. A value is a YAML value with its position, and has readers such as text, word and
//     integer. units.go: the readers of memory and durations.
//   - project.go: project.build reads modeldispatch.yaml.
//   - model.go: draft.build reads one model.yaml. The other draft methods read a part each: policies (policy.go), the
//     task (task.go) and its definition (definition.go, members.go), triggers (trigger.go, where.go).
//   - after.go: project.checkAfter checks `after` triggers, for which all models must be known.
//   - problem.go: report collects the problems, and split sorts them into warnings and errors. value.errorf and
//     value.warnf report an error or a warning at the position of a value. document.problem does so at any other
//     position.
//
// # Rules
//
//   - A reader that finds an error reports it and returns ok == false. The caller continues with the rest of the file.
//     An error should not cause further errors: code that depends on a part with an error stays silent about it.
//   - An unknown field is an error, as is a field that is set twice. Compile returns no catalog if there is any error.
//   - A message states the cause and then the correct form.
//   - A check of one field belongs in the method of draft that reads the field, a check of several fields of a model in
//     draft.finish, a check across models in project.finish, and a check of a task definition in a check method of
//     lint, which lint.normalize calls. Wherever it is, it calls errorf or warnf on the value that is wrong.
//   - Each rule has a bad project, testdata/bad/<rule>. It holds only the files that differ from the valid ones in
//     testdata: modeldispatch.yaml, model.yaml and task-definition.json of the model forecast, and
//     models/<name>/model.yaml of further models. TestBadProjects compiles it for the environment local, and compares
//     the problems with its expected.txt. `go test ./internal/catalog -update` writes the expected.txt files.
//   - A new field of model.yaml needs a reader, an entry in fields (and in defaultable, if modeldispatch.yaml may set
//     it), a property in model.schema.json, and a line in testdata/whole.yaml. The schema files in the project's root
//     are copies: `check --schema` and `check --project-schema` print them.
//   - members lists the fields that ECS accepts in a task definition. TestMembers compares it with the AWS SDK.
package catalog
