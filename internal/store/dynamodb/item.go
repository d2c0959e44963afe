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

// The names of the indexes, each with its keys. An item is in an index only if it has both keys.
const (
	dueIndex   = "due"   // duePK is the shard, due the due time in milliseconds
	listIndex  = "list"  // listPK is the kind and the shard, listSK the time and a hash of the key
	modelIndex = "model" // modelPK is the kind, the model and the shard; listSK is that of the list index
)

// Table returns the request that creates the table of a store. Tests use it. template.yaml describes the same table.
func Table(name string) *dynamodb.CreateTableInput {
	attribute := func(name string, kind types.ScalarAttributeType) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: &name, AttributeType: kind}
	}
	keys := func(hash, sort string) []types.KeySchemaElement {
		return []types.KeySchemaElement{
			{AttributeName: &hash, KeyType: types.KeyTypeHash}, {AttributeName: &sort, KeyType: types.KeyTypeRange},
		}
	}
	include := func(attributes ...string) *types.Projection {
		return &types.Projection{ProjectionType: types.ProjectionTypeInclude, NonKeyAttributes: attributes}
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
			index(dueIndex, "duePK", "due", include("kind")),
			index(listIndex, "listPK", "listSK", include("model", "state")),
			index(modelIndex, "modelPK", "listSK", include("state")),
		},
	}
}

func keyOf(k store.Key) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"pk": stringOf(k.PK), "sk": stringOf(k.SK)}
}

// itemOf returns the item that a write puts. commit is the id of its commit.
func itemOf(w store.Write, commit string) map[string]types.AttributeValue {
	d := w.Doc
	item := keyOf(d.Key)
	item["version"], item["commit"] = numberOf(w.IfVersion+1), stringOf(commit)
	if len(d.Body) > 0 {
		item["body"] = &types.AttributeValueMemberB{Value: d.Body}
	}
	if !d.Due.IsZero() {
		item["duePK"], item["due"] = stringOf(duePK(d.Shard())), numberOf(d.Due.UnixMilli())
	}
	if !d.Expires.IsZero() {
		item["expires"] = numberOf(d.Expires.Unix()) // DynamoDB's time to live is in seconds
		item["expiresMs"] = numberOf(d.Expires.UnixMilli())
	}
	if d.Kind != "" {
		item["kind"] = stringOf(d.Kind)
	}
	if !d.Index.Time.IsZero() {
		item["listPK"], item["listSK"] = stringOf(listPK(d.Kind, d.Shard())), stringOf(listSK(d.Key, d.Index.Time))
		if d.Index.Model != "" {
			item["modelPK"] = stringOf(modelPK(d.Kind, d.Index.Model, d.Shard()))
		}
		item["model"], item["state"], item["time"] = stringOf(d.Index.Model), stringOf(d.Index.State), numberOf(d.Index.Time.UnixMilli())
	}
	return item
}

func duePK(shard int) string { return strconv.Itoa(shard) }

func listPK(kind string, shard int) string { return fmt.Sprintf("%s#%d", kind, shard) }

func modelPK(kind, model string, shard int) string {
	return fmt.Sprintf("%s/%s#%d", kind, model, shard)
}

// listSK returns the sort key of a listed document. It sorts by time. The hash of the document's key makes it unique
// and keeps it short.
func listSK(key store.Key, at time.Time) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key.String()))
	return fmt.Sprintf("%s/%016x", millisecondsText(at), h.Sum64())
}

// positionOf returns the position of an item of the list or model index. Its listSK has the time.
func positionOf(item map[string]types.AttributeValue) store.Position {
	text, _, _ := strings.Cut(textOf(item["listSK"]), "/")
	ms, _ := strconv.ParseInt(text, 10, 64) // listSK wrote it
	return store.Position{Time: ms, Key: store.Key{PK: textOf(item["pk"]), SK: textOf(item["sk"])}}
}

// millisecondsText returns t in milliseconds with leading zeros, so that texts sort like times. Times before 1970
// become 0.
func millisecondsText(t time.Time) string { return fmt.Sprintf("%015d", max(t.UnixMilli(), 0)) }

// document returns the document of an item. It returns an error if the item has no version.
func document(item map[string]types.AttributeValue) (store.Doc, error) {
	d := store.Doc{
		Key:  store.Key{PK: textOf(item["pk"]), SK: textOf(item["sk"])},
		Kind: textOf(item["kind"]), Due: timeOf(item["due"]), Expires: timeOf(item["expiresMs"]),
	}
	if body, ok := item["body"].(*types.AttributeValueMemberB); ok {
		d.Body = body.Value
	}
	version, err := strconv.ParseInt(textOf(item["version"]), 10, 64)
	if err != nil {
		return d, fmt.Errorf("%s has no version: it is not an item of this store", d.Key)
	}
	d.Version = version
	d.Index = store.Index{Model: textOf(item["model"]), State: textOf(item["state"]), Time: timeOf(item["time"])}
	return d, nil
}

func stringOf(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func numberOf(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// textOf returns the text or the digits of an attribute, or "" if it is absent or has another type.
func textOf(v types.AttributeValue) string {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	}
	return ""
}

// timeOf returns the time of an attribute in milliseconds, or the zero time if it is absent.
func timeOf(v types.AttributeValue) time.Time {
	ms, err := strconv.ParseInt(textOf(v), 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
