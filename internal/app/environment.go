package app

import (
	"context"
	"fmt"
	"math"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"modeldispatch/internal/fargate"
	"modeldispatch/internal/model"
)

// environment is the variables of a function, and what is wrong with them.
type environment struct {
	get             func(string) string
	missing, broken []string
}

// fromEnvironment reads Options and the catalog, and says of all variables at once, in one line, which are missing or broken.
func fromEnvironment(getenv func(string) string) (Options, model.Catalog, error) {
	e := &environment{get: getenv}
	o := Options{
		Deployment: e.like("DEPLOYMENT", deploymentForm, "a name of at most 40 small letters, digits and -, such as modeldispatch, is expected"),
		Table:      e.need("TABLE"), LaunchURL: e.url("LAUNCH_QUEUE_URL"), WakeURL: e.url("WAKE_QUEUE_URL"),
		Bucket: e.need("STATE_BUCKET"), Bus: e.need("EVENT_BUS"),
		Placement: fargate.Placement{
			Cluster: e.like("CLUSTER", clusterForm, "the name or the ARN of an ECS cluster is expected"), Subnets: e.list("SUBNETS", e.need("SUBNETS")),
			SecurityGroups: e.list("SECURITY_GROUPS", e.get("SECURITY_GROUPS")), AssignPublicIP: e.assignPublicIP(),
		},
		Rate: e.rate(), Retention: e.retention(),
	}
	for _, name := range []string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		e.need(name)
	}
	c := e.catalog()
	return o, c, e.err()
}

func (e *environment) err() error {
	wrong := e.broken
	if len(e.missing) > 0 {
		wrong = append([]string{"it lacks " + strings.Join(e.missing, ", ")}, wrong...)
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("the function's environment is wrong: %s", strings.Join(wrong, "; "))
}

// wrong notes that a variable has a value that it cannot have.
func (e *environment) wrong(name, expected string) {
	e.broken = append(e.broken, fmt.Sprintf("%s is %q, and %s", name, e.get(name), expected))
}

func (e *environment) need(name string) string {
	value := e.get(name)
	if value == "" {
		e.missing = append(e.missing, name)
	}
	return value
}

var (
	deploymentForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)
	clusterForm    = regexp.MustCompile(`^(arn:[a-z-]+:ecs:[a-z0-9-]+:[0-9]{12}:cluster/)?[A-Za-z0-9_-]{1,255}$`)
)

func (e *environment) like(name string, form *regexp.Regexp, expected string) string {
	value := e.need(name)
	if value != "" && !form.MatchString(value) {
		e.wrong(name, expected)
	}
	return value
}

func (e *environment) url(name string) string {
	value := e.need(name)
	if at, err := url.Parse(value); value != "" && (err != nil || at.Host == "" || at.Scheme != "https" && at.Scheme != "http") {
		e.wrong(name, "the URL of a queue is expected")
	}
	return value
}

// list is the items of a variable's value, with commas between them; none of an empty one.
func (e *environment) list(name, value string) []string {
	if value == "" {
		return nil
	}
	items := strings.Split(value, ",")
	if slices.Contains(items, "") {
		e.wrong(name, "an id between each two commas is expected")
	}
	return items
}

func (e *environment) assignPublicIP() bool {
	const name = "ASSIGN_PUBLIC_IP"
	switch e.get(name) {
	case "ENABLED":
		return true
	case "DISABLED", "":
	default:
		e.wrong(name, "ENABLED or DISABLED is expected")
	}
	return false
}

func (e *environment) rate() float64 {
	const name = "RUN_TASK_RATE"
	if e.get(name) == "" {
		return 0
	}
	rate, err := strconv.ParseFloat(e.get(name), 64)
	if err != nil || math.IsNaN(rate) || math.IsInf(rate, 0) || rate <= 0 {
		e.wrong(name, "calls a second are expected, such as 19.5")
	}
	return rate
}

// Events are kept for so many days at least: that long duplicates are recognised. More than a century is a mistake.
const minRetention, maxRetention = 30, 36500

func (e *environment) retention() time.Duration {
	const name, day = "RETENTION", 24 * time.Hour
	text := e.need(name)
	days, err := strconv.Atoi(text)
	if text != "" && (err != nil || days < minRetention || days > maxRetention) {
		e.wrong(name, fmt.Sprintf("days are expected, %d to %d", minRetention, maxRetention))
	}
	return time.Duration(days) * day
}

// catalog reads the compiled catalog, which is a layer of the functions.
func (e *environment) catalog() model.Catalog {
	const name = "CATALOG"
	file := e.need(name)
	if file == "" {
		return model.Catalog{}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		e.wrong(name, fmt.Sprintf("the compiled catalog cannot be read there: %v", err))
		return model.Catalog{}
	}
	c, err := model.ReadCatalog(text, e.get("DEPLOYMENT"))
	if err != nil {
		e.wrong(name, fmt.Sprintf("that file is no compiled catalog: %v", err))
	}
	return c
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
