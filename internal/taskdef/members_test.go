package taskdef

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// names returns the names of a struct's fields in JSON.
func names(of reflect.Type) []string {
	var all []string
	for f := range slices.Values(reflect.VisibleFields(of)) {
		if f.IsExported() {
			all = append(all, strings.ToLower(f.Name[:1])+f.Name[1:])
		}
	}
	slices.Sort(all)
	return all
}

// TestMembers compares members with the fields of RegisterTaskDefinition in the AWS SDK.
func TestMembers(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	var walk func(path string, of reflect.Type)
	walk = func(path string, of reflect.Type) {
		for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct {
			return
		}
		seen[path] = true
		known := strings.Fields(members[path])
		slices.Sort(known)
		if sdk := names(of); !slices.Equal(sdk, known) {
			t.Errorf("%q: the SDK has\n%s\nbut members has\n%s", path, sdk, known)
		}
		for f := range slices.Values(reflect.VisibleFields(of)) {
			if f.IsExported() {
				walk(strings.TrimPrefix(path+"."+strings.ToLower(f.Name[:1])+f.Name[1:], "."), f.Type)
			}
		}
	}
	walk("", reflect.TypeFor[ecs.RegisterTaskDefinitionInput]())
	for path := range members {
		if !seen[path] {
			t.Errorf("%q is in members, but not in the SDK", path)
		}
	}
}

// TestDescribedOnly compares describedOnly with the fields of the SDK's task definition that RegisterTaskDefinition does
// not take.
func TestDescribedOnly(t *testing.T) {
	t.Parallel()
	registers := names(reflect.TypeFor[ecs.RegisterTaskDefinitionInput]())
	want := slices.DeleteFunc(names(reflect.TypeFor[types.TaskDefinition]()), func(name string) bool {
		return slices.Contains(registers, name)
	})
	if got := slices.Sorted(slices.Values(describedOnly)); !slices.Equal(got, want) {
		t.Errorf("describedOnly has\n%s\nbut the SDK has\n%s", got, want)
	}
}
