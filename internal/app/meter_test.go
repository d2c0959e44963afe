package app_test

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

	"modeldispatch/internal/app"
	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/handler"
	"modeldispatch/internal/local"
	"modeldispatch/internal/model"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/dynamodb"
	"modeldispatch/internal/store/dynamodb/dynamodbtest"
)

// What is counted, beside invocations, which have their function's name, and calls of ECS, which are free.
const (
	writeUnits = "DynamoDB write request units"
	readUnits  = "DynamoDB read request units"
	sqsCalls   = "SQS requests"
	entries    = "EventBridge entries"
	lists      = "S3 LIST requests"
	puts       = "S3 PUT requests"
	ecsCalls   = "ECS requests"
	logBytes   = "bytes logged"
	items      = "items that stay in the table"
	itemBytes  = "their bytes, indexes included"
	aMetric    = "metric " // and its name and dimensions
)

// order is of the rows of the table.
var order = append(slices.Clone(names), writeUnits, readUnits, sqsCalls, entries, lists, puts, ecsCalls, logBytes, items, itemBytes)

// meter counts what AWS would charge for.
type meter struct {
	mu     sync.Mutex
	counts map[string]float64
	// transaction is what AWS charges for a transaction, over what DynamoDB Local says.
	transaction float64
}

func (m *meter) add(what string, n float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts[what] += n
}

// Write takes what a function logs.
func (m *meter) Write(line []byte) (int, error) {
	m.add(logBytes, float64(len(line)))
	var of struct {
		AWS struct {
			CloudWatchMetrics []struct {
				Dimensions [][]string
				Metrics    []struct{ Name string }
			}
		} `json:"_aws"`
		Class, State string
	}
	if err := json.Unmarshal(line, &of); err != nil {
		return 0, err
	}
	for _, each := range of.AWS.CloudWatchMetrics {
		for _, dimensions := range each.Dimensions {
			m.add(fmt.Sprint(aMetric, each.Metrics[0].Name, dimensions, of.Class, of.State), 1)
		}
	}
	return len(line), nil
}

// take is what was counted since the last time.
func (m *meter) take() map[string]float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	counts := m.counts
	m.counts = map[string]float64{}
	return counts
}

// middleware has DynamoDB say what each call takes, its indexes included, and counts the others. DynamoDB Local charges
// nothing for a query that finds nothing, and AWS does.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
func (m *meter) middleware(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("meter", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		least := 0.5 // of a read that finds nothing
		switch in := in.Parameters.(type) {
		case *client.GetItemInput:
			in.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
		case *client.PutItemInput:
			in.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
		case *client.QueryInput:
			if aws.ToBool(in.ConsistentRead) {
				least = 1
			}
			in.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
		case *client.TransactWriteItemsInput:
			in.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
		case *eventbridge.PutEventsInput:
			m.add(entries, float64(len(in.Entries)))
		default:
			operation := awsmiddleware.GetOperationName(ctx)
			what, known := map[string]string{"SendMessage": sqsCalls, "ListObjectsV2": lists, "PutObject": puts}[operation]
			if awsmiddleware.GetServiceID(ctx) == ecs.ServiceID {
				what, known = ecsCalls, true
			}
			if !known {
				return middleware.InitializeOutput{}, middleware.Metadata{}, fmt.Errorf("docs/costs.md has no price of %s: count it here", operation)
			}
			m.add(what, 1)
		}
		out, metadata, err := next.HandleInitialize(ctx, in)
		switch out := out.Result.(type) {
		case *client.GetItemOutput:
			m.add(readUnits, *out.ConsumedCapacity.CapacityUnits)
		case *client.QueryOutput:
			m.add(readUnits, max(*out.ConsumedCapacity.CapacityUnits, least))
		case *client.PutItemOutput:
			m.add(writeUnits, *out.ConsumedCapacity.CapacityUnits)
		case *client.TransactWriteItemsOutput:
			for _, c := range out.ConsumedCapacity {
				m.add(writeUnits, *c.CapacityUnits*m.transaction)
			}
		}
		return out, metadata, err
	}), middleware.After)
}

// calibrate asks DynamoDB Local what a transaction of one small item takes: AWS charges two units.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-capacity-handling
func (m *metered) calibrate(t *testing.T) {
	t.Helper()
	db := dynamodbtest.Connect(m.environment["AWS_ENDPOINT_URL_DYNAMODB"])
	item := map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: "p"}, "sk": &types.AttributeValueMemberS{Value: "s"}}
	out, err := db.TransactWriteItems(t.Context(), &client.TransactWriteItemsInput{
		TransactItems:          []types.TransactWriteItem{{Put: &types.Put{TableName: aws.String(dynamodbtest.Table(t, db)), Item: item}}},
		ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
	})
	if err != nil {
		t.Fatal(err)
	}
	m.transaction = 2 / *out.ConsumedCapacity[0].CapacityUnits
}

// metered is an account whose functions are metered.
type metered struct {
	account
	handler.Handlers
	meter
	now time.Time // stands still, so that each time the same is counted
}

