// Package yamldoc reads the YAML and JSON files that users write. It keeps the position of every value, so that an
// error says where the mistake is, and it collects all problems of several files, so that one command reports them all.
//
// # Place in the flow
//
//	file -> Document -> Value -> what the file means: packages catalog and taskdef
//	                      └-> Report -> problems, sorted: `modeldispatch check`
//
// Package catalog reads modeldispatch.yaml and model.yaml with it, and package taskdef reads task definitions. Those two
// know the fields of the files. This package knows YAML, numbers and units, and of this module it imports only package similar.
//
// # Terms
//
//   - A document (Document) is one file. JSON is read as YAML, because every JSON text is YAML too.
//   - A value (Value) is a part of a document with its position: text, a number, a list or an object. A member (Member)
//     is one field of an object, with the position of its name and of its value.
//   - A reader is a method that reads a value as one type: Text, Word, Integer, Duration, Memory and others. Its
//     argument what names the value in an error, such as "timeout" or "a pool's limit".
//   - A problem (Problem) is an error or a warning, printed as file:line:col: model "x": message. A report (Report)
//     collects problems.
//   - A variable, ${NAME}, is replaced by the readers with its value in the environment (Document.Variables).
//     ${AWS::…} is CloudFormation's: TextForCloudFormation leaves it alone, and the other readers report an error.
//
// # Entry points
//
// Document.Read and Document.Parse return the value of a whole file. Value.Fields reads an object whose fields are
// known, Value.Members one with any fields, Value.List a list, and Value.Decode any value as json.Unmarshal does.
// Report.Split returns the problems. Hint ends an error about an unknown name.
//
// Unmarshal decodes a file into a Go value, for files whose errors need no model and no collection: play.yaml (package
// play) and faults.yaml (package local/fault).
//
// # Rules
//
//   - A reader that finds an error reports it and returns ok == false, or the zero value. The caller continues with
//     the rest of the file.
//   - A message states the cause and then the correct form. It does not repeat the position or the model.
//   - An unknown field is an error, as are a field that is set twice and a field without a value.
//   - A file is at most 1 MiB, with at most 20,000 values, nested at most 40 deep. An alias counts each time.
package yamldoc
