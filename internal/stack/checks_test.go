package stack_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// object is any object in a template, with short functions (!Sub, !GetAtt, !Ref) in their long form.
type object = map[string]any

// decode decodes a template. It walks the nodes, because YAML's own decoder drops the tags of short functions.
func decode(t *testing.T, text string) object {
	t.Helper()
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		t.Fatal(err)
	}
	decoded, _ := decodeNode(t, root.Content[0]).(object)
	return decoded
}

func decodeNode(t *testing.T, n *yaml.Node) any {
	t.Helper()
	var v any
	switch n.Kind {
	case yaml.MappingNode:
		o := object{}
		for i := 0; i < len(n.Content); i += 2 {
			o[n.Content[i].Value] = decodeNode(t, n.Content[i+1])
		}
		v = o
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i := range list {
			list[i] = decodeNode(t, n.Content[i])
		}
		v = list
	default:
		plain := *n
		if function(n) != "" {
			plain.Tag = "!!str"
		}
		if err := plain.Decode(&v); err != nil {
			t.Fatal(err)
		}
	}
	switch f := function(n); f {
	case "":
		return v
	case "Ref", "Condition":
		return object{f: v}
	case "GetAtt":
		id, attribute, _ := strings.Cut(fmt.Sprint(v), ".")
		return object{"Fn::GetAtt": []any{id, attribute}}
	default:
		return object{"Fn::" + f: v}
	}
}

// function returns the name of a node's short function, or "" when it has none.
func function(n *yaml.Node) string {
	if strings.HasPrefix(n.Tag, "!!") {
		return ""
	}
	return strings.TrimPrefix(n.Tag, "!")
}

// checker checks the templates of a deployment and collects the problems.
type checker struct {
	templates map[string]object // by file name; template.yaml nests the others
	problems  []string
}

// findProblems returns the problems of the templates in texts, sorted.
func findProblems(t *testing.T, texts map[string]string) []string {
	t.Helper()
	c := &checker{templates: map[string]object{}}
	for file, text := range texts {
		c.templates[file] = decode(t, text)
		c.checkLiterals(file, text)
	}
	for _, template := range c.templates {
		for id, body := range resourcesOf(template) {
			c.checkResource(template, id, body)
			c.checkNames(id, body)
			walk(id, body, func(at string, o object) { c.checkStatement(id, o) })
		}
	}
	c.checkNesting()
	slices.Sort(c.problems)
	return slices.Compact(c.problems)
}

func (c *checker) problem(id, format string, args ...any) {
	c.problems = append(c.problems, id+": "+fmt.Sprintf(format, args...))
}

func resourcesOf(template object) map[string]object {
	all := map[string]object{}
	for id, body := range template["Resources"].(object) {
		all[id] = body.(object)
	}
	return all
}

// walk calls visit for every object in a value, with the object's path.
func walk(at string, v any, visit func(at string, o object)) {
	switch v := v.(type) {
	case object:
		visit(at, v)
		for name, value := range v {
			walk(at+"."+name, value, visit)
		}
	case []any:
		for i, value := range v {
			walk(fmt.Sprintf("%s[%d]", at, i), value, visit)
		}
	}
}

// at returns the value at a path, or nil when the path does not exist.
func at(v any, path ...string) any {
	for _, name := range path {
		o, _ := v.(object)
		v = o[name]
	}
	return v
}

// texts returns the strings of one value or of a list. For a Fn::Sub it returns the text in it.
func texts(v any) []string {
	switch v := v.(type) {
	case []any:
		var all []string
		for _, one := range v {
			all = append(all, texts(one)...)
		}
		return all
	case object:
		if text, has := v["Fn::Sub"].(string); has {
			return []string{text}
		}
	}
	return []string{fmt.Sprint(v)}
}

// unrestricted lists the actions that a role may have on all resources. A comment in template.yaml gives the reason for
// each.
var unrestricted = []string{
	"LaunchRole: ecs:DescribeTaskDefinition", "LaunchRole: ecs:ListTasks", "ExecutionRole: ecr:GetAuthorizationToken",
	"FindOutputs: s3:ListBucket", "FindBoth: s3:ListBucket", // for the sample whose bucket depends on inputs
}

