// Package stack generates the CloudFormation templates of what follows from the models: their task definitions and
// schedules, rules for the buckets and patterns that start them, and the queues that they read. template.yaml nests
// them, and hands down what they have in common: functions, roles, the dead-letter queue, the log group.
package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"modeldispatch/internal/model"
)

// File is the name of the template that template.yaml nests. It has what models share, and nests them in parts.
const File = "models.yaml"

// parts is how many templates the models are in. It does not follow their number, nor does a model's part: one that moved
// would be made in its new part before it is deleted in the old one, whose schedules have the same names. So a catalog of
// five models is in parts, too; a part without models is not made.
const parts = 8

// The limits of an account. https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html (500
// resources and 1 MB a template, 2,500 resources in one nested operation),
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html (300 rules a bus). What is left over is for
// template.yaml, and for others.
const (
	maxTemplate  = 500
	maxBytes     = 1_000_000
	maxResources = 2400
	maxRules     = 200
)

// parameters are what template.yaml hands down.
var parameters = map[string]string{
	"Deployment":       "Name of the deployment: it is in all names.",
	"ScheduleFunction": "ARN of the function that takes schedules.",
	"ArrivalFunction":  "ARN of the function that takes S3 events.",
	"EventFunction":    "ARN of the function that takes any other EventBridge event.",
	"MessageFunction":  "ARN of the function that takes SQS messages.",
	"MessageRole":      "Name of that function's role: it is allowed to read the queues here.",
	"LaunchRole":       "Name of the role of the function that launches: it is allowed to run the task definitions of others that models name.",
	"ArrivalRole":      "Name of the role of the function that takes S3 events: it is allowed to look for what models wait for.",
	"CompletionRole":   "Name of the role of the function that hears of tasks: it is allowed to look for what models leave.",
	"SweepRole":        "Name of the role of the sweep: it is allowed to look for both.",
	"SchedulerRole":    "ARN of the role with which schedules invoke.",
	"DeadLetters":      "ARN of the queue for what cannot be delivered.",
	"TaskRole":         "ARN of the role of tasks whose model has no policy.json.",
	"ExecutionRole":    "ARN of the role with which ECS pulls images and writes logs.",
	"LogGroup":         "Name of the log group of all tasks.",
	"StateBucket":      "Name of the bucket in which tasks find their large inputs.",
	"Cluster":          "ARN of the cluster that tasks run in.",
}

// ofParts are those of the parameters that a part needs.
var ofParts = []string{"Deployment", "ScheduleFunction", "SchedulerRole", "DeadLetters", "TaskRole", "ExecutionRole", "LogGroup", "StateBucket"}

// Policies reads the policy.json of each model that has one: what its tasks may do in AWS.
func Policies(c model.Catalog) (map[string][]byte, error) {
	policies := map[string][]byte{}
	for _, m := range c.Models {
		file := filepath.Join(m.Folder, "policy.json")
		text, err := os.ReadFile(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		case !json.Valid(text):
			return nil, fmt.Errorf("%s is not JSON; an IAM policy document is expected", file)
		default:
			policies[m.Name] = text
		}
	}
	return policies, nil
}

// Generate makes the templates for a compiled catalog, by file name. now is when they are made: see schedule. policies are
// the policy.json files, by model.
func Generate(c model.Catalog, policies map[string][]byte, now time.Time) (map[string][]byte, error) {
	g := generator{catalog: c, policies: policies, now: now}
	var own [parts][]resource
	total := 0
	for _, m := range c.Models {
		all, err := g.model(m)
		if err != nil {
			return nil, fmt.Errorf("model %q: %w", m.Name, err)
		}
		part := partOf(m.Name)
		own[part] = append(own[part], all...)
		total += len(all)
	}
	shared, err := g.shared(own)
	if err != nil {
		return nil, err
	}
	if total += len(shared); total > maxResources {
		return nil, fmt.Errorf("the models need %d resources, and a deployment may have %d of CloudFormation's 2,500: deploy them as two projects", total, maxResources)
	}
	files := map[string][]byte{}
	if files[File], err = template(File, "What models share, and the models in parts.", slices.Collect(maps.Keys(parameters)), shared); err != nil {
		return nil, err
	}
	for i, all := range own {
		if len(all) == 0 {
			continue
		}
		if files[partFile(i)], err = template(partFile(i), fmt.Sprintf("The models, part %d of %d.", i+1, parts), ofParts, all); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// partOf is the part that a model is in: always the same.
func partOf(name string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return int(h.Sum32() % parts)
}

func partFile(part int) string { return fmt.Sprintf("models-%d.yaml", part+1) }

// nested are the stacks of the parts that have models.
func nested(own [parts][]resource) []resource {
	handed := fields{}
	for _, name := range ofParts {
		handed[name] = ref(name)
	}
	var all []resource
	for i := range own {
		if len(own[i]) > 0 {
			all = append(all, resource{fmt.Sprintf("Part%d", i+1), fields{
				"Type": "AWS::CloudFormation::Stack", "Properties": fields{"TemplateURL": partFile(i), "Parameters": handed},
			}})
		}
	}
	return all
}
