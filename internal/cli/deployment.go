package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	client "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"modeldispatch/internal/catalog"
	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/local"
	"modeldispatch/internal/model"
	"modeldispatch/internal/operate"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/dynamodb"
	"modeldispatch/internal/store/sqlite"
	"modeldispatch/internal/wiring"
)

// deployment gives access to the runs of an environment, on this machine or in an AWS account.
type deployment interface {
	// store opens the store of runs and events. The caller closes it.
	store() (store.Store, error)
	// models returns the catalog that the deployment runs.
	models() (model.Catalog, error)
	// dispatcher returns a dispatcher that works on the deployment with this catalog, and its store. The caller closes the
	// store.
	dispatcher(model.Catalog) (*dispatch.Dispatcher, store.Store, error)
	// logName returns the name of the log of a run's attempt: a file, or a stream of CloudWatch Logs. It returns "" if
	// the attempt has no log.
	logName(r operate.Run, a operate.Attempt) string
	// copyLog writes the log with one of these names.
	copyLog(name string, to io.Writer) error
}

// deployment returns the deployment of the chosen environment. It returns an error if there is no such environment, or
// if its stack cannot be read.
func (s *session) deployment() (deployment, error) {
	folder, err := s.folder()
	if err != nil {
		return nil, err
	}
	if s.Environment == localEnvironment {
		return laptop{s, dataFolder(folder)}, nil
	}
	name, err := catalog.DeploymentName(folder, s.Environment)
	if err != nil {
		return nil, s.printProblems(err)
	}
	cfg, err := s.aws()
	if err != nil {
		return nil, err
	}
	o, err := readStack(s.ctx, cfg, s.Environment, name)
	return account{s, cfg, o}, err
}

// aws returns the AWS configuration of the user who runs the command. It returns an error if a Region or credentials
// are missing.
func (s *session) aws() (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(s.ctx)
	if err != nil {
		return cfg, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return cfg, errors.New("the AWS configuration has no Region: set AWS_REGION to the deployment's, or AWS_PROFILE to a profile with it")
	}
	if _, err := cfg.Credentials.Retrieve(s.ctx); err != nil {
		return cfg, fmt.Errorf("there are no AWS credentials: set AWS_PROFILE to a profile with credentials, or sign in: %w", err)
	}
	return cfg, nil
}

// store opens the store of the chosen environment, and returns it with the deployment. The caller closes it.
func (s *session) store() (deployment, store.Store, error) {
	d, err := s.deployment()
	if err != nil {
		return nil, nil, err
	}
	db, err := d.store()
	return d, db, err
}

// dispatcher returns a dispatcher for the chosen environment, and a function that closes its store. It first calls
// check with the deployed models, if check is not nil: an error in the command's arguments is more useful than one of
// a connection.
func (s *session) dispatcher(check func(model.Catalog) error) (*dispatch.Dispatcher, func(), error) {
	target, err := s.deployment()
	if err != nil {
		return nil, nil, err
	}
	c, err := target.models()
	if err == nil && check != nil {
		err = check(c)
	}
	if err != nil {
		return nil, nil, err
	}
	d, db, err := target.dispatcher(c)
	if err != nil {
		return nil, nil, err
	}
	return d, func() { _ = db.Close() }, nil
}

// laptop is the local stack of a project.
type laptop struct {
	*session
	data string // path of its data folder
}

func (l laptop) store() (store.Store, error) {
	file := filepath.Join(l.data, "store.db")
	if _, err := os.Stat(file); err != nil {
		return nil, fmt.Errorf("the data folder %s has no runs yet: start modeldispatch local first", l.data)
	}
	return sqlite.Open(l.ctx, file)
}

func (l laptop) models() (model.Catalog, error) {
	_, compiled, err := l.compile()
	return compiled, err
}

func (l laptop) dispatcher(c model.Catalog) (*dispatch.Dispatcher, store.Store, error) {
	address, err := local.Endpoint(l.ctx, l.data)
	if err != nil {
		return nil, nil, err
	}
	db, err := l.store()
	if err != nil {
		return nil, nil, err
	}
	d, err := local.Wire(address, c, db)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return d, db, nil
}

func (l laptop) logName(r operate.Run, a operate.Attempt) string {
	file := local.LogFile(l.data, r.Run, a.Attempt, r.Container)
	if _, err := os.Stat(file); err != nil {
		return ""
	}
	return file
}

func (l laptop) copyLog(file string, to io.Writer) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	_, err = io.Copy(to, f)
	return err
}

// account is a deployment in an AWS account.
type account struct {
	*session
	cfg     aws.Config
	options wiring.Options // names of its resources
}

