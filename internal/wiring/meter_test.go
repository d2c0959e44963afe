package wiring_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	client "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/smithy-go/middleware"
	"github.com/rs/zerolog"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/handler"
	"modeldispatch/internal/local"
	"modeldispatch/internal/metrics"
	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/dynamodb/dynamodbtest"
	"modeldispatch/internal/wiring"
)

// The names of the counts, which are also the names of rows in docs/costs.md. Invocations are counted under the name of
// their function. Requests to ECS are free.
const (
	writeUnits = "DynamoDB write request units"
	readUnits  = "DynamoDB read request units"
	sqsCalls   = "SQS requests"
	entries    = "EventBridge entries"
	lists      = "S3 LIST requests"
	puts       = "S3 PUT requests"
	ecsCalls   = "ECS requests"
	logBytes   = "bytes logged"
	items      = "items left in the table"
	itemBytes  = "bytes of these items, with their index entries"
	aMetric    = "metric " // the prefix of a metric's name with its dimensions
)

// order lists the rows of the table of quantities.
var order = append(slices.Clone(names),
	writeUnits, readUnits, sqsCalls, entries, lists, puts, ecsCalls, logBytes, items, itemBytes)

// meter counts everything that AWS would charge for.
type meter struct {
	mu     sync.Mutex
	counts map[string]float64
	// transaction is the factor by which AWS charges other write units for a transaction than DynamoDB Local reports.
	transaction float64
}

// add adds n to a count.
func (m *meter) add(what string, n float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts[what] += n
}

// Write counts the bytes and the metrics of a line that a function logs.
func (m *meter) Write(line []byte) (int, error) {
	m.add(logBytes, float64(len(line)))
	var logged struct {
		AWS struct {
			CloudWatchMetrics []struct {
				Dimensions [][]string
				Metrics    []struct{ Name string }
			}
		} `json:"_aws"`
		Class, State string
	}
	if err := json.Unmarshal(line, &logged); err != nil {
		return 0, err
	}
	for _, each := range logged.AWS.CloudWatchMetrics {
		for _, dimensions := range each.Dimensions {
			m.add(fmt.Sprint(aMetric, each.Metrics[0].Name, dimensions, logged.Class, logged.State), 1)
		}
	}
	return len(line), nil
}

// take returns the counts since its last call, and starts again at zero.
func (m *meter) take() map[string]float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	counts := m.counts
	m.counts = map[string]float64{}
	return counts
}

// middleware adds middleware that counts each call.
func (m *meter) middleware(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("meter", m.count), middleware.After)
}

// count makes a call and counts it.
func (m *meter) count(
	ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
) (middleware.InitializeOutput, middleware.Metadata, error) {
	if err := m.countInput(ctx, in.Parameters); err != nil {
		return middleware.InitializeOutput{}, middleware.Metadata{}, err
	}
	out, metadata, err := next.HandleInitialize(ctx, in)
	m.countOutput(in.Parameters, out.Result)
	return out, metadata, err
}

// countInput makes DynamoDB return the units of a call, indexes included. It counts the calls of other services.
func (m *meter) countInput(ctx context.Context, in any) error {
	switch in := in.(type) {
	case *client.GetItemInput:
		in.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	case *client.PutItemInput:
		in.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	case *client.QueryInput:
		in.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	case *client.TransactWriteItemsInput:
		in.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	case *eventbridge.PutEventsInput:
		m.add(entries, float64(len(in.Entries)))
	default:
		operation := awsmiddleware.GetOperationName(ctx)
		name, known := map[string]string{"SendMessage": sqsCalls, "ListObjectsV2": lists, "PutObject": puts}[operation]
		if awsmiddleware.GetServiceID(ctx) == ecs.ServiceID {
			name, known = ecsCalls, true
		}
		if !known {
			return fmt.Errorf("docs/costs.md has no price for %s: add a count for it here", operation)
		}
		m.add(name, 1)
	}
	return nil
}

