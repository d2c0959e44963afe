// Package wiring connects the parts of the program: it makes AWS clients, a store and a dispatcher, and starts the Lambda
// functions with them. It is the composition root of the functions.
//
// In the flow event -> binding -> run -> launch -> task -> outcome -> announcement, package wiring is no step. It builds
// the dispatcher, which drives the steps. One binary for each function calls [Start] with a handler of package handler.
// Start does the following at each cold start:
//
//  1. fromEnvironment reads and checks all environment variables and the compiled catalog.
//  2. configuration makes the AWS configuration.
//  3. [Wire] makes the clients and the dispatcher, with hooks that write metrics. The store is a DynamoDB table.
//  4. Start does the work that the function asks for at a cold start, such as Dispatcher.Publish of the sweep.
//  5. Lambda invokes the handler, once for each payload.
//
// The local stack and the command line call Wire themselves, with a store of their choice. [Endpoint] returns the AWS
// configuration for the local stack. [LogGroup] and [LogStream] tell the command line where the log of a task is.
//
// # Terms
//
//   - The environment of a function is its set of environment variables. template.yaml sets them, and Lambda adds the
//     Region and the credentials of the function's role.
//   - The compiled catalog is the JSON file with all models. The variable CATALOG names it. It is a Lambda layer.
//   - [Options] holds the settings of one deployment: names, URLs and limits.
//   - A cold start is the start of a new process for a function. Lambda allows ten seconds for it.
//   - A log link is the URL of a task's log in the CloudWatch console. Announcements contain it.
//
// # Rules
//
//   - The package has no state besides the clients. The store and the state bucket hold all that must survive.
//   - If a variable is missing or wrong, the function logs one line that names every such variable, and exits with code
//     1. Lambda then reports the invocation as failed, so the event or message is delivered again.
//   - If the work at a cold start fails, the function logs the error and serves invocations all the same.
//   - The functions link neither the YAML parser nor the local stack. .ci/functions checks this and the size of the
//     binaries. It also checks that a change in internal/ changes every binary: it replaces the text "environment is
//     wrong" in environment.go and builds again. If you change that text, change .ci/functions too.
//   - Package iamtest checks that the IAM role of each function allows the calls that the function makes, and nothing
//     else. TestCosts counts what AWS charges for these calls.
package wiring

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
	_ "time/tzdata" // Lambda's runtime has no time zone database

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	client "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/rs/zerolog"

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/dispatch/awsadapters"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/handler"
	"modeldispatch/internal/metrics"
	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/route"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/dynamodb"
)

// Options holds the settings of one deployment.
type Options struct {
	Deployment string            // the name of the deployment
	Table      string            // the name of the DynamoDB table that is the store
	LaunchURL  string            // the URL of the launch queue
	WakeURL    string            // the URL of the wake queue
	Bucket     string            // the name of the state bucket
	Bus        string            // the name of the event bus for announcements
	Placement  fargate.Placement // the cluster and the network of the tasks
	Rate       float64           // RunTask calls a second, of all launchers together; 0 means limiter.DefaultRate
	Retention  records.Retention // how long a document stays after its run has ended; 0 means records.DefaultRetention
}

// Wire returns a dispatcher with a store that calls AWS with a configuration: the configuration of an account, or the
// one of the local stack (see [Endpoint]). It returns an error if the triggers of the catalog cannot be indexed. The
// dispatcher adds log links to announcements unless all services have one endpoint, because the console shows only the
// logs of an account. The functions of change adjust the options of the dispatcher, for example its hooks.
func Wire(
	cfg aws.Config, o Options, c model.Catalog, s store.Store, change ...func(*dispatch.Options),
) (*dispatch.Dispatcher, error) {
	routes, err := route.New(c)
	if err != nil {
		return nil, fmt.Errorf("reading the catalog's triggers: %w", err)
	}
	tasks := fargate.NewClient(ecs.NewFromConfig(cfg))
	options := dispatch.Options{
		Deployment: o.Deployment, Catalog: c, Routes: routes, Placement: o.Placement, Bucket: o.Bucket, Rate: o.Rate,
		Retention: o.Retention, Store: s,
		Queue:    awsadapters.Queue{Client: sqs.NewFromConfig(cfg), LaunchURL: o.LaunchURL, WakeURL: o.WakeURL},
		Launcher: tasks, Watcher: tasks,
		Objects: awsadapters.Objects{Client: s3.NewFromConfig(cfg, func(s *s3.Options) { s.UsePathStyle = s.BaseEndpoint != nil })},
		Bus:     awsadapters.Bus{Client: eventbridge.NewFromConfig(cfg), Name: o.Bus},
		Now:     time.Now, Random: rand.Float64,
	}
	if cfg.BaseEndpoint == nil {
		options.LogLink = logLink(o.Deployment)
	}
	for _, f := range change {
		f(&options)
	}
	return dispatch.New(options), nil
}

// Endpoint returns an AWS configuration with one URL for all services, such as the URL of the local stack.
func Endpoint(url, region, accessKeyID, secretAccessKey string) aws.Config {
	return aws.Config{
		Region: region, BaseEndpoint: aws.String(url), Credentials: credentials.NewStaticCredentialsProvider(accessKeyID, secretAccessKey, ""),
	}
}

// coldStartTimeout is the time that each piece of work at a cold start may take. Lambda limits the whole start to ten
// seconds.
// https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
const coldStartTimeout = 4 * time.Second

// Start runs a Lambda function whose handler pick returns. It does not return. If the environment of the function is
// wrong, Start logs one line and exits with code 1. Before the first invocation it calls each function of first. If
// such a call fails, Start logs the error, and the next cold start repeats the call.
func Start(pick func(handler.Handlers) any, first ...func(*dispatch.Dispatcher, context.Context) error) {
	log := zerolog.New(os.Stderr).With().Timestamp().Logger()
	h, err := handlers(os.Getenv, log)
	if err != nil {
		log.Error().Err(err).Msg("function does not start")
		os.Exit(1)
	}
	for _, do := range first {
		ctx, cancel := context.WithTimeout(context.Background(), coldStartTimeout)
		if err := do(h.Dispatcher, ctx); err != nil {
			log.Error().Err(err).Msg("work at the cold start failed; the next cold start repeats it")
		}
		cancel()
	}
	lambda.Start(pick(h))
}

// handlers returns the handlers of a function with these environment variables.
func handlers(getenv func(string) string, log zerolog.Logger) (handler.Handlers, error) {
	o, c, err := fromEnvironment(getenv)
	if err != nil {
		return handler.Handlers{}, err
	}
	cfg := configuration(getenv)
	d, err := Wire(cfg, o, c, dynamodb.New(client.NewFromConfig(cfg), o.Table), func(options *dispatch.Options) {
		options.Hooks = metrics.Hooks(os.Stdout, o.Deployment, time.Now)
	})
	if err != nil {
		return handler.Handlers{}, err
	}
	return handler.Handlers{Dispatcher: d, Log: log}, nil
}
