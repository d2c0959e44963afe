package wiring

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
	"modeldispatch/internal/records"
)

// environment reads the environment variables of a function, and collects the problems with them.
type environment struct {
	get     func(string) string
	missing []string // the names of required variables without a value
	broken  []string // one message for each variable with an invalid value
}

// fromEnvironment reads Options and the catalog. Its error names all missing and broken variables in one line.
func fromEnvironment(getenv func(string) string) (Options, model.Catalog, error) {
	e := &environment{get: getenv}
	o := Options{
		Deployment: e.matching("DEPLOYMENT", deploymentForm, deploymentWanted),
		Table:      e.need("TABLE"),
		LaunchURL:  e.url("LAUNCH_QUEUE_URL"),
		WakeURL:    e.url("WAKE_QUEUE_URL"),
		Bucket:     e.need("STATE_BUCKET"),
		Bus:        e.need("EVENT_BUS"),
		Placement: fargate.Placement{
			Cluster:        e.matching("CLUSTER", clusterForm, "the name or the ARN of an ECS cluster"),
			Subnets:        e.list("SUBNETS", e.need("SUBNETS")),
			SecurityGroups: e.list("SECURITY_GROUPS", e.get("SECURITY_GROUPS")),
			AssignPublicIP: e.assignPublicIP(),
		},
		Rate:      e.rate(),
		Retention: e.retention(),
	}
	for _, name := range []string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		e.need(name)
	}
	c := e.catalog()
	return o, c, e.err()
}

// err returns one error for all missing and broken variables, or nil if there are none.
func (e *environment) err() error {
	wrong := e.broken
	if len(e.missing) > 0 {
		wrong = append([]string{"missing " + strings.Join(e.missing, ", ")}, wrong...)
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("the function's environment is wrong: %s", strings.Join(wrong, "; "))
}

// wrong notes that the value of a variable is invalid. wanted describes a valid value.
func (e *environment) wrong(name, wanted string) {
	e.broken = append(e.broken, fmt.Sprintf("%s is %q, want %s", name, e.get(name), wanted))
}

// need returns the value of a required variable. It notes a missing variable.
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

const deploymentWanted = "1 to 40 lowercase letters, digits and hyphens that start with a letter, such as modeldispatch"

// matching returns the value of a required variable that must match a form.
func (e *environment) matching(name string, form *regexp.Regexp, wanted string) string {
	value := e.need(name)
	if value != "" && !form.MatchString(value) {
		e.wrong(name, wanted)
	}
	return value
}

// url returns the value of a required variable that must be a URL.
func (e *environment) url(name string) string {
	value := e.need(name)
	if at, err := url.Parse(value); value != "" && (err != nil || at.Host == "" || at.Scheme != "https" && at.Scheme != "http") {
		e.wrong(name, "the URL of an SQS queue")
	}
	return value
}

// list returns the items of a comma-separated value, or nil if the value is empty.
func (e *environment) list(name, value string) []string {
	if value == "" {
		return nil
	}
	items := strings.Split(value, ",")
	if slices.Contains(items, "") {
		e.wrong(name, "ids with one comma between them")
	}
	return items
}

// assignPublicIP reads whether tasks get a public IP address. The default is false.
func (e *environment) assignPublicIP() bool {
	const name = "ASSIGN_PUBLIC_IP"
	switch e.get(name) {
	case "ENABLED":
		return true
	case "DISABLED", "":
	default:
		e.wrong(name, "ENABLED or DISABLED")
	}
	return false
}

// rate reads the number of RunTask calls a second. It returns 0 if the variable is not set.
func (e *environment) rate() float64 {
	const name = "RUN_TASK_RATE"
	if e.get(name) == "" {
		return 0
	}
	rate, err := strconv.ParseFloat(e.get(name), 64)
	if err != nil || math.IsNaN(rate) || math.IsInf(rate, 0) || rate <= 0 {
		e.wrong(name, "a positive number of calls a second, such as 19.5")
	}
	return rate
}

// The shortest and the longest retention, in days. A duplicate of an event is recognized only while the record of the
// event is kept. More than a century is a mistake.
const minRetention, maxRetention = 30, 36500

// retention reads the number of days for which documents are kept.
func (e *environment) retention() records.Retention {
	const name, day = "RETENTION", 24 * time.Hour
	text := e.need(name)
	days, err := strconv.Atoi(text)
	if text != "" && (err != nil || days < minRetention || days > maxRetention) {
		e.wrong(name, fmt.Sprintf("a number of days from %d to %d", minRetention, maxRetention))
	}
	return records.Retention(time.Duration(days) * day)
}

// catalog reads the compiled catalog, which is in a Lambda layer that all functions share.
func (e *environment) catalog() model.Catalog {
	const name = "CATALOG"
	file := e.need(name)
	if file == "" {
		return model.Catalog{}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		e.wrong(name, fmt.Sprintf("a file that can be read: %v", err))
		return model.Catalog{}
	}
	c, err := model.ReadCatalog(text, e.get("DEPLOYMENT"))
	if err != nil {
		e.wrong(name, fmt.Sprintf("the file of a compiled catalog: %v", err))
	}
	return c
}

// configuration returns the AWS configuration of a function. Lambda sets the Region and the credentials in environment
// variables. The SDK's config package would look in other places, too, and make a function one seventh larger. As in
// every SDK, AWS_ENDPOINT_URL changes the URL of all services, and AWS_ENDPOINT_URL_SQS, for example, the URL of one.
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
func configuration(getenv func(string) string) aws.Config {
	key, secret, token := getenv("AWS_ACCESS_KEY_ID"), getenv("AWS_SECRET_ACCESS_KEY"), getenv("AWS_SESSION_TOKEN")
	cfg := aws.Config{
		Region:        getenv("AWS_REGION"),
		Credentials:   credentials.NewStaticCredentialsProvider(key, secret, token),
		ConfigSources: []any{endpoints(getenv)},
	}
	if all := getenv("AWS_ENDPOINT_URL"); all != "" {
		cfg.BaseEndpoint = &all
	}
	return cfg
}

// endpoints returns the value of an environment variable. The SDK takes it as a source of the URLs of single services.
type endpoints func(string) string

// GetServiceBaseEndpoint returns the URL of a service, and false if the environment names none. Each client of the SDK
// calls it.
func (e endpoints) GetServiceBaseEndpoint(_ context.Context, service string) (string, bool, error) {
	address := e("AWS_ENDPOINT_URL_" + strings.ToUpper(strings.ReplaceAll(service, " ", "_")))
	return address, address != "", nil
}
