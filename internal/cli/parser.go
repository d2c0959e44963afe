package cli

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/alecthomas/kong"
)

// valueMapper decodes a value of the command line as its Mapper does. It has errors of its own for a missing value and
// for a value of the wrong type.
type valueMapper struct {
	kong.Mapper
	form string // the form of the value, such as "a whole number"; "" keeps the errors of Mapper
}

// valueMappers returns options that replace the mappers of all types of values that the commands take.
func valueMappers() []kong.Option {
	defaults := kong.NewRegistry().RegisterDefaults()
	text := reflect.ValueOf("")
	return []kong.Option{
		kong.KindMapper(reflect.String, valueMapper{Mapper: defaults.ForValue(text)}),
		kong.KindMapper(reflect.Int, valueMapper{defaults.ForValue(reflect.ValueOf(0)), "a whole number"}),
		kong.KindMapper(reflect.Slice, valueMapper{Mapper: defaults.ForValue(reflect.ValueOf([]string{}))}),
		kong.NamedMapper("existingfile", valueMapper{Mapper: defaults.ForNamedValue("existingfile", text)}),
	}
}

// Decode implements kong.Mapper.
func (m valueMapper) Decode(c *kong.DecodeContext, target reflect.Value) error {
	given := c.Scan.Peek()
	switch {
	case given.IsEOL():
		return errors.New("a value is missing")
	case !given.IsValue():
		return fmt.Errorf("a value is missing before %s; if %[1]s is the value, write %s=%[1]s", given, c.Value.ShortSummary())
	}
	err := m.Mapper.Decode(c, target)
	if err != nil && m.form != "" {
		return fmt.Errorf("%q is not %s", given, m.form)
	}
	return err
}

// checkArguments returns an error if the command line lacks an argument that the command requires.
func checkArguments(c *kong.Context) error {
	command := c.Selected()
	if command == nil {
		return nil
	}
	for _, argument := range command.Positional {
		given := slices.ContainsFunc(c.Path, func(p *kong.Path) bool { return p.Positional == argument })
		if argument.Required && !given {
			return fmt.Errorf("the argument <%s> is missing", argument.Name)
		}
	}
	return nil
}