// requiredConditions holds the path of the condition that an action needs. Without it, the action would also be
// allowed on resources outside the deployment.
var requiredConditions = map[string][]string{
	"iam:PassRole":      {"StringEquals", "iam:PassedToService"},
	"events:PutEvents":  {"StringEquals", "events:source"},
	"ecs:TagResource":   {"StringEquals", "ecs:CreateAction"},
	"ecs:RunTask":       {"ArnEquals", "ecs:cluster"},
	"ecs:StopTask":      {"ArnEquals", "ecs:cluster"},
	"ecs:DescribeTasks": {"ArnEquals", "ecs:cluster"},
	"ecs:ListTasks":     {"ArnEquals", "ecs:cluster"},
}

func (c *checker) checkStatement(id string, s object) {
	if s["Effect"] != "Allow" {
		return
	}
	if s["NotAction"] != nil || s["NotResource"] != nil || s["NotPrincipal"] != nil {
		c.problem(id, "uses NotAction, NotResource or NotPrincipal")
	}
	for _, action := range texts(s["Action"]) {
		if strings.Contains(action, "*") {
			c.problem(id, "allows %s", action)
		}
		if path := requiredConditions[action]; path != nil && at(s["Condition"], path...) == nil {
			c.problem(id, "allows %s without the condition %s", action, path[1])
		}
		if s["Principal"] != nil {
			c.checkPrincipal(id, action, s)
			continue
		}
		for _, resource := range texts(s["Resource"]) {
			if isUnrestricted(resource) && !slices.Contains(unrestricted, id+": "+action) {
				c.problem(id, "allows %s on %s", action, resource)
			}
		}
	}
}

// checkPrincipal checks that a statement allows one AWS service, and only for this account or a resource of it. Lambda
// assumes a role without a source, so its trust statements need no condition.
func (c *checker) checkPrincipal(id, action string, s object) {
	service, _ := at(s["Principal"], "Service").(string)
	isLambdaTrust := service == "lambda.amazonaws.com" && action == "sts:AssumeRole"
	text := fmt.Sprint(s["Condition"])
	hasSource := strings.Contains(text, "aws:SourceAccount") || strings.Contains(text, "aws:SourceArn")
	if service == "" || !hasSource && !isLambdaTrust {
		c.problem(id, "allows %v %s from anywhere", s["Principal"], action)
	}
}

var placeholder = regexp.MustCompile(`\$\{[^}]*\}`)

// isUnrestricted reports whether a resource covers a whole service, or more.
func isUnrestricted(resource string) bool {
	plain := placeholder.ReplaceAllString(resource, "x")
	parts := strings.SplitN(plain, ":", 6)
	if parts[0] != "arn" {
		return strings.HasPrefix(plain, "*") // otherwise it starts with a reference to one resource
	}
	return len(parts) < 6 || strings.Contains(parts[2], "*") || strings.HasPrefix(parts[5], "*")
}

// accountLiteral matches the ARN prefix of a partition, an account id or a Region.
var accountLiteral = regexp.MustCompile(`arn:aws[a-z-]*:|\b\d{12}\b|` +
	`\b[a-z]{2}-(gov-|iso[a-z]*-)?(north|south|east|west|central)(east|west)?-\d\b`)

// checkLiterals checks that no line names a partition, an account or a Region: the templates must work in every one.
// Lines with 111122223333 come from the samples' own files and are exempt.
func (c *checker) checkLiterals(file, text string) {
	for line := range strings.Lines(text) {
		if found := accountLiteral.FindString(line); found != "" && !strings.Contains(line, "111122223333") {
			c.problem(file, "contains %s", found)
		}
	}
}