func newMetered(t *testing.T) *metered {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second).Add(123456789) // as long as a time can be
	m := &metered{account: newAccount(t), meter: meter{counts: map[string]float64{}}, now: now}
	m.calibrate(t)
	return m
}

// wire makes the functions for a catalog of one model.
func (m *metered) wire(t *testing.T, name string) {
	t.Helper()
	e := m.environment
	cfg := app.Endpoint(e["AWS_ENDPOINT_URL"], local.Region, "test", "test")
	cfg.APIOptions = append(cfg.APIOptions, m.middleware)
	o := app.Options{Deployment: deployment, Table: e["TABLE"], LaunchURL: e["LAUNCH_QUEUE_URL"], WakeURL: e["WAKE_QUEUE_URL"], Bucket: e["STATE_BUCKET"], Bus: e["EVENT_BUS"], Placement: local.Placement()}
	one := m.catalog
	one.Models = slices.DeleteFunc(slices.Clone(one.Models), func(m model.Model) bool { return m.Name != name })
	deployed, err := one.Deployed(deployment)
	if err != nil {
		t.Fatal(err)
	}
	d, err := app.Wire(cfg, o, deployed, dynamodb.New(dynamodbtest.Connect(e["AWS_ENDPOINT_URL_DYNAMODB"], dynamodbtest.With(m.middleware)), e["TABLE"]))
	if err != nil {
		t.Fatal(err)
	}
	d.Now = func() time.Time { return m.now }
	d.Notice = app.NoticeTo(&m.meter, deployment, d.Now)
	m.Handlers = handler.Handlers{Dispatcher: d, Log: zerolog.New(&m.meter).With().Time("time", m.now.Truncate(time.Second)).Logger()}
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
		m.add(sqsCalls, 2) // Lambda receives and deletes the batch, which at worst is of one message
		var batch events.SQSEvent
		if err = json.Unmarshal(payload, &batch); err == nil {
			answer, err = m.Launch(ctx, batch)
		}
	}
	if err != nil || len(answer.BatchItemFailures) > 0 {
		t.Fatalf("%s answers %v, %v", function, answer, err)
	}
}

// only is the run in a state.
func (m *metered) only(t *testing.T, state run.State) run.Run {
	t.Helper()
	docs, _, err := m.store.List(t.Context(), store.Query{Kind: dispatch.KindRun, State: string(state)})
	if err != nil || len(docs) != 1 {
		t.Fatalf("%d runs are %s, %v, want one", len(docs), state, err)
	}
	var r run.Run
	if err := dispatch.Decode(docs[0], &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// succeeds takes a run from its object to its end, with the two events that ECS sends of its task.
func (m *metered) succeeds(t *testing.T) map[string]float64 {
	t.Helper()
	m.wire(t, "first")
	if err := m.stack.Seed("s3://landing/results/n", strings.NewReader("{}")); err != nil {
		t.Fatal(err)
	}
	m.invoke(t, "arrival", []byte(strings.ReplaceAll(arrived, "copy/a.txt", "first/n")))
	m.invoke(t, "launch", m.receive(t, "LAUNCH_QUEUE_URL"))
	described := &ecs.DescribeTasksInput{Cluster: aws.String("modeldispatch"), Tasks: []string{m.only(t, run.Running).Task.ARN}}
	if err := ecs.NewTasksStoppedWaiter(m.ecs, func(o *ecs.TasksStoppedWaiterOptions) { o.MinDelay, o.MaxDelay = 50*time.Millisecond, time.Second }).Wait(t.Context(), described, time.Minute); err != nil {
		t.Fatal(err)
	}
	out, err := m.ecs.DescribeTasks(t.Context(), described)
	if err != nil {
		t.Fatal(err)
	}
	stopped := stateChange(t, out)
	m.invoke(t, "completion", bytes.ReplaceAll(stopped, []byte(`"STOPPED"`), []byte(`"RUNNING"`)))
	m.invoke(t, "completion", stopped)
	m.only(t, run.Succeeded)
	counts := m.take()
	m.stored(t, counts)
	return counts
}

// stored adds what a run leaves in the table and its indexes, as it is charged for: names and values, and 100 bytes for each.
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
		if kind == "control" || kind == "line" {
			continue // the deployment's or the model's, not the run's
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

// size is what attributes of an item are charged for.
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

// silent is a minute in which the sweep looks after a task that ran, and of which nothing was heard for five minutes.
func (m *metered) silent(t *testing.T) map[string]float64 {
	t.Helper()
	m.wire(t, "second")
	m.invoke(t, "event", []byte(happened("test", "e")))
	m.invoke(t, "launch", m.receive(t, "LAUNCH_QUEUE_URL"))
	m.only(t, run.Running)
	m.now = m.now.Add(run.Silence)
	m.take()
	m.invoke(t, "sweep", []byte(`{}`))
	m.only(t, run.Running)
	return m.take()
}
