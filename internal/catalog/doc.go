// Package catalog compiles the files of a project into a catalog: modeldispatch.yaml, one models/<name>/model.yaml for
// each model, and the task definitions that are files of a model. Package yamldoc reads the files, and package taskdef
// checks the task definitions.
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
//   - A problem (yamldoc.Problem) is an error or a warning with its file, line, column and model. A file with a warning
//     compiles, but probably does not do what its author wants: Compile returns warnings beside the catalog.
//   - A placeholder, {name}, stands for a value that is known when an event arrives. A variable, ${NAME}, is replaced
//     during compilation. ${AWS::…} is left for CloudFormation, and is an error where CloudFormation does not see it.
//
// # Entry points
//
// Find returns the project's folder, Compile its catalog, and DeploymentName the deployment's name without the models.
// Schema and ProjectSchema return JSON schemas for editors.
//
// # Inside
//
//   - project.go: project.build reads modeldispatch.yaml.
//   - model.go: draft.build reads one model.yaml. The other draft methods read a part each: policies (policy.go), the
//     task (task.go), triggers (trigger.go, where.go).
//   - after.go: project.checkAfter checks `after` triggers, for which all models must be known.
//   - schema.go, model.schema.json: the JSON schemas of both files.
//
// # Rules
//
//   - The rules of package yamldoc hold. An error should not cause further errors: code that depends on a part with an
//     error stays silent about it. Compile returns no catalog if there is any error.
//   - A check of one field belongs in the method of draft that reads the field, a check of several fields of a model in
//     draft.finish, a check across models in project.finish, and a check of a task definition in package taskdef.
//     Wherever it is, it calls Errorf or Warnf on the value that is wrong.
//   - Each rule has a bad project, testdata/bad/<rule>. It holds only the files that differ from the valid ones in
//     testdata: modeldispatch.yaml, model.yaml and task-definition.json of the model forecast, and
//     models/<name>/model.yaml of further models. TestBadProjects compiles it for the environment local, and compares
//     the problems with its expected.txt. `go test ./internal/catalog -update` writes the expected.txt files.
//   - A new field of model.yaml needs a reader, an entry in fields (and in defaultable, if modeldispatch.yaml may set
//     it), a property in model.schema.json, and a line in testdata/whole.yaml. The schema files in the project's root
//     are copies: `check --schema` and `check --project-schema` print them.
package catalog
