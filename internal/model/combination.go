package model

import (
	"maps"
	"slices"
	"strings"
)

// Axis is one input together with the values that it takes.
type Axis struct {
	Input  string   `json:"input"`
	Values []string `json:"values"`
}

// Combination holds one value for each input of some axes: one cell of a matrix. A trigger with
// for-each starts one run for each combination.
type Combination map[string]string

// String returns the values in the order of their inputs' names: date=2026-01-05,region=eu. It is
// empty for a combination without inputs.
func (c Combination) String() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(c)) {
		all = append(all, name+"="+c[name])
	}
	return strings.Join(all, ",")
}

// Combinations returns every combination of the axes' values. Without axes it returns one
// combination that is empty.
func Combinations(axes []Axis) []Combination {
	all := []Combination{{}}
	for _, axis := range axes {
		var next []Combination
		for _, base := range all {
			for _, value := range axis.Values {
				one := maps.Clone(base)
				one[axis.Input] = value
				next = append(next, one)
			}
		}
		all = next
	}
	return all
}

// ExpectedCombinations returns the combinations of input values for which the model's `expect`
// wants a success. It returns one empty combination if `expect` has no per. The model must have
// an `expect`.
func (m Model) ExpectedCombinations() []Combination {
	var axes []Axis
	for _, name := range m.Policy.Expect.Per {
		in, _ := m.Input(name)
		axes = append(axes, Axis{Input: name, Values: in.Enum})
	}
	return Combinations(axes)
}

// Per lists the inputs whose values tell runs apart: `per: region` or `per: [region, date]`. An
// empty list does not tell runs apart.
type Per []string

// Key returns the values of the inputs as one text. Two runs have the same key only if all their
// values are the same: no value contains the separator, because Input.Parse rejects it.
func (p Per) Key(inputs map[string]string) string {
	var values []string
	for _, name := range p {
		values = append(values, inputs[name])
	}
	return strings.Join(values, "\x00")
}

// Value returns the values of the inputs for users: the value itself for one input, and
// kind=daily,region=eu for several. Package catalog rejects combinations that would look the same.
func (p Per) Value(inputs map[string]string) string {
	if len(p) == 1 {
		return inputs[p[0]]
	}
	values := Combination{}
	for _, name := range p {
		values[name] = inputs[name]
	}
	return values.String()
}
