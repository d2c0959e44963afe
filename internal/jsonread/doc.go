// Package jsonread reads JSON that others wrote: events, message bodies, patterns and task definitions.
//
// json.Unmarshal into a struct is right where the fields are known. This package is for JSON whose fields are not known
// in advance. Nothing of the text may get lost or be guessed:
//
//   - A text holds exactly one value. More text after the value is an error.
//   - Numbers are json.Number, so that they keep their digits.
//   - An error names the position ([Error]).
//   - [Ordered] also keeps the order of an object's members, and members of the same name. [Value] keeps the last of them,
//     as encoding/json does.
//
// The text of an error is the end of a sentence about the text that was read. A caller writes for example
// fmt.Errorf("the body is %w", err): "the body is not JSON: unexpected end of JSON input at byte 13", "the body is empty",
// "the body is a list, not a JSON object".
//
// The package imports only the standard library. The Lambda functions link it.
package jsonread
