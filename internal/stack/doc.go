// Package stack generates the CloudFormation templates that depend on the models: one set of files for one compiled
// catalog. template.yaml is the other half of a deployment. It is written by hand, it is a SAM template, and it holds
// everything that is the same for every project: functions, store, queues, roles, alarms.
//
// # Where it stands in the flow
//
// The package runs when a project is compiled, before any event. `modeldispatch compile` compiles the catalog, calls
// Policies and Generate, and writes the files to .build/. template.yaml nests .build/models.yaml: its resource "Models"
// (AWS::CloudFormation::Stack) creates that template as a stack inside its own. `sam deploy` creates everything in one
// stack operation. At run time the generated resources do two jobs:
//
//   - They deliver events to the functions: schedules, EventBridge rules, queues and event source mappings.
//   - They let a run launch its task: task definitions, task roles, and the functions' permissions.
//
// The functions never read a template. They find task definitions and queues by name, so the names generated here must
// equal the names in the functions' catalog (model.Catalog.ForDeployment). TestNamesEqualTheCatalogs compares them.
//
// # Terms
//
//   - Deployment: one CloudFormation stack with its models; on a laptop the local stack takes its place. The
//     CloudFormation stack is the one of template.yaml, with the stacks nested in it. Names of queues, rules and task
//     definition families start with the deployment's name, and schedules are in a schedule group of that name. So two
//     deployments can share an account and a cluster.
//   - Shared template: models.yaml (File). It holds the rules, queues, event source mappings (Lambda's connections of a
//     queue to a function) and permissions, and nests the parts.
//   - Part: one of models-1.yaml to models-8.yaml. A part holds the task definitions, task roles and schedules of the
//     models whose names hash to it. Generate omits a part that has no models.
//   - Arrival rule: the EventBridge rule for one bucket. All models that need objects of the bucket share it.
//   - Event rule: the EventBridge rule for one event pattern. All triggers with an equal pattern share it.
//   - Outside task definition: a task definition that a model names by family or ARN, and that the deployment does not
//     create. The launch function gets permission to run each one.
//   - Hash of a trigger: the hash of its content (model.Trigger.Hash). A schedule sends it with each event, so that a
//     changed trigger produces a different event.
//
// # Entry points
//
// Policies reads the policy.json files of the models. Generate returns the templates by file name. Inside, generator
// has one method for each kind of resource: model, taskRole, schedule, arrivals, events, queues, permissions.
//
// # Rules
//
//   - References go one way. template.yaml passes parameters to the nested stack and uses none of its outputs.
//     Otherwise CloudFormation would find a circular dependency.
//   - A model never moves between parts. CloudFormation would create its schedules in the new part before it deletes
//     those in the old part, and the two would have the same names.
//   - Permissions are granted before events start to flow: rules, event source mappings and parts depend on the role
//     policies.
//   - A generated role policy allows only the resources that models name. The exception is a bucket whose name depends
//     on inputs: the policy then allows s3:ListBucket on all buckets.
//   - Task definitions and queues are retained when a template drops them. Runs that were accepted earlier still need
//     their task definition, and a queue may still hold messages.
//   - An equal catalog produces equal text. The exception is a rate() that has no equal cron(): its StartDate depends
//     on the time of the compilation.
//   - Generate stops at the first model that it cannot convert, and returns an error that names the model. It also
//     returns an error, with the numbers, when a template, a policy or the whole deployment would exceed a limit of
//     CloudFormation, IAM or EventBridge.
package stack