// countOutput counts the units of a DynamoDB call. AWS charges for a query that finds nothing, and DynamoDB Local does
// not.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
func (m *meter) countOutput(in, out any) {
	switch out := out.(type) {
	case *client.GetItemOutput:
		m.add(readUnits, *out.ConsumedCapacity.CapacityUnits)
	case *client.QueryOutput:
		least := 0.5
		if query, isQuery := in.(*client.QueryInput); isQuery && aws.ToBool(query.ConsistentRead) {
			least = 1
		}
		m.add(readUnits, max(*out.ConsumedCapacity.CapacityUnits, least))
	case *client.PutItemOutput:
		m.add(writeUnits, *out.ConsumedCapacity.CapacityUnits)
	case *client.TransactWriteItemsOutput:
		for _, c := range out.ConsumedCapacity {
			m.add(writeUnits, *c.CapacityUnits*m.transaction)
		}
	}
}

// calibrate asks DynamoDB Local for the units of a transaction with one small item. AWS charges two units.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-capacity-handling
func (m *metered) calibrate(t *testing.T) {
	t.Helper()
	db := dynamodbtest.Connect(m.environment["AWS_ENDPOINT_URL_DYNAMODB"])
	put := &types.Put{TableName: aws.String(dynamodbtest.Table(t, db)), Item: map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: "p"}, "sk": &types.AttributeValueMemberS{Value: "s"},
	}}
	out, err := db.TransactWriteItems(t.Context(), &client.TransactWriteItemsInput{
		TransactItems:          []types.TransactWriteItem{{Put: put}},
		ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
	})
	if err != nil {
		t.Fatal(err)
	}
	m.transaction = 2 / *out.ConsumedCapacity[0].CapacityUnits
}

// metered runs the handlers of the functions in one account, and counts their calls.
type metered struct {
	account
	handler.Handlers
	meter
	now time.Time // the fixed time of the handlers, so that every test run counts the same
}

// newMetered returns a calibrated meter in a new account.
func newMetered(t *testing.T) *metered {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second).Add(123456789) // the text of this time has the full length
	m := &metered{account: newAccount(t), meter: meter{counts: map[string]float64{}}, now: now}
	m.calibrate(t)
	return m
}

// wire makes the handlers for a catalog with only one model.
func (m *metered) wire(t *testing.T, name string) {
	t.Helper()
	cfg := wiring.Endpoint(m.environment["AWS_ENDPOINT_URL"], local.Region, "test", "test")
	cfg.APIOptions = append(cfg.APIOptions, m.middleware)
	one := m.catalog
	one.Models = slices.DeleteFunc(slices.Clone(one.Models), func(m model.Model) bool { return m.Name != name })
	deployed, err := one.ForDeployment(deployment)
	if err != nil {
		t.Fatal(err)
	}
	d, err := wiring.Wire(cfg, m.options(), deployed, m.storeWith(m.middleware), func(o *dispatch.Options) {
		o.Now = func() time.Time { return m.now }
		o.Hooks = metrics.Hooks(&m.meter, deployment, o.Now)
	})
	if err != nil {
		t.Fatal(err)
	}
	log := zerolog.New(&m.meter).With().Time("time", m.now.Truncate(time.Second)).Logger()
	m.Handlers = handler.Handlers{Dispatcher: d, Log: log}
}

// invoke invokes one of the functions.
func (m *metered) invoke(t *testing.T, function string, payload []byte) {
	t.Helper()
	m.add(function, 1)
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: request})
	var answer events.SQSEventResponse
	var err error
	switch function {
	case "arrival":
		err = m.Arrival(ctx, payload)
	case "event":
		err = m.Event(ctx, payload)
	case "completion":
		err = m.Completion(ctx, payload)
	case "sweep":
		answer, err = m.Sweep(ctx, payload)
	case "launch":
		m.add(sqsCalls, 2) // Lambda receives and deletes the batch, which holds one message in the worst case
		var batch events.SQSEvent
		if err = json.Unmarshal(payload, &batch); err == nil {
			answer, err = m.Launch(ctx, batch)
		}
	}
	if err != nil || len(answer.BatchItemFailures) > 0 {
		t.Fatalf("%s answers %v, error %v, want success", function, answer, err)
	}
}

