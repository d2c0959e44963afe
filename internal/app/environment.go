package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"modeldispatch/internal/fargate"
	"modeldispatch/internal/model"
)

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
	for _, name := range []string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		need(name)
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

// configuration is the AWS configuration of a function: Lambda gives it its region and credentials in its environment, so
// none of the other places is looked into that the SDK's config package knows (it would make a function a seventh larger).
// Services are at other addresses where AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_SQS, and so on, say so, as in any SDK.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
func configuration(getenv func(string) string) aws.Config {
	cfg := aws.Config{
		Region:        getenv("AWS_REGION"),
		Credentials:   credentials.NewStaticCredentialsProvider(getenv("AWS_ACCESS_KEY_ID"), getenv("AWS_SECRET_ACCESS_KEY"), getenv("AWS_SESSION_TOKEN")),
		ConfigSources: []any{endpoints(getenv)},
	}
	if all := getenv("AWS_ENDPOINT_URL"); all != "" {
		cfg.BaseEndpoint = &all
	}
	return cfg
}

// endpoints are the addresses of services that the environment names.
type endpoints func(string) string

// GetServiceBaseEndpoint is asked by each service's client.
func (e endpoints) GetServiceBaseEndpoint(_ context.Context, service string) (string, bool, error) {
	address := e("AWS_ENDPOINT_URL_" + strings.ToUpper(strings.ReplaceAll(service, " ", "_")))
	return address, address != "", nil
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
