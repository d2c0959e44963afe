package iamtest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// fields is an object of a template.
type fields = map[string]any

// template is a CloudFormation template whose parameters have values.
type template struct {
	t      testing.TB
	names  map[string]string // by logical id: the names that AWS gives resources when it creates them
	values fields            // the values of parameters and pseudo parameters
	body   fields
}

// parse reads a template, and writes its short functions (!Sub, !GetAtt, !Ref) in their long form.
func parse(t testing.TB, text string, values fields, names map[string]string) *template {
	t.Helper()
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		t.Fatal(err)
	}
	s := &template{t: t, names: names, values: fields{}, body: plain(&root).(fields)}
	for name, p := range s.section("Parameters") {
		if s.values[name] = p.(fields)["Default"]; strings.Contains(fmt.Sprint(p.(fields)["Type"]), "List") {
			s.values[name] = slices.DeleteFunc([]any{s.values[name]}, func(v any) bool { return v == nil || v == "" })
		}
	}
	for name, value := range values {
		s.values[name] = value
	}
	return s
}

// plain returns the value of a YAML node, with tags in their long form.
func plain(n *yaml.Node) any {
	switch n.Kind {
	case yaml.DocumentNode:
		return plain(n.Content[0])
	case yaml.MappingNode:
		object := fields{}
		for i := 0; i < len(n.Content); i += 2 {
			object[n.Content[i].Value] = plain(n.Content[i+1])
		}
		return short(n.Tag, object)
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i := range list {
			list[i] = plain(n.Content[i])
		}
		return short(n.Tag, list)
	}
	if strings.HasPrefix(n.Tag, "!!") {
		var v any
		_ = n.Decode(&v) // YAML has chosen the tag itself, so the scalar has this type
		return v
	}
	return short(n.Tag, n.Value)
}

// short returns the long form of a value with a tag.
func short(tag string, v any) any {
	switch name := strings.TrimPrefix(tag, "!"); {
	case strings.HasPrefix(name, "!"):
		return v
	case name == "Ref", name == "Condition":
		return fields{name: v}
	case name == "GetAtt":
		id, attribute, _ := strings.Cut(v.(string), ".")
		return fields{"Fn::GetAtt": []any{id, attribute}}
	default:
		return fields{"Fn::" + name: v}
	}
}

// section returns a top-level object of the template; nil if the template has none.
func (s *template) section(name string) fields {
	section, _ := s.body[name].(fields)
	return section
}

// resources returns the resolved properties of the resources of a type, by logical id. It leaves out resources whose
// condition is false.
func (s *template) resources(kind string) map[string]fields {
	all := map[string]fields{}
	for id, r := range s.section("Resources") {
		body := r.(fields)
		if condition, has := body["Condition"].(string); body["Type"] == kind && (!has || s.holds(condition)) {
			all[id], _ = s.resolve(body["Properties"]).(fields)
		}
	}
	return all
}

// holds reports whether a condition of the template is true.
func (s *template) holds(condition string) bool {
	return s.resolve(s.section("Conditions")[condition]) == true
}

// absent is the value of AWS::NoValue: the property that has it is left out.
type absent struct{}

// resolve returns a part of the template in which each function is replaced by its result.
func (s *template) resolve(v any) any {
	switch v := v.(type) {
	case []any:
		list := []any{}
		for _, one := range v {
			if r := s.resolve(one); r != (absent{}) {
				list = append(list, r)
			}
		}
		return list
	case fields:
		object := fields{}
		for name, value := range v {
			if len(v) == 1 && (name == "Ref" || name == "Condition" && !isObject(value) || strings.HasPrefix(name, "Fn::")) {
				return s.function(name, value)
			}
			if r := s.resolve(value); r != (absent{}) {
				object[name] = r
			}
		}
		return object
	}
	return v
}

func isObject(v any) bool { _, is := v.(fields); return is }

var variable = regexp.MustCompile(`\$\{([^}]+)\}`)

