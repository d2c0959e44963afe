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

// object is any object of a template, its short functions (!Sub, !GetAtt, !Ref) in their long form.
type object = map[string]any

// decode decodes a template. YAML's own decoder drops the tags.
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

// function is the name of a short function; "" for none.
func function(n *yaml.Node) string {
	if strings.HasPrefix(n.Tag, "!!") {
		return ""
	}
	return strings.TrimPrefix(n.Tag, "!")
}

// checked are the templates that are checked, and what is wrong with them.
type checked struct {
	templates map[string]object // by file; template.yaml nests the others
	wrong     []string
}

// problems are what is wrong with templates.
func problems(t *testing.T, texts map[string]string) []string {
	t.Helper()
	c := &checked{templates: map[string]object{}}
	for file, text := range texts {
		c.templates[file] = decode(t, text)
		c.checkForeign(file, text)
	}
	for _, template := range c.templates {
		for id, body := range resourcesOf(template) {
			c.checkResource(template, id, body)
			c.checkNames(id, body)
			walk(id, body, func(at string, o object) { c.checkStatement(id, o) })
		}
	}
	c.checkCircle()
	slices.Sort(c.wrong)
	return slices.Compact(c.wrong)
}

func (c *checked) problem(id, format string, args ...any) {
	c.wrong = append(c.wrong, id+": "+fmt.Sprintf(format, args...))
}

func resourcesOf(template object) map[string]object {
	all := map[string]object{}
	for id, body := range template["Resources"].(object) {
		all[id] = body.(object)
	}
	return all
}

// walk visits every object of a value, with its path.
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

// at is a value by its path; nil when it is not there.
func at(v any, path ...string) any {
	for _, name := range path {
		o, _ := v.(object)
		v = o[name]
	}
	return v
}

// texts are the texts of one value, or of a list, without the functions around them.
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

// wide are the statements that may be for everything; template.yaml says why beside each.
var wide = []string{
	"LaunchRole: ecs:DescribeTaskDefinition", "LaunchRole: ecs:ListTasks", "ExecutionRole: ecr:GetAuthorizationToken",
	"FindOutputs: s3:ListBucket", "FindBoth: s3:ListBucket", // of a sample with a bucket that depends on inputs
}

// bound are the conditions without which an action would be allowed on what is not the deployment's.
var bound = map[string][]string{
	"iam:PassRole": {"StringEquals", "iam:PassedToService"}, "events:PutEvents": {"StringEquals", "events:source"}, "ecs:TagResource": {"StringEquals", "ecs:CreateAction"},
	"ecs:RunTask": {"ArnEquals", "ecs:cluster"}, "ecs:StopTask": {"ArnEquals", "ecs:cluster"}, "ecs:DescribeTasks": {"ArnEquals", "ecs:cluster"}, "ecs:ListTasks": {"ArnEquals", "ecs:cluster"},
}

func (c *checked) checkStatement(id string, s object) {
	if s["Effect"] != "Allow" {
		return
	}
	if s["NotAction"] != nil || s["NotResource"] != nil || s["NotPrincipal"] != nil {
		c.problem(id, "allows all but something")
	}
	for _, action := range texts(s["Action"]) {
		if strings.Contains(action, "*") {
			c.problem(id, "allows %s", action)
		}
		if path := bound[action]; path != nil && at(s["Condition"], path...) == nil {
			c.problem(id, "allows %s without the condition %s", action, path[1])
		}
		if principal := s["Principal"]; principal != nil {
			service, _ := at(principal, "Service").(string)
			ofLambda := service == "lambda.amazonaws.com" && action == "sts:AssumeRole" // the only one that Lambda gives no source for
			text := fmt.Sprint(s["Condition"])
			if bound := strings.Contains(text, "aws:SourceAccount") || strings.Contains(text, "aws:SourceArn"); service == "" || !bound && !ofLambda {
				c.problem(id, "allows %v %s from anywhere", principal, action)
			}
			continue
		}
		for _, resource := range texts(s["Resource"]) {
			if isWide(resource) && !slices.Contains(wide, id+": "+action) {
				c.problem(id, "allows %s on %s", action, resource)
			}
		}
	}
}

