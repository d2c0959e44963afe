package catalog

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
)

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
		var names []string
		for f := range slices.Values(reflect.VisibleFields(of)) {
			if name := strings.ToLower(f.Name[:1]) + f.Name[1:]; f.IsExported() {
				names = append(names, name)
				walk(strings.TrimPrefix(path+"."+name, "."), f.Type)
			}
		}
		known := strings.Fields(members[path])
		slices.Sort(names)
		slices.Sort(known)
		if !slices.Equal(names, known) {
			t.Errorf("%q: the SDK has\n%s\nbut members has\n%s", path, names, known)
		}
	}
	walk("", reflect.TypeFor[ecs.RegisterTaskDefinitionInput]())
	for path := range members {
		if !seen[path] {
			t.Errorf("%q is in members, but not in the SDK", path)
		}
	}
}
