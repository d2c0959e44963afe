// Package app is the composition root of the functions: it turns their environment into one
// validated Options, makes the clients once for each cold start, and wires the handlers.
package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // Lambda's runtime has no time zones

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	client "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/rs/zerolog"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/dispatch/awsio"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/handler"
	"modeldispatch/internal/model"
	"modeldispatch/internal/route"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/dynamodb"
)

// Options are what a deployment's functions run with.
type Options struct {
	Deployment string
	Table      string // the store
	LaunchURL  string // of the launch queue
	WakeURL    string // of the wake queue
	Bucket     string // the state bucket
	Bus        string // where announcements go
	Placement  fargate.Placement
	Rate       float64 // RunTask calls a second of all launchers together; 0 is the default
}

// fromEnvironment reads Options, and says of all variables at once what is missing.
func fromEnvironment(getenv func(string) string) (Options, error) {
	var missing []string
	need := func(name string) string {
		value := getenv(name)
		if value == "" {
			missing = append(missing, name)
		}
		return value
	}
	o := Options{
		Deployment: need("DEPLOYMENT"), Table: need("TABLE"), LaunchURL: need("LAUNCH_QUEUE_URL"), WakeURL: need("WAKE_QUEUE_URL"),
		Bucket: need("STATE_BUCKET"), Bus: need("EVENT_BUS"),
		Placement: fargate.Placement{
			Cluster: need("CLUSTER"), Subnets: strings.Split(need("SUBNETS"), ","),
			AssignPublicIP: getenv("ASSIGN_PUBLIC_IP") == "ENABLED",
		},
	}
	if groups := getenv("SECURITY_GROUPS"); groups != "" {
		o.Placement.SecurityGroups = strings.Split(groups, ",")
	}
	if rate := getenv("RUN_TASK_RATE"); rate != "" {
		var err error
		if o.Rate, err = strconv.ParseFloat(rate, 64); err != nil || o.Rate <= 0 {
			return o, fmt.Errorf("the function's environment has RUN_TASK_RATE=%q, and calls a second are expected, such as 19.5", rate)
		}
	}
	if len(missing) > 0 {
		return o, fmt.Errorf("the function's environment lacks %s", strings.Join(missing, ", "))
	}
	return o, nil
}

// Wire makes a dispatcher that reaches AWS through the given configuration: an account's in a
// function, the local stack's on a laptop.
func Wire(cfg aws.Config, o Options, c model.Catalog, s store.Store) (*dispatch.Dispatcher, error) {
	routes, err := route.New(c)
	if err != nil {
		return nil, fmt.Errorf("reading the catalog's triggers: %w", err)
	}
	tasks := fargate.NewClient(ecs.NewFromConfig(cfg))
	d := dispatch.New(dispatch.Options{
		Deployment: o.Deployment, Catalog: c, Routes: routes, Placement: o.Placement, Bucket: o.Bucket, Rate: o.Rate, Store: s,
		Queue:    awsio.Queue{Client: sqs.NewFromConfig(cfg), LaunchURL: o.LaunchURL, WakeURL: o.WakeURL},
		Launcher: tasks, Watcher: tasks,
		Objects: awsio.Objects{Client: s3.NewFromConfig(cfg, func(s *s3.Options) { s.UsePathStyle = cfg.BaseEndpoint != nil })},
		Bus:     awsio.Bus{Client: eventbridge.NewFromConfig(cfg), Name: o.Bus},
		Now:     time.Now, Random: rand.Float64,
	})
	if cfg.BaseEndpoint == nil {
		d.LogLink = logLink(o.Deployment)
	}
	return d, nil
}

// logLink gives the page of CloudWatch's console that shows the log of a task: a stream of the deployment's log group,
// named after the model, the container and the task, as the awslogs driver does.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html
func logLink(deployment string) func(run.Run, string) string {
	consoles := map[string]string{"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}
	return func(r run.Run, container string) string {
		task, err := arn.Parse(r.Task.ARN)
		if err != nil {
			return ""
		}
		console := cmp.Or(consoles[task.Partition], "console.aws.amazon.com")
		id := task.Resource[strings.LastIndexByte(task.Resource, '/')+1:]
		twice := func(s string) string { return strings.ReplaceAll(url.QueryEscape(url.QueryEscape(s)), "%", "$") }
		return fmt.Sprintf("https://%[1]s.%[2]s/cloudwatch/home?region=%[1]s#logsV2:log-groups/log-group/%[3]s/log-events/%[4]s",
			task.Region, console, twice("/"+deployment+"/models"), twice(r.Model+"/"+container+"/"+id))
	}
}

// Endpoint is the configuration of a place where all services answer at one address, and any
// credentials do.
func Endpoint(url, region, key string) aws.Config {
	return aws.Config{Region: region, BaseEndpoint: aws.String(url), Credentials: credentials.NewStaticCredentialsProvider(key, key, "")}
}

// Start runs one of the handlers as a Lambda function. What is wrong with its environment is said
// in one line, and the function does not start.
func Start(pick func(handler.Handlers) any) {
	log := zerolog.New(os.Stderr).With().Timestamp().Logger()
	h, err := handlers(context.Background(), os.Getenv, log)
	if err != nil {
		log.Error().Err(err).Msg("function does not start")
		os.Exit(1)
	}
	lambda.Start(pick(h))
}

func handlers(ctx context.Context, getenv func(string) string, log zerolog.Logger) (handler.Handlers, error) {
	o, optionsErr := fromEnvironment(getenv)
	c, catalogErr := readCatalog(getenv("CATALOG"))
	if err := errors.Join(optionsErr, catalogErr); err != nil {
		return handler.Handlers{}, err
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return handler.Handlers{}, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	d, err := Wire(cfg, o, c.Deployed(o.Deployment), dynamodb.New(client.NewFromConfig(cfg), o.Table))
	if err != nil {
		return handler.Handlers{}, err
	}
	d.Notice = (&metrics{out: os.Stdout, deployment: o.Deployment, now: time.Now}).notice()
	return handler.Handlers{Dispatcher: d, Log: log}, nil
}

// readCatalog reads the compiled catalog, which is a layer of the functions.
func readCatalog(file string) (model.Catalog, error) {
	var c model.Catalog
	if file == "" {
		return c, errors.New("the function's environment lacks CATALOG")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return c, fmt.Errorf("reading the compiled catalog: %w", err)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, fmt.Errorf("reading the compiled catalog %s: %w", file, err)
	}
	if c.Schema > model.Schema {
		return c, fmt.Errorf("the compiled catalog %s has schema %d, and this function knows up to %d: deploy both together", file, c.Schema, model.Schema)
	}
	return c, nil
}