var mention = regexp.MustCompile(`\$\{[^}]*\}`)

// isWide tells whether a resource is all of a service, or more.
func isWide(resource string) bool {
	plain := mention.ReplaceAllString(resource, "x")
	parts := strings.SplitN(plain, ":", 6)
	if parts[0] != "arn" {
		return strings.HasPrefix(plain, "*") // else what it begins with is a reference
	}
	return len(parts) < 6 || strings.Contains(parts[2], "*") || strings.HasPrefix(parts[5], "*")
}

var own = regexp.MustCompile(`arn:aws[a-z-]*:|\b\d{12}\b|\b[a-z]{2}-(gov-|iso[a-z]*-)?(north|south|east|west|central)(east|west)?-\d\b`)

// checkForeign looks for a partition, an account or a Region. The samples' own files name the account 111122223333.
func (c *checked) checkForeign(file, text string) {
	for line := range strings.Lines(text) {
		if found := own.FindString(line); found != "" && !strings.Contains(line, "111122223333") {
			c.problem(file, "names %s", found)
		}
	}
}

// checkCircle: what is generated gets all from template.yaml, which takes nothing back.
func (c *checked) checkCircle() {
	for id, body := range resourcesOf(c.templates["template.yaml"]) {
		if slices.Contains(texts(body["DependsOn"]), "Models") {
			c.problem(id, "depends on the stack that is nested")
		}
		walk(id, body, func(_ string, o object) {
			text, _ := o["Fn::Sub"].(string)
			attribute, _ := o["Fn::GetAtt"].([]any)
			if o["Ref"] == "Models" || attribute != nil && attribute[0] == "Models" || strings.Contains(text, "${Models.") || strings.Contains(text, "${Models}") {
				c.problem(id, "takes something back from the stack that is nested")
			}
		})
	}
	handed, _ := at(c.templates["template.yaml"], "Resources", "Models", "Properties", "Parameters").(object)
	for file, template := range c.templates {
		declared, _ := template["Parameters"].(object)
		if strings.HasSuffix(file, "/models.yaml") && !slices.Equal(slices.Sorted(maps.Keys(handed)), slices.Sorted(maps.Keys(declared))) {
			c.problem(file, "takes other parameters than template.yaml hands down")
		}
	}
}

// names are the properties that are names in an account or a Region.
var names = []string{
	"FunctionName", "QueueName", "TableName", "ClusterName", "LogGroupName", "RuleName", "Family", "Name", "LayerName",
	"DashboardName", "BucketName", "TopicName", "AlarmName", "RoleName", "ManagedPolicyName",
}

// checkNames: two deployments share an account and a cluster in peace.
func (c *checked) checkNames(id string, body object) {
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
			inGroup := name == "Name" && p["GroupName"] != nil // a schedule's group has the deployment's name
			if p[name] != nil && !refers && !inGroup && !strings.Contains(fmt.Sprint(p[name]), "Deployment") {
				c.problem(id, "%s %v lacks the deployment's", name, p[name])
			}
		}
		if p["GroupName"] != nil && fmt.Sprint(p["GroupName"]) != "map[Ref:Deployment]" {
			c.problem(id, "GroupName %v is not the deployment's", p["GroupName"])
		}
	}
	if kind == "AWS::Serverless::LayerVersion" && at(body, "Properties", "LayerName") == nil {
		c.problem(id, "has no LayerName: it would be the logical id, in every deployment")
	}
}

