package taskdef

import "unicode"

// Properties returns the properties of CloudFormation's resource AWS::ECS::TaskDefinition for a task definition in the
// form of register-task-definition, decoded from JSON.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ecs-taskdefinition.html
func Properties(definition map[string]any) map[string]any {
	properties, _ := convert("", registered(definition)).(map[string]any)
	return properties
}

// freeForm lists the fields whose objects have keys that the user chooses. convert keeps these keys as they are.
var freeForm = map[string]bool{"options": true, "dockerLabels": true, "driverOpts": true, "labels": true}

// renamed lists the fields whose name in CloudFormation is not ECS's name with a capital letter.
var renamed = map[string]string{
	"efsVolumeConfiguration": "EFSVolumeConfiguration", "fsxWindowsFileServerVolumeConfiguration": "FSxWindowsFileServerVolumeConfiguration",
	"efsVolumeConfiguration.fileSystemId": "FilesystemId", "iam": "IAM", "proxyConfiguration.properties": "ProxyConfigurationProperties",
}

// convert returns a part of a task definition with CloudFormation's field names. at names the field that holds the
// part: "" for the whole definition, "volumes" for its list of volumes, "volumes[]" for one of them.
func convert(at string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			if freeForm[at] {
				out[name] = value
			} else {
				out[propertyName(at, name)] = convert(name, value)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = convert(at+"[]", v[i])
		}
		return out
	}
	return v
}

// propertyName returns CloudFormation's name of a field. at is the name of the field that holds it.
func propertyName(at, name string) string {
	for _, key := range []string{at + "." + name, name} {
		if other, has := renamed[key]; has {
			return other
		}
	}
	return string(unicode.ToUpper(rune(name[0]))) + name[1:]
}
