// Package yamlstrict decodes the YAML files that users write for the local stack: play.yaml (package play) and
// faults.yaml (package local/fault). Its entry point is Unmarshal.
//
// Strict means that a field that the Go type does not have is an error, so a misspelt field name is reported and not
// ignored. A decoder panic is an error too: the YAML library panics on some texts, such as a tag where a list is
// expected, and a file must not crash the program. Model and project files have their own decoder, with positions, in
// package catalog.
package yamlstrict

import (
	"fmt"

	"github.com/goccy/go-yaml"
)

// Unmarshal decodes text into v, which must be a pointer. It returns an error if the text is not valid YAML, does not
// fit the type of v, has a field that v does not have, or makes the decoder panic.
func Unmarshal(text []byte, v any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it cannot be decoded: %v; write plain lists and objects, without tags", p)
		}
	}()
	return yaml.UnmarshalWithOptions(text, v, yaml.Strict())
}