// checkResource: nothing is lost, and nothing in the clear.
func (c *checked) checkResource(template object, id string, body object) {
	p, _ := body["Properties"].(object)
	need := func(what string, ok bool) {
		if !ok {
			c.problem(id, "%s", what)
		}
	}
	kept := strings.HasPrefix(fmt.Sprint(body["DeletionPolicy"]), "Retain") && body["UpdateReplacePolicy"] == "Retain"
	switch body["Type"] {
	case "AWS::SQS::Queue":
		need("is not encrypted", p["SqsManagedSseEnabled"] == true)
		need("takes what is not encrypted", overTLS(template, id, "AWS::SQS::QueuePolicy", "Queues"))
		need("has no RedrivePolicy: what fails in it comes back for ever", id == "DeadLetters" || at(p, "RedrivePolicy", "deadLetterTargetArn") != nil)
		need("is deleted with what is in it", kept || template["Transform"] != nil) // template.yaml's hold nothing that the sweep does not send again
	case "AWS::DynamoDB::Table":
		need("is not encrypted", at(p, "SSESpecification", "SSEEnabled") == true)
		need("cannot be restored", at(p, "PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled") == true)
		need("is deleted", kept)
	case "AWS::S3::Bucket":
		need("is not encrypted", at(p, "BucketEncryption", "ServerSideEncryptionConfiguration") != nil)
		need("takes what is not encrypted", overTLS(template, id, "AWS::S3::BucketPolicy", "Bucket"))
		for _, block := range []string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"} {
			need("could be made public", at(p, "PublicAccessBlockConfiguration", block) == true)
		}
		need("is deleted", kept)
	case "AWS::SNS::Topic":
		need("takes what is not encrypted", overTLS(template, id, "AWS::SNS::TopicPolicy", "Topics"))
	case "AWS::Logs::LogGroup":
		need("is deleted", kept)
		need("keeps logs for ever", p["RetentionInDays"] != nil)
	case "AWS::ECS::TaskDefinition":
		need("has no ExecutionRoleArn: ECS could not pull its image", p["ExecutionRoleArn"] != nil)
		need("is deregistered, and accepted runs cannot be launched", kept)
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

func (c *checked) checkMapping(id string, p any) {
	if !slices.Contains(texts(at(p, "FunctionResponseTypes")), "ReportBatchItemFailures") {
		c.problem(id, "one bad message would take its whole batch with it")
	}
	if at(p, "ScalingConfig", "MaximumConcurrency") == nil {
		c.problem(id, "could use up all concurrency of the account")
	}
}

func (c *checked) checkFunction(template object, id string, p object) {
	if p["Role"] == nil {
		c.problem(id, "has no Role: SAM would make one of its own")
	}
	events, _ := p["Events"].(object)
	onlySQS := id == "Message" // its mappings are generated
	for name, event := range events {
		properties := at(event, "Properties")
		if _, taken := template["Resources"].(object)[id+name]; taken {
			c.problem(id, "event %s would be %s%s, which is another resource", name, id, name)
		}
		if onlySQS = at(event, "Type") == "SQS"; onlySQS {
			c.checkMapping(id, properties)
			continue
		}
		if at(properties, "DeadLetterConfig", "Arn") == nil {
			c.problem(id, "event %s has no DeadLetterConfig", name)
		}
		detail := at(properties, "Pattern", "detail")
		if at(event, "Type") == "EventBridgeRule" && (at(detail, "clusterArn") == nil || !strings.Contains(fmt.Sprint(at(detail, "startedBy")), "prefix:map[Fn::Sub:${Deployment}/]")) {
			c.problem(id, "event %s is of tasks of others, too", name)
		}
	}
	if (!onlySQS || len(events) > 1) && at(p, "EventInvokeConfig", "DestinationConfig", "OnFailure", "Destination") == nil {
		c.problem(id, "has no destination for failures: what it fails to do is lost")
	}
}

// overTLS tells whether a policy of its kind denies a resource everything that is not over TLS.
func overTLS(template object, id, kind, property string) bool {
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