// readStack reads the names of a deployment's resources from the outputs of its stack, and the network of its tasks
// from the parameters. It returns an error if there is no such stack, or if the stack lacks an output.
func readStack(ctx context.Context, cfg aws.Config, environment, name string) (wiring.Options, error) {
	answer, err := cloudformation.NewFromConfig(cfg).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	if err != nil {
		const text = "reading the outputs of stack %q in %s, the stack of environment %q: %w; make deploy ENV=%[3]s deploys it"
		return wiring.Options{}, fmt.Errorf(text, name, cfg.Region, environment, err)
	}
	stack := answer.Stacks[0]
	values := map[string]string{}
	for _, o := range stack.Outputs {
		values[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	var missing []string
	need := func(name string) string {
		if values[name] == "" {
			missing = append(missing, name)
		}
		return values[name]
	}
	o := wiring.Options{
		Deployment: need("Deployment"), Table: need("Table"), Bucket: need("StateBucket"), Bus: need("EventBus"),
		LaunchURL: need("LaunchQueueUrl"), WakeURL: need("WakeQueueUrl"), Placement: fargate.Placement{Cluster: need("Cluster")},
	}
	setNetwork(&o.Placement, stack.Parameters)
	if len(missing) > 0 {
		const text = "stack %q has no output %s: it was not created from template.yaml, or its deployment has not finished"
		return o, fmt.Errorf(text, name, strings.Join(missing, ", "))
	}
	return o, nil
}

// setNetwork sets the network of the tasks. The functions get it from the same parameters of the stack.
func setNetwork(p *fargate.Placement, parameters []types.Parameter) {
	for _, parameter := range parameters {
		switch value := aws.ToString(parameter.ParameterValue); aws.ToString(parameter.ParameterKey) {
		case "Subnets":
			p.Subnets = strings.Split(value, ",")
		case "SecurityGroups":
			if value != "" {
				p.SecurityGroups = strings.Split(value, ",")
			}
		case "AssignPublicIp":
			p.AssignPublicIP = value == "ENABLED"
		}
	}
}

func (a account) store() (store.Store, error) {
	return dynamodb.New(client.NewFromConfig(a.cfg), a.options.Table), nil
}

func (a account) models() (model.Catalog, error) {
	c, err := a.catalog()
	if err == nil {
		a.warnIfDifferent(c)
	}
	return c, err
}

func (a account) dispatcher(c model.Catalog) (*dispatch.Dispatcher, store.Store, error) {
	db, err := a.store()
	if err != nil {
		return nil, nil, err
	}
	d, err := wiring.Wire(a.cfg, a.options, c, db)
	return d, db, err
}

// catalog reads the deployed catalog. Each instance of the sweep function writes it to the state bucket when it starts.
func (a account) catalog() (model.Catalog, error) {
	var c model.Catalog
	uri := dispatch.CatalogURI(a.options.Bucket)
	out, err := s3.NewFromConfig(a.cfg, pathStyle).GetObject(a.ctx, &s3.GetObjectInput{Bucket: &uri.Bucket, Key: &uri.Key})
	if status := (*awshttp.ResponseError)(nil); errors.As(err, &status) && status.HTTPStatusCode() == http.StatusNotFound {
		return c, fmt.Errorf("%s does not exist yet: the sweep writes it within two minutes of a deployment", uri)
	}
	if err != nil {
		return c, fmt.Errorf("reading the deployed catalog %s: %w", uri, err)
	}
	defer func() { _ = out.Body.Close() }()
	compiled, err := io.ReadAll(out.Body)
	if err == nil {
		c, err = model.ReadCatalog(compiled, a.options.Deployment)
	}
	if err != nil {
		return c, fmt.Errorf("reading the deployed catalog %s: %w", uri, err)
	}
	return c, nil
}

// warnIfDifferent prints a warning if the models in the project's folder differ from the deployed ones, or have errors.
func (a account) warnIfDifferent(deployed model.Catalog) {
	folder, err := a.folder()
	if err != nil {
		return
	}
	current, _, err := catalog.Compile(folder, catalog.Options{Environment: a.Environment})
	switch {
	case err != nil:
		const text = "warning: the models in this project have errors (modeldispatch check -e %s lists them); the deployed models are used\n"
		a.warnf(text, a.Environment)
	case current.Version != deployed.Version:
		const text = "warning: the models in this project (version %s) differ from those deployed to %s (version %s); " +
			"the deployed models are used; make deploy ENV=%[2]s deploys yours\n"
		a.warnf(text, current.Version, a.Environment, deployed.Version)
	}
}

func (account) logName(r operate.Run, a operate.Attempt) string {
	if a.Task == "" {
		return ""
	}
	return wiring.LogStream(r.Model, r.Container, a.Task)
}

func (a account) copyLog(stream string, to io.Writer) error {
	group := wiring.LogGroup(a.options.Deployment)
	pages := cloudwatchlogs.NewGetLogEventsPaginator(cloudwatchlogs.NewFromConfig(a.cfg), &cloudwatchlogs.GetLogEventsInput{
		LogGroupName: &group, LogStreamName: &stream, StartFromHead: aws.Bool(true),
	}, func(o *cloudwatchlogs.GetLogEventsPaginatorOptions) { o.StopOnDuplicateToken = true }) // CloudWatch marks the end of a stream so
	for pages.HasMorePages() {
		page, err := pages.NextPage(a.ctx)
		if err != nil {
			return fmt.Errorf("reading stream %s of log group %s: %w", stream, group, err)
		}
		for _, e := range page.Events {
			if _, err := fmt.Fprintln(to, strings.TrimRight(aws.ToString(e.Message), "\n")); err != nil {
				return err
			}
		}
	}
	return nil
}
