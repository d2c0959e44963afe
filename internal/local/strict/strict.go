// Package strict decodes the YAML files that people write for the local stack.
package strict

import (
	"fmt"

	"github.com/goccy/go-yaml"
)

// YAML decodes text into v. Fields that v does not have are errors, and so is what makes the decoder panic, such as a tag
// where a list is expected.
func YAML(text []byte, v any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it cannot be read: %v; plain lists and objects are expected, without tags", p)
		}
	}()
	return yaml.UnmarshalWithOptions(text, v, yaml.Strict())
}