// checkNesting checks that template.yaml refers to nothing in the nested stack, which would be a circular dependency,
// and that it passes exactly the parameters that models.yaml declares.
func (c *checker) checkNesting() {
	for id, body := range resourcesOf(c.templates["template.yaml"]) {
		if slices.Contains(texts(body["DependsOn"]), "Models") {
			c.problem(id, "depends on the nested stack")
		}
		walk(id, body, func(_ string, o object) {
			text, _ := o["Fn::Sub"].(string)
			attribute, _ := o["Fn::GetAtt"].([]any)
			isGetAtt := attribute != nil && attribute[0] == "Models"
			if o["Ref"] == "Models" || isGetAtt || strings.Contains(text, "${Models.") || strings.Contains(text, "${Models}") {
				c.problem(id, "refers to the nested stack")
			}
		})
	}
	passed, _ := at(c.templates["template.yaml"], "Resources", "Models", "Properties", "Parameters").(object)
	want := slices.Sorted(maps.Keys(passed))
	for file, template := range c.templates {
		declared, _ := template["Parameters"].(object)
		if strings.HasSuffix(file, "/models.yaml") && !slices.Equal(slices.Sorted(maps.Keys(declared)), want) {
			c.problem(file, "declares different parameters from those that template.yaml passes")
		}
	}
}

// names lists the properties whose values must be unique in an account or a Region.
var names = []string{
	"FunctionName", "QueueName", "TableName", "ClusterName", "LogGroupName", "RuleName", "Family", "Name", "LayerName",
	"DashboardName", "BucketName", "TopicName", "AlarmName", "RoleName", "ManagedPolicyName",
}

// checkNames checks that names contain the deployment's name, so that two deployments can share an account and a
// cluster.
func (c *checker) checkNames(id string, body object) {
	kind := fmt.Sprint(body["Type"])
	refers := kind == "AWS::Lambda::Permission" || kind == "AWS::Lambda::EventSourceMapping" || kind == "AWS::IAM::RolePolicy"
	named := []any{body["Properties"]}
	events, _ := at(body, "Properties", "Events").(object)
	for _, event := range events {
		named = append(named, at(event, "Properties"))
	}
	for _, properties := range named {
		p, _ := properties.(object)
		for _, name := range names {
			inGroup := name == "Name" && p["GroupName"] != nil // the schedule group has the deployment's name
			if p[name] != nil && !refers && !inGroup && !strings.Contains(fmt.Sprint(p[name]), "Deployment") {
				c.problem(id, "%s %v lacks the deployment's name", name, p[name])
			}
		}
		if p["GroupName"] != nil && fmt.Sprint(p["GroupName"]) != "map[Ref:Deployment]" {
			c.problem(id, "GroupName %v is not the deployment", p["GroupName"])
		}
	}
	if kind == "AWS::Serverless::LayerVersion" && at(body, "Properties", "LayerName") == nil {
		c.problem(id, "has no LayerName: every deployment would use the logical id")
	}
}