// function returns the result of one of CloudFormation's functions.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
func (s *template) function(name string, of any) any {
	if name == "Fn::If" {
		which := of.([]any)
		if s.holds(which[0].(string)) {
			return s.resolve(which[1])
		}
		return s.resolve(which[2])
	}
	of = s.resolve(of)
	list, _ := of.([]any)
	switch name {
	case "Ref":
		return s.ref(of.(string))
	case "Condition":
		return s.holds(of.(string))
	case "Fn::GetAtt":
		return s.attribute(list[0].(string), list[1].(string))
	case "Fn::Sub":
		return variable.ReplaceAllStringFunc(of.(string), func(v string) string {
			id, attribute, isAttribute := strings.Cut(v[2:len(v)-1], ".")
			if isAttribute {
				return s.attribute(id, attribute)
			}
			return fmt.Sprint(s.ref(id))
		})
	case "Fn::Join":
		return strings.Join(texts(list[1]), list[0].(string))
	case "Fn::Equals":
		return fmt.Sprint(list[0]) == fmt.Sprint(list[1])
	case "Fn::Not":
		return list[0] != true
	case "Fn::And":
		return !slices.Contains(list, any(false))
	case "Fn::Or":
		return slices.Contains(list, any(true))
	}
	s.t.Fatalf("package iamtest does not know the function %s: add it to template.function", name)
	return nil
}

// ref returns the value of a parameter, or the name of a resource.
func (s *template) ref(name string) any {
	if name == "AWS::NoValue" {
		return absent{}
	}
	if value, isParameter := s.values[name]; isParameter {
		return value
	}
	return s.name(name)
}

// named holds the property that contains the name of a resource, by resource type.
var named = map[string]string{
	"AWS::SQS::Queue": "QueueName", "AWS::DynamoDB::Table": "TableName", "AWS::S3::Bucket": "BucketName",
	"AWS::Logs::LogGroup": "LogGroupName", "AWS::Serverless::Function": "FunctionName",
	"AWS::ECS::Cluster": "ClusterName", "AWS::Scheduler::ScheduleGroup": "Name",
}

// name returns the name of a resource: from names, from its template, or else its logical id.
func (s *template) name(id string) string {
	r, _ := s.section("Resources")[id].(fields)
	properties, _ := r["Properties"].(fields)
	if given := s.names[id]; given != "" {
		return given
	}
	if own := properties[named[fmt.Sprint(r["Type"])]]; own != nil {
		return s.resolve(own).(string)
	}
	return id
}

// attribute returns the ARN of a resource. For any attribute but Arn it returns the name.
func (s *template) attribute(id, attribute string) string {
	r, _ := s.section("Resources")[id].(fields)
	properties, _ := r["Properties"].(fields)
	name := s.name(id)
	if attribute != "Arn" {
		return name
	}
	switch r["Type"] {
	case "AWS::SQS::Queue":
		return s.arn("sqs", name)
	case "AWS::DynamoDB::Table":
		return s.arn("dynamodb", "table/"+name)
	case "AWS::Serverless::Function":
		return s.arn("lambda", "function:"+name)
	case "AWS::ECS::Cluster":
		return s.arn("ecs", "cluster/"+name)
	case "AWS::Logs::LogGroup":
		return s.arn("logs", "log-group:"+name+":*")
	case "AWS::S3::Bucket":
		return "arn:aws:s3:::" + name
	case "AWS::IAM::Role":
		path, has := s.resolve(properties["Path"]).(string)
		if !has {
			path = "/"
		}
		return fmt.Sprintf("arn:aws:iam::%s:role%s%s", s.values["AWS::AccountId"], path, name)
	}
	s.t.Fatalf("package iamtest does not know the ARN of the type %v: add it to template.attribute", r["Type"])
	return ""
}

// arn returns the ARN of a resource in the stack's Region and account.
func (s *template) arn(service, resource string) string {
	return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, s.values["AWS::Region"], s.values["AWS::AccountId"], resource)
}

// texts returns the texts of a list, or a list of one text.
func texts(v any) []string {
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	all := make([]string, len(list))
	for i, one := range list {
		all[i] = fmt.Sprint(one)
	}
	return all
}
