package catalog

import _ "embed"

//go:embed model.schema.json
var schema []byte

// Schema is the JSON schema of model.yaml, from which editors complete it.
func Schema() []byte { return schema }
