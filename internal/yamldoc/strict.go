package yamldoc

import (
	"fmt"

	"github.com/goccy/go-yaml"
)

// Unmarshal decodes text into v, which must be a pointer. It returns an error if the text is not valid YAML, does not
// fit the type of v, has a field that v does not have, or makes the decoder panic. The YAML library panics on some
// texts, such as a tag where a list is expected, and a file must not crash the program.
func Unmarshal(text []byte, v any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it cannot be decoded: %v; write plain lists and objects, without tags", p)
		}
	}()
	return yaml.UnmarshalWithOptions(text, v, yaml.Strict())
}
