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
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	client "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"modeldispatch/internal/app"
	"modeldispatch/internal/catalog"
	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/local"
	"modeldispatch/internal/model"
	"modeldispatch/internal/store"
	"modeldispatch/internal/store/dynamodb"
	"modeldispatch/internal/store/sqlite"
)

// deployment is where the runs of an environment are: on this machine, or in an account.
type deployment interface {
	// store opens the record of runs and events.
	store() (store.Store, error)
	// models are those that it runs.
	models() (model.Catalog, error)
	// dispatcher is what does something about runs of these models.
	dispatcher(model.Catalog) (*dispatch.Dispatcher, error)
	// logs says where the logs of a run's attempts are, oldest first.
	logs(x shown) []string
	// log copies one of them.
	log(where string, to io.Writer) error
}

// deployment finds the deployment of the chosen environment.
func (s *session) deployment() (deployment, error) {
	folder, err := s.folder()
	if err != nil {
		return nil, err
	}
	if s.Environment == localEnvironment {
		return laptop{s, dataFolder(folder)}, nil
	}
	name, err := catalog.Stack(folder, s.Environment)
	if err != nil {
		return nil, s.problems(err)
	}
	cfg, err := s.aws()
	if err != nil {
		return nil, err
	}
	o, err := stackOutputs(s.ctx, cfg, s.Environment, name)
	return account{s, cfg, o}, err
}

// aws is the AWS configuration of whoever runs the command.
func (s *session) aws() (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(s.ctx)
	if err != nil {
		return cfg, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return cfg, errors.New("the AWS configuration names no Region: set AWS_REGION to the deployment's, or AWS_PROFILE to a profile that has it")
	}
	if _, err := cfg.Credentials.Retrieve(s.ctx); err != nil {
		return cfg, fmt.Errorf("there are no AWS credentials: set AWS_PROFILE to a profile that has them, or sign in: %w", err)
	}
	return cfg, nil
}

// store opens the record of runs and events of the chosen environment.
func (s *session) store() (deployment, store.Store, error) {
	d, err := s.deployment()
	if err != nil {
		return nil, nil, err
	}
	db, err := d.store()
	return d, db, err
}

// dispatcher reaches the chosen environment's deployment, once the models there are what the command needs: what is wrong
// with its arguments is said first.
func (s *session) dispatcher(check func(model.Catalog) error) (*dispatch.Dispatcher, func(), error) {
	where, err := s.deployment()
	if err != nil {
		return nil, nil, err
	}
	c, err := where.models()
	if err == nil && check != nil {
		err = check(c)
	}
	if err != nil {
		return nil, nil, err
	}
	d, err := where.dispatcher(c)
	if err != nil {
		return nil, nil, err
	}
	return d, func() { _ = d.Store.Close() }, nil
}

// laptop is the local stack of a project.
type laptop struct {
	*session
	data string // its folder
}

func (l laptop) store() (store.Store, error) {
	file := filepath.Join(l.data, "store.db")
	if _, err := os.Stat(file); err != nil {
		return nil, fmt.Errorf("there is no record of runs in %s yet: start modeldispatch local first", l.data)
	}
	return sqlite.Open(l.ctx, file)
}

func (l laptop) models() (model.Catalog, error) {
	_, compiled, err := l.compile()
	return compiled, err
}

func (l laptop) dispatcher(c model.Catalog) (*dispatch.Dispatcher, error) {
	address, err := local.Endpoint(l.ctx, l.data)
	if err != nil {
		return nil, err
	}
	db, err := l.store()
	if err != nil {
		return nil, err
	}
	d, err := local.Wire(address, c, db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return d, nil
}

func (l laptop) logs(x shown) []string {
	var all []string
	for _, a := range x.Attempts {
		file := local.LogFile(l.data, x.Run.ID, a.Number, x.Spec.Task.Container)
		if _, err := os.Stat(file); err == nil {
			all = append(all, file)
		}
	}
	return all
}

func (l laptop) log(file string, to io.Writer) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	_, err = io.Copy(to, f)
	return err
}

// account is a deployment in AWS, whose stack says where things are.
type account struct {
	*session
	cfg     aws.Config
	options app.Options
}

