package iamtest

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Root is the file name of the template that nests the others.
const Root = "template.yaml"

// Stack holds the templates of a deployment, with the values that an account gives them.
type Stack struct {
	Templates       map[string]string // the text of each template, by file name
	Region, Account string
	Parameters      map[string]any    // the parameters of the root template, except parameters that keep their default
	Names           map[string]string // the names of resources that do not have theirs from the template, by logical id
}

// statement is an Allow statement of a policy. A statement with a service is part of a trust policy: it lets the
// service assume the role, and has no resources.
type statement struct {
	actions, resources []string // patterns, in which * matches any text
	service            string
	conditions         map[string]map[string][]string // values by operator and condition key
	used               map[string]bool                // the actions, resources and service that have allowed a need
}

// need is a request that a role must allow. A need with a service is the request of that service to assume the role.
type need struct {
	role, action, resource, service string
	context                         map[string]string // the values of the request, by condition key
}

// roles holds the roles of a stack's functions, tasks and schedules.
type roles struct {
	root      *template
	nested    []*template
	of        map[string][]*statement // the statements of each role, by logical id
	functions map[string]string       // the logical id of each function's role, by function
	needs     []need                  // the needs of AWS itself, which acts with the roles
}

// Check compares the roles of a stack with the calls of its functions. It returns a text for each call that a role does
// not allow, and for each action, resource or service that a role allows and that no call needs. The result is sorted
// and empty if everything fits. Requests that AWS makes itself with a role count as calls (see readFunctions and
// readSchedules).
func (w *Watch) Check(t testing.TB, s Stack) []string {
	t.Helper()
	r := readRoles(t, s)
	needs := slices.Clone(r.needs)
	for _, c := range w.Calls() {
		role := r.functions[c.Function]
		needs = append(needs, need{role: role, action: c.Action, resource: c.Resource, context: c.Context})
		if c.Action == "ecs:RunTask" {
			needs = append(needs, r.passed(role, c.Resource)...)
		}
	}
	checked, wrong := map[string]bool{}, map[string]bool{}
	for _, n := range needs {
		if n.service != passedTo { // the calls of tasks are not known here, so their roles may allow more
			checked[n.role] = true
		}
		if !r.allow(n) {
			wrong[fmt.Sprintf("%s does not allow %s on %s%s with %v", n.role, n.action, n.resource, n.service, n.context)] = true
		}
	}
	for role := range checked {
		for _, s := range r.of[role] {
			for _, what := range slices.Concat(s.actions, s.resources, []string{s.service}) {
				if !s.used[what] && what != "" {
					wrong[fmt.Sprintf("%s allows more than is needed: %s, of %v on %v", role, what, s.actions, s.resources)] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(wrong))
}

// readRoles reads the roles of the root template and of the templates that it nests.
func readRoles(t testing.TB, s Stack) roles {
	t.Helper()
	values := fields{"AWS::Partition": "aws", "AWS::Region": s.Region, "AWS::AccountId": s.Account}
	root := parse(t, s.Templates[Root], merged(values, s.Parameters), s.Names)
	r := roles{root: root, of: map[string][]*statement{}, functions: map[string]string{}}
	for in := []*template{root}; len(in) > 0; in = in[1:] {
		for _, below := range in[0].resources("AWS::CloudFormation::Stack") {
			handed, _ := below["Parameters"].(fields)
			n := parse(t, s.Templates[path.Base(below["TemplateURL"].(string))], merged(values, handed), nil)
			in, r.nested = append(in, n), append(r.nested, n)
		}
	}
	policies := root.resources("AWS::IAM::ManagedPolicy")
	for id, role := range root.resources("AWS::IAM::Role") {
		r.add(id, role["AssumeRolePolicyDocument"])
		r.add(id, role["Policies"])
		if shared, has := role["ManagedPolicyArns"]; has {
			for _, name := range texts(shared) {
				r.add(id, policies[name]["PolicyDocument"])
			}
		}
	}
	for _, in := range r.nested {
		for id, role := range in.resources("AWS::IAM::Role") {
			r.add(id, role["AssumeRolePolicyDocument"])
		}
	}
	for _, policy := range r.below("AWS::IAM::RolePolicy") {
		r.add(policy["RoleName"].(string), policy["PolicyDocument"])
	}
	r.readFunctions()
	r.readSchedules()
	return r
}

// below returns the resources of a type in the nested templates.
func (r roles) below(kind string) []fields {
	var all []fields
	for _, in := range r.nested {
		all = slices.AppendSeq(all, maps.Values(in.resources(kind)))
	}
	return all
}

// merged returns one object with the fields of several. A later object replaces the fields of an earlier one.
func merged(all ...map[string]any) fields {
	one := fields{}
	for _, some := range all {
		maps.Copy(one, some)
	}
	return one
}

// add gives a role all Allow statements in a part of a template.
func (r roles) add(role string, part any) {
	switch part := part.(type) {
	case []any:
		for _, one := range part {
			r.add(role, one)
		}
	case fields:
		if part["Effect"] != "Allow" {
			for _, one := range part {
				r.add(role, one)
			}
			return
		}
		s := &statement{actions: texts(part["Action"]), conditions: map[string]map[string][]string{}, used: map[string]bool{}}
		if principal, isTrust := part["Principal"].(fields); isTrust {
			s.service = principal["Service"].(string)
		} else {
			s.resources = texts(part["Resource"])
		}
		conditions, _ := part["Condition"].(fields)
		for operator, keys := range conditions {
			s.conditions[operator] = map[string][]string{}
			for key, values := range keys.(fields) {
				s.conditions[operator][key] = texts(values)
			}
		}
		r.of[role] = append(r.of[role], s)
	}
}

// roleOf returns the logical id of a role from its ARN.
func roleOf(arn any) string {
	text := fmt.Sprint(arn)
	return text[strings.LastIndexByte(text, '/')+1:]
}

// readFunctions collects the requests that Lambda makes with the role of each function: it assumes the role, writes the
// log and traces, receives and deletes messages of the function's queues, and sends failed invocations to their
// destination.
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
func (r *roles) readFunctions() {
	globals, _ := r.root.resolve(r.root.section("Globals")).(fields)
	common, _ := globals["Function"].(fields)
	sources := map[string][]string{} // the ARNs of a function's queues, by the ARN of the function
	for _, mapping := range r.below("AWS::Lambda::EventSourceMapping") {
		to := mapping["FunctionName"].(string)
		sources[to] = append(sources[to], mapping["EventSourceArn"].(string))
	}
	for id, own := range r.root.resources("AWS::Serverless::Function") {
		role := roleOf(own["Role"])
		function := merged(common, own)
		r.functions[strings.ToLower(id)] = role
		r.needs = append(r.needs, need{role: role, action: assume, service: "lambda.amazonaws.com"})
		group := r.root.arn("logs", fmt.Sprintf("log-group:%s:log-stream:s", at(function, "LoggingConfig", "LogGroup")))
		r.need(role, group, "logs:CreateLogStream", "logs:PutLogEvents")
		if dead := at(function, "EventInvokeConfig", "DestinationConfig", "OnFailure", "Destination"); dead != nil {
			r.need(role, dead.(string), "sqs:SendMessage")
		}
		if function["Tracing"] == "Active" {
			r.need(role, "any", "xray:PutTraceSegments", "xray:PutTelemetryRecords")
		}
		events, _ := function["Events"].(fields)
		for name := range events {
			if queue := at(events, name, "Properties", "Queue"); queue != nil {
				sources[r.root.attribute(id, "Arn")] = append(sources[r.root.attribute(id, "Arn")], queue.(string))
			}
		}
		for _, queue := range sources[r.root.attribute(id, "Arn")] {
			r.need(role, queue, "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
		}
	}
}

// readSchedules collects the requests that EventBridge Scheduler makes: it assumes a role, invokes a function, and
// sends events that it cannot deliver to a dead-letter queue.
func (r *roles) readSchedules() {
	for _, schedule := range r.below("AWS::Scheduler::Schedule") {
		role := roleOf(at(schedule, "Target", "RoleArn"))
		r.needs = append(r.needs, need{
			role: role, action: assume, service: "scheduler.amazonaws.com", context: r.account(),
		})
		r.need(role, at(schedule, "Target", "Arn").(string), "lambda:InvokeFunction")
		r.need(role, at(schedule, "Target", "DeadLetterConfig", "Arn").(string), "sqs:SendMessage")
	}
}

// assume is the action of a service that takes a role. passedTo is the service that takes the roles of tasks.
const (
	assume   = "sts:AssumeRole"
	passedTo = "ecs-tasks.amazonaws.com"
)

// passed returns the needs that follow from the roles of a task definition: the caller of RunTask must be allowed to
// pass them to ECS, and ECS must be allowed to assume them. A definition from outside the stack has the roles in the
// parameter ExtraTaskRoleArns. Their trust policies are not known here.
func (r roles) passed(role, definition string) []need {
	var all []string
	for _, d := range r.below("AWS::ECS::TaskDefinition") {
		if family := fmt.Sprint(d["Family"]); strings.Contains(definition, "task-definition/"+family+":") {
			all = append(all, fmt.Sprint(d["TaskRoleArn"]), fmt.Sprint(d["ExecutionRoleArn"]))
		}
	}
	outside := all == nil
	if outside {
		all = texts(r.root.values["ExtraTaskRoleArns"])
	}
	var needs []need
	for _, arn := range all {
		needs = append(needs, need{
			role: role, action: "iam:PassRole", resource: arn, context: map[string]string{"iam:PassedToService": passedTo},
		})
		if !outside {
			needs = append(needs, need{role: roleOf(arn), action: assume, service: passedTo, context: r.account()})
		}
	}
	return needs
}

// account returns the context of a request that a service makes for this account.
func (r roles) account() map[string]string {
	return map[string]string{"aws:SourceAccount": fmt.Sprint(r.root.values["AWS::AccountId"])}
}

// need adds a need for each action.
func (r *roles) need(role, resource string, actions ...string) {
	for _, action := range actions {
		r.needs = append(r.needs, need{role: role, action: action, resource: resource})
	}
}

// at returns the value at a path in an object, or nil if there is none.
func at(object fields, names ...string) any {
	for _, name := range names[:len(names)-1] {
		object, _ = object[name].(fields)
	}
	return object[names[len(names)-1]]
}

// allow reports whether a role allows a need, and marks the parts of the statements that allow it as used.
func (r roles) allow(n need) bool {
	allowed := false
	for _, s := range r.of[n.role] {
		if s.service != n.service || !s.met(n.context) {
			continue
		}
		actions, resources := matching(s.actions, n.action), matching(s.resources, n.resource)
		if len(actions) == 0 || len(resources) == 0 && s.service == "" {
			continue
		}
		allowed, s.used[s.service] = true, true
		for _, used := range append(actions, resources...) {
			s.used[used] = true
		}
	}
	return allowed
}

// met reports whether all conditions hold. A condition does not hold if the request lacks its key.
func (s *statement) met(context map[string]string) bool {
	for operator, keys := range s.conditions {
		for key, values := range keys {
			value, has := context[key]
			switch operator {
			case "StringEquals":
				has = has && slices.Contains(values, value)
			// ArnEquals and ArnLike mean the same.
			// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
			case "StringLike", "ArnEquals", "ArnLike":
				has = has && len(matching(values, value)) > 0
			default:
				has = false // this package does not know the operator
			}
			if !has {
				return false
			}
		}
	}
	return true
}

// matching returns the patterns that match a text.
func matching(patterns []string, text string) []string {
	var all []string
	for _, pattern := range patterns {
		quoted := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*")
		if regexp.MustCompile("^(?:" + quoted + ")$").MatchString(text) {
			all = append(all, pattern)
		}
	}
	return all
}