// checkResource checks that a resource is encrypted, accepts only TLS, is retained when it holds data, and has a
// dead-letter queue for failures.
func (c *checker) checkResource(template object, id string, body object) {
	p, _ := body["Properties"].(object)
	need := func(problem string, ok bool) {
		if !ok {
			c.problem(id, "%s", problem)
		}
	}
	kept := strings.HasPrefix(fmt.Sprint(body["DeletionPolicy"]), "Retain") && body["UpdateReplacePolicy"] == "Retain"
	switch body["Type"] {
	case "AWS::SQS::Queue":
		need("is not encrypted", p["SqsManagedSseEnabled"] == true)
		need("accepts requests without TLS", requiresTLS(template, id, "AWS::SQS::QueuePolicy", "Queues"))
		hasRedrive := at(p, "RedrivePolicy", "deadLetterTargetArn") != nil
		need("has no RedrivePolicy: a message that fails returns again and again", id == "DeadLetters" || hasRedrive)
		// template.yaml's launch and wake queues may be deleted: the sweep sends their messages again.
		need("is not retained: its messages would be lost", kept || template["Transform"] != nil)
	case "AWS::DynamoDB::Table":
		need("is not encrypted", at(p, "SSESpecification", "SSEEnabled") == true)
		need("cannot be restored", at(p, "PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled") == true)
		need("is not retained", kept)
	case "AWS::S3::Bucket":
		need("is not encrypted", at(p, "BucketEncryption", "ServerSideEncryptionConfiguration") != nil)
		need("accepts requests without TLS", requiresTLS(template, id, "AWS::S3::BucketPolicy", "Bucket"))
		for _, block := range []string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"} {
			need("can become public", at(p, "PublicAccessBlockConfiguration", block) == true)
		}
		need("is not retained", kept)
	case "AWS::SNS::Topic":
		need("accepts requests without TLS", requiresTLS(template, id, "AWS::SNS::TopicPolicy", "Topics"))
	case "AWS::Logs::LogGroup":
		need("is not retained", kept)
		need("has no RetentionInDays: logs never expire", p["RetentionInDays"] != nil)
	case "AWS::ECS::TaskDefinition":
		need("has no ExecutionRoleArn: ECS could not pull its image", p["ExecutionRoleArn"] != nil)
		need("is not retained: accepted runs could not be launched", kept)
	case "AWS::Events::Rule":
		for _, target := range p["Targets"].([]any) {
			need("has a target without DeadLetterConfig", at(target, "DeadLetterConfig", "Arn") != nil)
		}
	case "AWS::Scheduler::Schedule":
		need("has a target without DeadLetterConfig", at(p, "Target", "DeadLetterConfig", "Arn") != nil)
	case "AWS::Lambda::EventSourceMapping":
		c.checkMapping(id, p)
	case "AWS::Serverless::Function":
		c.checkFunction(template, id, p)
	}
}

func (c *checker) checkMapping(id string, p any) {
	if !slices.Contains(texts(at(p, "FunctionResponseTypes")), "ReportBatchItemFailures") {
		c.problem(id, "has no ReportBatchItemFailures: one bad message would fail its whole batch")
	}
	if at(p, "ScalingConfig", "MaximumConcurrency") == nil {
		c.problem(id, "has no MaximumConcurrency: it could use all the concurrency of the account")
	}
}

func (c *checker) checkFunction(template object, id string, p object) {
	if p["Role"] == nil {
		c.problem(id, "has no Role: SAM would create one")
	}
	events, _ := p["Events"].(object)
	onlySQS := id == "Message" // stack.Generate returns its mappings
	for name, event := range events {
		properties := at(event, "Properties")
		if _, taken := template["Resources"].(object)[id+name]; taken {
			c.problem(id, "event %s gets the logical id %s%s, which another resource has", name, id, name)
		}
		if onlySQS = at(event, "Type") == "SQS"; onlySQS {
			c.checkMapping(id, properties)
			continue
		}
		if at(properties, "DeadLetterConfig", "Arn") == nil {
			c.problem(id, "event %s has no DeadLetterConfig", name)
		}
		detail := at(properties, "Pattern", "detail")
		isOwn := at(detail, "clusterArn") != nil && strings.Contains(fmt.Sprint(at(detail, "startedBy")), "prefix:map[Fn::Sub:${Deployment}/]")
		if at(event, "Type") == "EventBridgeRule" && !isOwn {
			c.problem(id, "event %s matches tasks of other deployments", name)
		}
	}
	if (!onlySQS || len(events) > 1) && at(p, "EventInvokeConfig", "DestinationConfig", "OnFailure", "Destination") == nil {
		c.problem(id, "has no destination for failures: failed events would be lost")
	}
}

// requiresTLS reports whether a policy in the template denies every request to a resource that does not use TLS. kind
// is the policy's type, and property names the resources that the policy applies to.
func requiresTLS(template object, id, kind, property string) bool {
	for _, body := range resourcesOf(template) {
		if body["Type"] != kind || !strings.Contains(fmt.Sprint(at(body, "Properties", property)), "map[Ref:"+id+"]") {
			continue
		}
		statements, _ := at(body, "Properties", "PolicyDocument", "Statement").([]any)
		for _, s := range statements {
			if at(s, "Effect") == "Deny" && at(s, "Principal") == "*" && at(s, "Condition", "Bool", "aws:SecureTransport") == "false" {
				return true
			}
		}
	}
	return false
}
