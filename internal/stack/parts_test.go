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

// rich is a catalog whose models have a policy, queues and buckets, too, and some of which run what is not theirs.
func rich(n int) (model.Catalog, map[string][]byte) {
	c, policies := many(n), map[string][]byte{}
	for i := range c.Models {
		m := &c.Models[i]
		policies[m.Name] = []byte(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:${AWS::Partition}:s3:::landing/*"}]}`)
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

func TestAThousandModelsAreInParts(t *testing.T) {
	t.Parallel()
	files := generate(t, many(1000), nil)
	kinds := map[string]int{}
	for name, text := range files {
		part := read(t, text)
		if len(part.Resources) >= 500 || len(text) > 1_000_000 {
			t.Errorf("%s has %d resources and %d bytes; CloudFormation takes 500 and 1 MB", name, len(part.Resources), len(text))
		}
		for id, r := range part.Resources {
			kinds[r.Type]++
			if r.Type == "AWS::CloudFormation::Stack" && files[fmt.Sprint(r.Properties["TemplateURL"])] == nil {
				t.Errorf("%s nests %v, which is not there", id, r.Properties["TemplateURL"])
			}
		}
	}
	if kinds["AWS::ECS::TaskDefinition"] != 1000 || kinds["AWS::Scheduler::Schedule"] != 1000 || kinds["AWS::CloudFormation::Stack"] != len(files)-1 {
		t.Errorf("the %d files have %v, want 1000 task definitions and as many schedules", len(files), kinds)
	}
}

// TestEachTemplateHasWhatItRefersTo: a Ref, a GetAtt, a ${…} or a DependsOn does not reach into another template.
func TestEachTemplateHasWhatItRefersTo(t *testing.T) {
	t.Parallel()
	mention := regexp.MustCompile(`\$\{([^!}.]+)[^}]*\}`)
	pseudo := []string{"AWS::Partition", "AWS::Region", "AWS::AccountId"}
	for _, n := range []int{1, 200, 400} {
		c, policies := rich(n)
		files := generate(t, c, policies)
		for name, text := range files {
			part := read(t, text)
			refer := func(from, to string) {
				if _, resource := part.Resources[to]; !resource && part.Parameters[to] == nil && !slices.Contains(pseudo, to) {
					t.Errorf("%d models: %s: %s refers to %s, which is not there", n, name, from, to)
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
					declared := read(t, files[r.Properties["TemplateURL"].(string)]).Parameters
					if got, want := slices.Sorted(maps.Keys(nested)), slices.Sorted(maps.Keys(declared)); !slices.Equal(got, want) {
						t.Errorf("%s hands down %v, and %v are declared", id, got, want)
					}
				}
			}
		}
	}
}

// TestAnotherModelMovesNothing: what moved from one template to another would be made there while its name is still taken.
func TestAnotherModelMovesNothing(t *testing.T) {
	t.Parallel()
	places := func(n int) map[string]string {
		c, policies := rich(n)
		c.Models = slices.Concat([]model.Model{}, c.Models[n/2:], c.Models[:n/2]) // nor does their order matter
		at := map[string]string{}
		for name, text := range generate(t, c, policies) {
			for id := range read(t, text).Resources {
				at[id] = name
			}
		}
		return at
	}
	before := places(1)
	for _, n := range []int{2, 20, 21, 200, 400} {
		after := places(n)
		for id, name := range before {
			if after[id] != name {
				t.Errorf("with %d models %s is in %q, and was in %q", n, id, after[id], name)
			}
		}
		before = after
	}
}

func TestAPartThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	one := many(1)
	for i := range 500 {
		one.Models[0].Triggers = append(one.Models[0].Triggers, model.Trigger{Name: fmt.Sprint("s", i), Kind: model.Schedule, Schedule: "rate(1 hour)"})
	}
	if _, err := stack.Generate(one, nil, now); err == nil || !strings.Contains(err.Error(), "has 502 resources and ") || !strings.Contains(err.Error(), "CloudFormation takes 500 and 1000000 of one template") {
		t.Errorf("Generate = %v, want a refusal with the numbers", err)
	}
}
