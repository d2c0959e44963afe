package apptest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// fields are any object of a template.
type fields = map[string]any

// template is a CloudFormation template whose parameters have values.
type template struct {
	t      testing.TB
	names  map[string]string // of resources that get theirs when they are made, by logical id
	values fields            // of parameters and pseudo parameters
	body   fields
}

// parse reads a template. Its short functions (!Sub, !GetAtt, !Ref) become what they are short for.
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

// plain is a node without its tag.
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
		_ = n.Decode(&v) // a scalar of a tag that YAML has found itself
		return v
	}
	return short(n.Tag, n.Value)
}

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

func (s *template) section(name string) fields {
	section, _ := s.body[name].(fields)
	return section
}

// resources are those of a type that are made, by logical id, with their properties.
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

func (s *template) holds(condition string) bool {
	return s.resolve(s.section("Conditions")[condition]) == true
}

// absent is AWS::NoValue.
type absent struct{}

// resolve gives a part of the template with its functions carried out.
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

// function carries out one of CloudFormation's functions.
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
	s.t.Fatalf("%s is not known here: add it", name)
	return nil
}

func (s *template) ref(name string) any {
	if name == "AWS::NoValue" {
		return absent{}
	}
	if value, isParameter := s.values[name]; isParameter {
		return value
	}
	return s.name(name)
}

// named are the properties that hold a resource's name.
var named = map[string]string{
	"AWS::SQS::Queue": "QueueName", "AWS::DynamoDB::Table": "TableName", "AWS::S3::Bucket": "BucketName", "AWS::Logs::LogGroup": "LogGroupName",
	"AWS::Serverless::Function": "FunctionName", "AWS::ECS::Cluster": "ClusterName", "AWS::Scheduler::ScheduleGroup": "Name",
}

// name is what a resource is called.
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

// attribute is an attribute of a resource: its ARN, or its name.
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
	s.t.Fatalf("the ARN of a %v is not known here: add it", r["Type"])
	return ""
}

func (s *template) arn(service, resource string) string {
	return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, s.values["AWS::Region"], s.values["AWS::AccountId"], resource)
}

// texts are a text, or the texts of a list.
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
