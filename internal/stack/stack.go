package stack

import (
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

// File is the name of the shared template. template.yaml nests it, and it nests the parts.
const File = "models.yaml"

// partCount is the number of parts. It is the same for every catalog, large or small, so that a model stays in its part
// when other models come and go. A model that moved would be created in its new part before CloudFormation deletes it
// in the old one, and its schedules would have the same names in both.
const partCount = 8

// Limits on the generated templates. CloudFormation allows 500 resources and 1 MB in a template, and 2,500 resources
// in one operation with nested stacks
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html). EventBridge allows 300
// rules on a bus (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html). maxResources and maxRules
// are lower: the rest is for template.yaml and for other applications in the account.
const (
	maxTemplateResources = 500       // resources in one template
	maxTemplateBytes     = 1_000_000 // size of one template
	maxResources         = 2400      // resources of all templates together
	maxRules             = 200       // EventBridge rules of all templates together
)

// parameters holds the description of each parameter that template.yaml passes to the shared template.
var parameters = map[string]string{
	"Deployment":       "Name of the deployment. Resource names contain it.",
	"ScheduleFunction": "ARN of the schedule function, which EventBridge Scheduler invokes.",
	"ArrivalFunction":  "ARN of the arrival function, which receives S3 events.",
	"EventFunction":    "ARN of the event function, which receives other EventBridge events.",
	"MessageFunction":  "ARN of the message function, which reads the queues of message triggers.",
	"MessageRole":      "Name of the message function's role. This template allows it to read the queues.",
	"LaunchRole":       "Name of the launch function's role. This template allows it to run task definitions from outside the deployment.",
	"ArrivalRole":      "Name of the arrival function's role. This template allows it to list the buckets of wait-for objects.",
	"CompletionRole":   "Name of the completion function's role. This template allows it to list the buckets of outputs.",
	"SweepRole":        "Name of the sweep function's role. This template allows it to list the buckets of wait-for objects and outputs.",
	"SchedulerRole":    "ARN of the role that EventBridge Scheduler assumes to invoke the schedule function.",
	"DeadLetters":      "ARN of the dead-letter queue.",
	"TaskRole":         "ARN of the task role for models without a policy.json.",
	"ExecutionRole":    "ARN of the role that ECS uses to pull images, write logs and read secrets.",
	"LogGroup":         "Name of the log group for all tasks.",
	"StateBucket":      "Name of the bucket that holds large inputs of tasks.",
	"Cluster":          "ARN of the ECS cluster that tasks run in.",
}

// partParameters lists the parameters that the shared template passes on to each part.
var partParameters = []string{
	"Deployment", "ScheduleFunction", "SchedulerRole", "DeadLetters", "TaskRole", "ExecutionRole", "LogGroup", "StateBucket",
}

// Policies reads the policy.json of each model that has one, and returns the texts by model name. A policy.json is an
// IAM policy document for the model's tasks. Policies returns an error when a file cannot be read; Generate checks the text.
func Policies(c model.Catalog) (map[string][]byte, error) {
	policies := map[string][]byte{}
	for _, m := range c.Models {
		file := filepath.Join(m.Dir, "policy.json")
		text, err := os.ReadFile(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		default:
			policies[m.Name] = text
		}
	}
	return policies, nil
}

// Generate returns the templates for a compiled catalog, by file name. policies holds the policy.json texts by model
// name, as Policies returns them. now is the time of the compilation: recurrence derives StartDate from it.
//
// Generate returns an error when a model cannot be converted to CloudFormation, when a policy.json is not a JSON object or
// mentions an unknown variable, and when a limit of CloudFormation, IAM or EventBridge would be exceeded.
func Generate(c model.Catalog, policies map[string][]byte, now time.Time) (map[string][]byte, error) {
	g := generator{catalog: c, policies: policies, now: now}
	var byPart [partCount][]resource
	total := 0
	for _, m := range c.Models {
		all, err := g.model(m)
		if err != nil {
			return nil, fmt.Errorf("model %q: %w", m.Name, err)
		}
		part := partOf(m.Name)
		byPart[part] = append(byPart[part], all...)
		total += len(all)
	}
	shared, err := g.shared(byPart)
	if err != nil {
		return nil, err
	}
	if total += len(shared); total > maxResources {
		return nil, fmt.Errorf("the models need %d resources; a deployment may have at most %d of the 2,500 that CloudFormation "+
			"allows: split the models into two projects", total, maxResources)
	}
	return templates(shared, byPart)
}

// templates returns the shared template and one template for each part that has resources.
func templates(shared []resource, byPart [partCount][]resource) (map[string][]byte, error) {
	description := "Resources that models share, and a nested stack for each part."
	text, err := template(File, description, slices.Collect(maps.Keys(parameters)), shared)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{File: text}
	for i, all := range byPart {
		if len(all) == 0 {
			continue
		}
		description = fmt.Sprintf("Models, part %d of %d.", i+1, partCount)
		if files[partFile(i)], err = template(partFile(i), description, partParameters, all); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// partOf returns the index of a model's part. It depends on the model's name only.
func partOf(name string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return int(h.Sum32() % partCount)
}

func partFile(part int) string { return fmt.Sprintf("models-%d.yaml", part+1) }

// nestedStacks returns a nested stack for each part that has resources.
func nestedStacks(byPart [partCount][]resource) []resource {
	passed := fields{}
	for _, name := range partParameters {
		passed[name] = ref(name)
	}
	var all []resource
	for i := range byPart {
		if len(byPart[i]) > 0 {
			all = append(all, resource{fmt.Sprintf("Part%d", i+1), fields{
				"Type": "AWS::CloudFormation::Stack", "Properties": fields{"TemplateURL": partFile(i), "Parameters": passed},
			}})
		}
	}
	return all
}