// only returns the only run in a state.
func (m *metered) only(t *testing.T, state run.State) run.Run {
	t.Helper()
	docs, _, err := m.store.List(t.Context(), store.Query{Kind: records.KindRun, State: string(state)})
	if err != nil || len(docs) != 1 {
		t.Fatalf("%d runs are %s, error %v, want one", len(docs), state, err)
	}
	r, err := records.Decode[run.Run](docs[0])
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// succeeds runs the ordinary case, from the event of an object to the success of the run, with the two events that ECS
// sends about a task. It returns the counts.
func (m *metered) succeeds(t *testing.T) map[string]float64 {
	t.Helper()
	m.wire(t, "first")
	if err := m.stack.Seed("s3://landing/results/n", strings.NewReader("{}")); err != nil {
		t.Fatal(err)
	}
	m.invoke(t, "arrival", []byte(strings.ReplaceAll(arrived, "copy/a.txt", "first/n")))
	m.invoke(t, "launch", m.receive(t, "LAUNCH_QUEUE_URL"))
	stopped := stateChange(t, m.waitUntilStopped(t, m.only(t, run.Running).Task.ARN))
	m.invoke(t, "completion", bytes.ReplaceAll(stopped, []byte(`"STOPPED"`), []byte(`"RUNNING"`)))
	m.invoke(t, "completion", stopped)
	m.only(t, run.Succeeded)
	counts := m.take()
	m.stored(t, counts)
	return counts
}

// stored counts the items of a run in the table, and their billed size with their index entries. AWS bills names,
// values and 100 bytes for each item and each index entry.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
func (m *metered) stored(t *testing.T, counts map[string]float64) {
	t.Helper()
	db, table := dynamodbtest.Connect(m.environment["AWS_ENDPOINT_URL_DYNAMODB"]), aws.String(m.environment["TABLE"])
	out, err := db.Scan(t.Context(), &client.ScanInput{TableName: table, ConsistentRead: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	described, err := db.DescribeTable(t.Context(), &client.DescribeTableInput{TableName: table})
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range out.Items {
		kind, _, _ := strings.Cut(item["pk"].(*types.AttributeValueMemberS).Value, "/")
		if kind == "control" || kind == "group" {
			continue // it belongs to the deployment or the model
		}
		counts[items]++
		counts[itemBytes] += size(item, slices.Collect(maps.Keys(item)))
		for _, index := range described.Table.GlobalSecondaryIndexes {
			if item[*index.KeySchema[0].AttributeName] != nil && item[*index.KeySchema[1].AttributeName] != nil {
				projected := []string{"pk", "sk", *index.KeySchema[0].AttributeName, *index.KeySchema[1].AttributeName}
				counts[itemBytes] += size(item, append(projected, index.Projection.NonKeyAttributes...))
			}
		}
	}
}

// size returns the billed size of some attributes of an item, in bytes.
func size(item map[string]types.AttributeValue, names []string) float64 {
	bytes := 100
	for _, name := range names {
		switch value := item[name].(type) {
		case *types.AttributeValueMemberS:
			bytes += len(name) + len(value.Value)
		case *types.AttributeValueMemberB:
			bytes += len(name) + len(value.Value)
		case *types.AttributeValueMemberN:
			bytes += len(name) + len(value.Value)/2 + 1
		}
	}
	return float64(bytes)
}

// silent runs a sweep that asks ECS about one running task, because ECS has sent no event about it for run.SilentAfter.
// It returns the counts of that sweep.
func (m *metered) silent(t *testing.T) map[string]float64 {
	t.Helper()
	m.wire(t, "second")
	m.invoke(t, "event", []byte(happened("test", "e")))
	m.invoke(t, "launch", m.receive(t, "LAUNCH_QUEUE_URL"))
	m.only(t, run.Running)
	m.now = m.now.Add(run.SilentAfter)
	m.take()
	m.invoke(t, "sweep", []byte(`{}`))
	m.only(t, run.Running)
	return m.take()
}
