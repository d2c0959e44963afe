package dynamodb

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"modeldispatch/internal/store"
)

// The indexes. All are sparse: only items that have their keys are in them.
const (
	dueIndex   = "due"   // duePK: the shard; due: milliseconds
	listIndex  = "list"  // listPK: kind and shard; listSK: newest last, unique
	modelIndex = "model" // modelPK: kind, model and shard; listSK
)

// Table is the table that the store needs, as it is made in tests; template.yaml says the same.
func Table(name string) *dynamodb.CreateTableInput {
	attribute := func(name string, kind types.ScalarAttributeType) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: &name, AttributeType: kind}
	}
	keys := func(hash, sort string) []types.KeySchemaElement {
		return []types.KeySchemaElement{{AttributeName: &hash, KeyType: types.KeyTypeHash}, {AttributeName: &sort, KeyType: types.KeyTypeRange}}
	}
	index := func(name, hash, sort string, projection *types.Projection) types.GlobalSecondaryIndex {
		return types.GlobalSecondaryIndex{IndexName: &name, KeySchema: keys(hash, sort), Projection: projection}
	}
	return &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest, KeySchema: keys("pk", "sk"),
		AttributeDefinitions: []types.AttributeDefinition{
			attribute("pk", types.ScalarAttributeTypeS), attribute("sk", types.ScalarAttributeTypeS),
			attribute("duePK", types.ScalarAttributeTypeS), attribute("due", types.ScalarAttributeTypeN),
			attribute("listPK", types.ScalarAttributeTypeS), attribute("listSK", types.ScalarAttributeTypeS),
			attribute("modelPK", types.ScalarAttributeTypeS),
		},
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{
			index(dueIndex, "duePK", "due", &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly}),
			index(listIndex, "listPK", "listSK", &types.Projection{ProjectionType: types.ProjectionTypeInclude, NonKeyAttributes: []string{"model", "state"}}),
			index(modelIndex, "modelPK", "listSK", &types.Projection{ProjectionType: types.ProjectionTypeInclude, NonKeyAttributes: []string{"state"}}),
		},
	}
}

func keyOf(k store.Key) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"pk": stringOf(k.PK), "sk": stringOf(k.SK)}
}

// itemOf is the item that a write puts.
func itemOf(w store.Write, commit string) map[string]types.AttributeValue {
	d := w.Doc
	item := keyOf(d.Key)
	item["version"], item["commit"] = numberOf(w.Was+1), stringOf(commit)
	if len(d.Body) > 0 {
		item["body"] = &types.AttributeValueMemberB{Value: d.Body}
	}
	if !d.Due.IsZero() {
		item["duePK"], item["due"] = stringOf(duePK(d.Shard())), numberOf(d.Due.UnixMilli())
	}
	if !d.Expires.IsZero() {
		item["expires"] = numberOf(d.Expires.Unix()) // DynamoDB's TTL counts seconds
		item["expiresMs"] = numberOf(d.Expires.UnixMilli())
	}
	if d.Index.Kind != "" {
		item["listPK"], item["listSK"] = stringOf(listPK(d.Index.Kind, d.Shard())), stringOf(listSK(d))
		if d.Index.Model != "" {
			item["modelPK"] = stringOf(modelPK(d.Index.Kind, d.Index.Model, d.Shard()))
		}
		item["model"], item["state"], item["kind"], item["time"] = stringOf(d.Index.Model), stringOf(d.Index.State), stringOf(d.Index.Kind), numberOf(d.Index.Time.UnixMilli())
	}
	return item
}

func duePK(shard int) string { return strconv.Itoa(shard) }

func listPK(kind string, shard int) string { return fmt.Sprintf("%s#%d", kind, shard) }

func modelPK(kind, model string, shard int) string {
	return fmt.Sprintf("%s/%s#%d", kind, model, shard)
}

// listSK orders by time. The hash of the key makes it unique, and short.
func listSK(d store.Doc) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(d.Key.String()))
	return fmt.Sprintf("%s/%016x", millisecondsText(d.Index.Time), h.Sum64())
}

// isListSK says whether a text has the form of listSK's.
func isListSK(text string) bool {
	ms, hash, cut := strings.Cut(text, "/")
	_, errMS := strconv.ParseUint(ms, 10, 64)
	_, errHash := strconv.ParseUint(hash, 16, 64)
	return cut && errMS == nil && errHash == nil && len(ms) == 15 && len(hash) == 16
}

// millisecondsText sorts as text as times do; years before 1970 are not used.
func millisecondsText(t time.Time) string { return fmt.Sprintf("%015d", max(t.UnixMilli(), 0)) }

// document is the document of an item.
func document(item map[string]types.AttributeValue) (store.Doc, error) {
	d := store.Doc{Key: store.Key{PK: textOf(item["pk"]), SK: textOf(item["sk"])}, Due: timeOf(item["due"]), Expires: timeOf(item["expiresMs"])}
	if body, ok := item["body"].(*types.AttributeValueMemberB); ok {
		d.Body = body.Value
	}
	version, err := strconv.ParseInt(textOf(item["version"]), 10, 64)
	if err != nil {
		return d, fmt.Errorf("%s has no version: it is not an item of this store", d.Key)
	}
	d.Version = version
	if kind := textOf(item["kind"]); kind != "" {
		d.Index = store.Index{Kind: kind, Model: textOf(item["model"]), State: textOf(item["state"]), Time: timeOf(item["time"])}
	}
	return d, nil
}

func stringOf(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func numberOf(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func textOf(v types.AttributeValue) string {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	}
	return ""
}

func timeOf(v types.AttributeValue) time.Time {
	ms, err := strconv.ParseInt(textOf(v), 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
