package stack_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"modeldispatch/internal/model"
	"modeldispatch/internal/stack"
)

// readLanding is the policy.json of fullCatalogOf's models.
const readLanding = `{"Version": "2012-10-17", "Statement": [
	{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:${AWS::Partition}:s3:::landing/*"}
]}`

// fullCatalogOf returns a catalog of n models, and their policies. Each model has a policy, a queue and a bucket, and
// every tenth runs an outside task definition.
func fullCatalogOf(n int) (model.Catalog, map[string][]byte) {
	c, policies := catalogOf(n), map[string][]byte{}
	for i := range c.Models {
		m := &c.Models[i]
		policies[m.Name] = []byte(readLanding)
		m.Triggers = append(m.Triggers,
			model.Trigger{Kind: model.Message, Queue: fmt.Sprintf("queue-%d", i%20)},
			model.Trigger{Kind: model.Arrival, Arrival: []string{fmt.Sprintf("s3://bucket-%d/{x}", i%50)}},
		)
		if i%10 == 0 {
			m.Task = model.Task{Family: fmt.Sprintf("others-%d", i%7), Container: "tool"}
		}
	}
	return c, policies
}

func TestThousandModelsFitInParts(t *testing.T) {
	t.Parallel()
	files := generate(t, catalogOf(1000), nil)
	kinds := map[string]int{}
	for name, text := range files {
		part := parse(t, text)
		if len(part.Resources) >= 500 || len(text) > 1_000_000 {
			t.Errorf("%s has %d resources and %d bytes; CloudFormation allows 500 and 1 MB", name, len(part.Resources), len(text))
		}
		for id, r := range part.Resources {
			kinds[r.Type]++
			if r.Type == "AWS::CloudFormation::Stack" && files[fmt.Sprint(r.Properties["TemplateURL"])] == nil {
				t.Errorf("%s nests %v, which does not exist", id, r.Properties["TemplateURL"])
			}
		}
	}
	want := map[string]int{
		"AWS::ECS::TaskDefinition": 1000, "AWS::Scheduler::Schedule": 1000, "AWS::CloudFormation::Stack": len(files) - 1,
	}
	for kind, count := range want {
		if kinds[kind] != count {
			t.Errorf("the %d files have %d resources of type %s, want %d", len(files), kinds[kind], kind, count)
		}
	}
}

// TestReferencesStayWithinATemplate checks that no Ref, GetAtt, ${…} or DependsOn names a resource of another template.
func TestReferencesStayWithinATemplate(t *testing.T) {
	t.Parallel()
	mention := regexp.MustCompile(`\$\{([^!}.]+)[^}]*\}`)
	pseudo := []string{"AWS::Partition", "AWS::Region", "AWS::AccountId"}
	for _, n := range []int{1, 200, 400} {
		c, policies := fullCatalogOf(n)
		files := generate(t, c, policies)
		for name, text := range files {
			part := parse(t, text)
			refer := func(from, to string) {
				if _, resource := part.Resources[to]; !resource && part.Parameters[to] == nil && !slices.Contains(pseudo, to) {
					t.Errorf("%d models: %s: %s refers to %s, which the template does not have", n, name, from, to)
				}
			}
			for id, r := range part.Resources {
				for _, other := range r.DependsOn {
					refer(id, other)
				}
				walk(id, r.Properties, func(at string, object map[string]any) {
					if to, has := object["Ref"].(string); has {
						refer(at, to)
					}
					if to, has := object["Fn::GetAtt"].([]any); has {
						refer(at, fmt.Sprint(to[0]))
					}
					if text, has := object["Fn::Sub"].(string); has {
						for _, m := range mention.FindAllStringSubmatch(text, -1) {
							refer(at, m[1])
						}
					}
				})
				if nested, has := r.Properties["Parameters"].(map[string]any); has {
					declared := parse(t, files[r.Properties["TemplateURL"].(string)]).Parameters
					if got, want := slices.Sorted(maps.Keys(nested)), slices.Sorted(maps.Keys(declared)); !slices.Equal(got, want) {
						t.Errorf("%s passes the parameters %v, and the nested template declares %v", id, got, want)
					}
				}
			}
		}
	}
}

// TestResourcesStayInTheirTemplate checks that more models, or another order of them, move no resource to another
// template. CloudFormation would create a moved resource while its name is still in use.
func TestResourcesStayInTheirTemplate(t *testing.T) {
	t.Parallel()
	templatesByID := func(n int) map[string]string {
		c, policies := fullCatalogOf(n)
		c.Models = slices.Concat([]model.Model{}, c.Models[n/2:], c.Models[:n/2]) // another order
		byID := map[string]string{}
		for name, text := range generate(t, c, policies) {
			for id := range parse(t, text).Resources {
				byID[id] = name
			}
		}
		return byID
	}
	before := templatesByID(1)
	if len(before) == 0 {
		t.Error("the templates of one model have no resources")
	}
	for _, n := range []int{2, 20, 21, 200, 400} {
		after := templatesByID(n)
		for id, name := range before {
			if after[id] != name {
				t.Errorf("with %d models %s is in %q, and was in %q", n, id, after[id], name)
			}
		}
		before = after
	}
}

func TestLimitOfAPart(t *testing.T) {
	t.Parallel()
	one := catalogOf(1)
	for i := range 500 {
		trigger := model.Trigger{Name: fmt.Sprint("s", i), Kind: model.Schedule, Schedule: "rate(1 hour)"}
		one.Models[0].Triggers = append(one.Models[0].Triggers, trigger)
	}
	_, err := stack.Generate(one, nil, now)
	for _, want := range []string{"has 502 resources and ", "CloudFormation allows 500 resources and 1000000 bytes in one template"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Generate = %v, want an error with %q", err, want)
		}
	}
}