// stackOutputs reads where things are from the outputs of a deployment's stack.
func stackOutputs(ctx context.Context, cfg aws.Config, environment, stack string) (app.Options, error) {
	said, err := cloudformation.NewFromConfig(cfg).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &stack})
	if err != nil {
		return app.Options{}, fmt.Errorf("reading the outputs of stack %q in %s, where environment %q is: %w; make deploy ENV=%[3]s deploys it", stack, cfg.Region, environment, err)
	}
	values := map[string]string{}
	for _, o := range said.Stacks[0].Outputs {
		values[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	var missing []string
	need := func(name string) string {
		if values[name] == "" {
			missing = append(missing, name)
		}
		return values[name]
	}
	o := app.Options{
		Deployment: need("Deployment"), Table: need("Table"), Bucket: need("StateBucket"), Bus: need("EventBus"),
		LaunchURL: need("LaunchQueueUrl"), WakeURL: need("WakeQueueUrl"), Placement: fargate.Placement{Cluster: need("Cluster")},
	}
	for _, p := range said.Stacks[0].Parameters { // the network of the tasks, which the functions have from there, too
		switch value := aws.ToString(p.ParameterValue); aws.ToString(p.ParameterKey) {
		case "Subnets":
			o.Placement.Subnets = strings.Split(value, ",")
		case "SecurityGroups":
			if value != "" {
				o.Placement.SecurityGroups = strings.Split(value, ",")
			}
		case "AssignPublicIp":
			o.Placement.AssignPublicIP = value == "ENABLED"
		}
	}
	if len(missing) > 0 {
		return o, fmt.Errorf("stack %q has no output %s: it is not one of template.yaml, or its deployment has not ended", stack, strings.Join(missing, ", "))
	}
	return o, nil
}

func (a account) store() (store.Store, error) {
	return dynamodb.New(client.NewFromConfig(a.cfg), a.options.Table), nil
}

func (a account) models() (model.Catalog, error) {
	c, err := a.catalog()
	if err == nil {
		a.compare(c)
	}
	return c, err
}

func (a account) dispatcher(c model.Catalog) (*dispatch.Dispatcher, error) {
	db, err := a.store()
	if err != nil {
		return nil, err
	}
	return app.Wire(a.cfg, a.options, c, db)
}

// catalog reads the copy that the functions keep of the catalog that they run with.
func (a account) catalog() (model.Catalog, error) {
	var c model.Catalog
	where := dispatch.CatalogURI(a.options.Bucket)
	bucket, key, err := model.SplitS3(where)
	if err != nil {
		return c, err
	}
	out, err := s3.NewFromConfig(a.cfg, pathStyle).GetObject(a.ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if status := (*awshttp.ResponseError)(nil); errors.As(err, &status) && status.HTTPStatusCode() == http.StatusNotFound {
		return c, fmt.Errorf("%s is not there yet: the sweep lays it there within a minute or two of a deployment", where)
	}
	if err != nil {
		return c, fmt.Errorf("reading the deployed catalog %s: %w", where, err)
	}
	defer func() { _ = out.Body.Close() }()
	compiled, err := io.ReadAll(out.Body)
	if err == nil {
		c, err = model.ReadCatalog(compiled, a.options.Deployment)
	}
	if err != nil {
		return c, fmt.Errorf("reading the deployed catalog %s: %w", where, err)
	}
	return c, nil
}

// compare warns when the models here are not those that are deployed. What is done is done with the deployed ones.
func (a account) compare(deployed model.Catalog) {
	folder, err := a.folder()
	if err != nil {
		return
	}
	here, _, err := catalog.Compile(folder, catalog.Options{Environment: a.Environment})
	switch {
	case err != nil:
		a.warnf("warning: the models here have errors, which modeldispatch check -e %s lists; the deployed ones are used\n", a.Environment)
	case here.Version != deployed.Version:
		a.warnf("warning: the models here (version %s) are not those deployed to %s (version %s), which are used; make deploy ENV=%[2]s deploys them\n", here.Version, a.Environment, deployed.Version)
	}
}

func (a account) logs(x shown) []string {
	var all []string
	for _, attempt := range x.Attempts {
		task := attempt.Task
		if task == "" && attempt.Number == x.Run.Attempt { // it has not ended
			task = x.Run.Task.ARN
		}
		if task != "" {
			all = append(all, app.LogStream(x.Run.Model, x.Spec.Task.Container, task))
		}
	}
	return all
}

func (a account) log(stream string, to io.Writer) error {
	group := app.LogGroup(a.options.Deployment)
	pages := cloudwatchlogs.NewGetLogEventsPaginator(cloudwatchlogs.NewFromConfig(a.cfg), &cloudwatchlogs.GetLogEventsInput{
		LogGroupName: &group, LogStreamName: &stream, StartFromHead: aws.Bool(true),
	}, func(o *cloudwatchlogs.GetLogEventsPaginatorOptions) { o.StopOnDuplicateToken = true }) // CloudWatch's sign of the end
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
