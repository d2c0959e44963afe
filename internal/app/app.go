// Package app is the composition root of the functions: it turns their environment into one
// validated Options, makes the clients once for each cold start, and wires the handlers.
package app

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
	_ "time/tzdata" // Lambda's runtime has no time zones

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
	"modeldispatch/internal/dispatch/awsio"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/handler"
	"modeldispatch/internal/model"
	"modeldispatch/internal/route"
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
	Rate       float64       // RunTask calls a second of all launchers together; 0 is the default
	Retention  time.Duration // how long what has ended is kept; 0 is the default
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
		Deployment: o.Deployment, Catalog: c, Routes: routes, Placement: o.Placement, Bucket: o.Bucket, Rate: o.Rate, Retention: o.Retention, Store: s,
		Queue:    awsio.Queue{Client: sqs.NewFromConfig(cfg), LaunchURL: o.LaunchURL, WakeURL: o.WakeURL},
		Launcher: tasks, Watcher: tasks,
		Objects: awsio.Objects{Client: s3.NewFromConfig(cfg, func(s *s3.Options) { s.UsePathStyle = s.BaseEndpoint != nil })},
		Bus:     awsio.Bus{Client: eventbridge.NewFromConfig(cfg), Name: o.Bus},
		Now:     time.Now, Random: rand.Float64,
	})
	if cfg.BaseEndpoint == nil {
		d.LogLink = logLink(o.Deployment)
	}
	return d, nil
}

// Endpoint returns the configuration of a place where all services answer at one address.
func Endpoint(url, region, accessKeyID, secretAccessKey string) aws.Config {
	return aws.Config{
		Region: region, BaseEndpoint: aws.String(url), Credentials: credentials.NewStaticCredentialsProvider(accessKeyID, secretAccessKey, ""),
	}
}

// firstTime is how long each thing may take that is done first: Lambda gives ten seconds for all of a start.
const firstTime = 4 * time.Second

// Start runs one of the handlers as a Lambda function. What is wrong with its environment is said
// in one line, and the function does not start. Some do something first, each time that they start; where that fails, it is
// said, and left to the next start.
func Start(pick func(handler.Handlers) any, first ...func(*dispatch.Dispatcher, context.Context) error) {
	log := zerolog.New(os.Stderr).With().Timestamp().Logger()
	h, err := handlers(os.Getenv, log)
	if err != nil {
		log.Error().Err(err).Msg("function does not start")
		os.Exit(1)
	}
	for _, do := range first {
		ctx, cancel := context.WithTimeout(context.Background(), firstTime)
		if err := do(h.Dispatcher, ctx); err != nil {
			log.Error().Err(err).Msg("something is left to the next start")
		}
		cancel()
	}
	lambda.Start(pick(h))
}

func handlers(getenv func(string) string, log zerolog.Logger) (handler.Handlers, error) {
	o, c, err := fromEnvironment(getenv)
	if err != nil {
		return handler.Handlers{}, err
	}
	cfg := configuration(getenv)
	d, err := Wire(cfg, o, c, dynamodb.New(client.NewFromConfig(cfg), o.Table))
	if err != nil {
		return handler.Handlers{}, err
	}
	d.Notice = (&metrics{out: os.Stdout, deployment: o.Deployment, now: time.Now}).notice()
	return handler.Handlers{Dispatcher: d, Log: log}, nil
}
