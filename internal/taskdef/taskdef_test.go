package taskdef_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"modeldispatch/internal/taskdef"
	"modeldispatch/internal/yamldoc"
)

var update = flag.Bool("update", false, "write the golden files")

// forecast returns how the model forecast uses its task definition. The problems with it go to the report.
func forecast(t testing.TB, r *yamldoc.Report) taskdef.Use {
	t.Helper()
	use := taskdef.Use{Family: "team-forecast", Fargate: true}
	file := &yamldoc.Document{Report: r, File: "models/forecast/model.yaml", Model: "forecast"}
	root, ok := file.Parse([]byte("name: forecast\ntask: { definition: task-definition.json }"))
	root.Fields("a model", yamldoc.Readers{
		"name": func(yamldoc.Member) {},
		"task": func(m yamldoc.Member) {
			m.Fields("task", yamldoc.Readers{"definition": func(m yamldoc.Member) { use.At = m.Value }})
		},
	})
	if _, known := use.At.Text("definition"); !ok || !known {
		t.Fatal("the model has no definition")
	}
	return use
}

// parse parses the task definition of the model forecast.
func parse(r *yamldoc.Report, text string) (yamldoc.Value, bool) {
	file := &yamldoc.Document{Report: r, File: "models/forecast/task-definition.json", Model: "forecast", JSON: true}
	return file.Parse([]byte(text))
}

// check checks a task definition for a changed use by the model forecast. It returns the problems, one on each line.
func check(t *testing.T, text string, change func(*taskdef.Use)) (taskdef.Definition, string) {
	t.Helper()
	r := &yamldoc.Report{}
	use := forecast(t, r)
	if change != nil {
		change(&use)
	}
	var d taskdef.Definition
	if root, ok := parse(r, text); ok {
		d, _ = taskdef.Check(root, use)
	}
	warnings, errors := r.Split()
	return d, yamldoc.Problems(append(warnings, errors...)).Error()
}

// TestBadDefinitions checks one bad task definition for each rule, and compares the problems with the golden file.
func TestBadDefinitions(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/bad/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("found no bad definitions: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, problems := check(t, string(text), nil)
			if problems == "" {
				t.Error("the definition has no problems")
			}
			golden := strings.TrimSuffix(file, ".json") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(problems+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want, err := os.ReadFile(golden); err != nil || problems+"\n" != string(want) {
				t.Errorf("got\n%s\nwant (%v)\n%s", problems, err, want)
			}
		})
	}
}

// two is a valid task definition with two containers. Its size is written in vCPU and GB.
const two = `{
	"family": "other", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "0.5 vCPU", "memory": "2GB",
	"executionRoleArn": "arn:aws:iam::111122223333:role/execution", "volumes": [], "pidMode": null,
	"containerDefinitions": [
		{"name": "model", "image": "model:1", "entryPoint": ["/bin/model"], "command": ["all"], "workingDirectory": "/work", "links": [],
			"logConfiguration": {"logDriver": "splunk"}},
		{"name": "proxy", "image": "proxy:1", "essential": false, "logConfiguration": {"logDriver": "splunk"}}
	]
}`

// TestUse checks how the fields of model.yaml change the registered definition, and which problems they cause.
func TestUse(t *testing.T) {
	t.Parallel()
	const whole = `{"command":["all"],"entryPoint":["/bin/model"],"image":"model:1","logConfiguration":{"logDriver":"splunk"},` +
		`"name":"model","workingDirectory":"/work"}`
	const at = `models/forecast/model.yaml:2:21: model "forecast": `
	for name, test := range map[string]struct {
		change    func(*taskdef.Use)
		container string // the container that runs the model
		model     string // the registered container of the name model
		problems  string
	}{
		"nothing":   {func(*taskdef.Use) {}, "model", whole, ""},
		"container": {func(u *taskdef.Use) { u.Container = "proxy" }, "proxy", whole, ""},
		"bad container": {func(u *taskdef.Use) { u.Container = "modl" }, "modl", whole, at + `task.container is "modl", but the task ` +
			`definition has no such container; did you mean "model"?`},
		"image": {func(u *taskdef.Use) { u.Image = "new:2" }, "model", strings.Replace(whole, "model:1", "new:2", 1), ""},
		"command": {func(u *taskdef.Use) { u.Command = []string{"sh", "run.sh"} }, "model",
			`{"command":["sh","run.sh"],"image":"model:1","logConfiguration":{"logDriver":"splunk"},"name":"model"}`, ""},
		"no command": {func(u *taskdef.Use) { u.Command = []string{} }, "model",
			`{"image":"model:1","logConfiguration":{"logDriver":"splunk"},"name":"model"}`, ""},
	} {
		d, problems := check(t, two, test.change)
		var registered struct {
			Family, CPU, Memory  string
			ContainerDefinitions []json.RawMessage
		}
		if err := json.Unmarshal(d.JSON, &registered); err != nil {
			t.Fatal(err)
		}
		if d.Container != test.container || string(registered.ContainerDefinitions[0]) != test.model || problems != test.problems {
			t.Errorf("%s: container %s of\n%s\nwith the problems\n%s\nwant %s of\n%s\nwith\n%s",
				name, d.Container, d.JSON, problems, test.container, test.model, test.problems)
		}
		if registered.Family != "team-forecast" || registered.CPU != "512" || registered.Memory != "2048" || d.CPU != 512 || d.Memory != 2048 {
			t.Errorf("%s: %s with size %d and %d, want the family team-forecast with 512 and 2048", name, d.JSON, d.CPU, d.Memory)
		}
	}
}

// TestImageOfUseIsChecked checks that the lint sees the image that a task gets, and not the one in the file.
func TestImageOfUseIsChecked(t *testing.T) {
	t.Parallel()
	text := strings.Replace(two, `"executionRoleArn": "arn:aws:iam::111122223333:role/execution", `, "", 1)
	_, problems := check(t, text, func(u *taskdef.Use) { u.Image = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/model" })
	want := []string{
		`has no fixed tag, so each task may run a different version`, `executionRoleArn is missing: the task needs it to pull its image from ECR`,
	}
	for _, one := range want {
		if !strings.Contains(problems, one) {
			t.Errorf("the problems are\n%s\nwant %s", problems, one)
		}
	}
}

// TestOtherCapacity checks that the rules of Fargate do not apply to other capacity.
func TestOtherCapacity(t *testing.T) {
	t.Parallel()
	const text = `{"volumes": [{"name": "data", "host": {"sourcePath": "/data"}}], "memory": "700", "containerDefinitions": [
		{"name": "a", "image": "a:1", "links": ["b"], "privileged": true, "memory": 600, "logConfiguration": {"logDriver": "splunk"}},
		{"name": "b", "image": "b:1", "essential": false, "memory": 600, "logConfiguration": {"logDriver": "splunk"}}
	]}`
	if _, problems := check(t, text, func(u *taskdef.Use) { u.Fargate = false }); problems != "" {
		t.Errorf("on EC2 the problems are\n%s\nwant none", problems)
	}
	if _, problems := check(t, text, nil); strings.Count(problems, "\n") != 6 {
		t.Errorf("on Fargate the problems are\n%s\nwant 7", problems)
	}
}

// TestSize checks the forms in which ECS accepts the size of a task.
func TestSize(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		cpu, memory string
		want        [2]int
		problem     string // the end of the only problem
	}{
		{`256`, `512`, [2]int{256, 512}, ""},
		{`"1024"`, `"2048"`, [2]int{1024, 2048}, ""},
		{`".25 vCPU"`, `"0.5 GB"`, [2]int{256, 512}, ""},
		{`"1vcpu"`, `"2 gb"`, [2]int{1024, 2048}, ""},
		{`"300"`, `"512"`, [2]int{300, 512}, "Fargate does not offer 300 CPU units; use one of 256, 512, 1024, 2048, 4096, 8192, 16384"},
		{`"0.3 vCPU"`, `"512"`, [2]int{0, 512}, `cpu is "0.3 vCPU"; expected CPU units such as 256, or vCPUs such as "0.25 vCPU"`},
		{`"1 GB"`, `"512"`, [2]int{0, 512}, `cpu is "1 GB"; expected CPU units such as 256, or vCPUs such as "0.25 vCPU"`},
		{`256`, `"lots"`, [2]int{256, 0}, `memory is "lots"; expected MiB such as 512, or GB such as "0.5 GB"`},
		{`256`, `-512`, [2]int{256, 0}, `memory is "-512"; expected MiB such as 512, or GB such as "0.5 GB"`},
		{`256`, `null`, [2]int{256, 0}, `write "cpu": "256" and "memory": "512", or more, next to containerDefinitions`},
	} {
		text := strings.Replace(strings.Replace(two, `"0.5 vCPU"`, test.cpu, 1), `"2GB"`, test.memory, 1)
		d, problems := check(t, text, nil)
		got := [2]int{d.CPU, d.Memory}
		if got != test.want || !strings.HasSuffix(problems, test.problem) || test.problem == "" && problems != "" {
			t.Errorf("size %s and %s is %v with the problems\n%s\nwant %v with\n%s",
				test.cpu, test.memory, got, problems, test.want, test.problem)
		}
	}
}

// TestDescribed checks the registered form of a definition that aws ecs describe-task-definition has printed.
func TestDescribed(t *testing.T) {
	t.Parallel()
	plain, _ := check(t, two, nil)
	described := strings.Replace(two, `"family"`, `"taskDefinitionArn": "arn", "revision": 3, "status": "ACTIVE",
		"requiresAttributes": [{"name": "x"}], "compatibilities": ["FARGATE"], "registeredAt": 1.7e9, "registeredBy": "arn",
		"deregisteredAt": 1.7e9, "deleteRequestedAt": 1.7e9, "family"`, 1)
	for _, text := range []string{described, `{"taskDefinition": ` + described + `}`} {
		if d, problems := check(t, text, nil); string(d.JSON) != string(plain.JSON) || problems != "" {
			t.Errorf("the registered form is\n%s\nwith the problems %q, want\n%s", d.JSON, problems, plain.JSON)
		}
	}
	d, problems := check(t, `{"taskDefinition": `+described+`, "tags": [{"key": "team", "value": "x"}]}`, nil)
	if !strings.Contains(string(d.JSON), `"tags":[{"key":"team","value":"x"}]`) || problems != "" {
		t.Errorf("the registered form is\n%s\nwith the problems %q, want the tags", d.JSON, problems)
	}
}

// TestNoDefinition checks the problem with a file that holds no task definition at all.
func TestNoDefinition(t *testing.T) {
	t.Parallel()
	deep := `{"a": ` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `}`
	for text, want := range map[string]string{
		`[1]`: `must be a JSON object in the form that aws ecs register-task-definition reads, not a list`,
		deep:  `the value is nested more than 40 levels deep`,
	} {
		if d, problems := check(t, text, nil); d.JSON != nil || !strings.HasSuffix(problems, want) || strings.Contains(problems, "\n") {
			t.Errorf("%s gives %s with the problems\n%s\nwant\n%s", text, d.JSON, problems, want)
		}
	}
}

func TestCheckSize(t *testing.T) {
	t.Parallel()
	for size, want := range map[[2]int]string{
		{256, 512}: "",
		{300, 512}: "Fargate does not offer 300 CPU units; use one of 256, 512, 1024, 2048, 4096, 8192, 16384",
		{256, 700}: "Fargate does not offer 256 CPU units with 700 MiB; with this CPU, use one of 512, 1024, 2048 MiB",
		{1024, 1}:  "Fargate does not offer 1024 CPU units with 1 MiB; with this CPU, use one of 2048, 3072, …, 8192 MiB",
	} {
		r := &yamldoc.Report{}
		taskdef.CheckSize(forecast(t, r).At, size[0], size[1])
		_, errors := r.Split()
		if _, got, _ := strings.Cut(errors.Error(), `model "forecast": `); got != want {
			t.Errorf("CheckSize(%v) reports %q, want %q", size, got, want)
		}
	}
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"Model_1-a": true, strings.Repeat("a", 255): true, strings.Repeat("a", 256): false, "": false, "a.b": false, "ä": false,
	} {
		if err := taskdef.CheckName(name); (err == nil) != want {
			t.Errorf("CheckName(%q) = %v, want accepted: %t", name, err, want)
		}
	}
}

// TestProperties checks the names that CloudFormation has for the fields of a task definition.
func TestProperties(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ definition, want string }{
		{`{"cpu": 256, "memory": "2 GB"}`, `{"Cpu":"256","Memory":"2048"}`},
		{`{"revision": 1, "status": "ACTIVE", "volumes": [], "pidMode": null}`, `{}`},
		{`{"containerDefinitions": [{"status": 1, "cpu": 1}]}`, `{"ContainerDefinitions":[{"Cpu":1,"Status":1}]}`},
		{
			`{"containerDefinitions": [{"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "x"}}}]}`,
			`{"ContainerDefinitions":[{"LogConfiguration":{"LogDriver":"awslogs","Options":{"awslogs-group":"x"}}}]}`,
		},
		{`{"containerDefinitions": [{"dockerLabels": {"a": "b"}}]}`, `{"ContainerDefinitions":[{"DockerLabels":{"a":"b"}}]}`},
		{
			`{"volumes": [{"efsVolumeConfiguration": {"fileSystemId": "fs", "authorizationConfig": {"iam": "ENABLED"}}}]}`,
			`{"Volumes":[{"EFSVolumeConfiguration":{"AuthorizationConfig":{"IAM":"ENABLED"},"FilesystemId":"fs"}}]}`,
		},
		{
			`{"volumes": [{"fsxWindowsFileServerVolumeConfiguration": {"fileSystemId": "fs"}}]}`,
			`{"Volumes":[{"FSxWindowsFileServerVolumeConfiguration":{"FileSystemId":"fs"}}]}`,
		},
		{
			`{"volumes": [{"dockerVolumeConfiguration": {"driverOpts": {"a": "b"}, "labels": {"c": "d"}}}]}`,
			`{"Volumes":[{"DockerVolumeConfiguration":{"DriverOpts":{"a":"b"},"Labels":{"c":"d"}}}]}`,
		},
		{
			`{"proxyConfiguration": {"properties": [{"name": "a", "value": "b"}]}}`,
			`{"ProxyConfiguration":{"ProxyConfigurationProperties":[{"Name":"a","Value":"b"}]}}`,
		},
	} {
		var decoded map[string]any
		if err := json.Unmarshal([]byte(test.definition), &decoded); err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(taskdef.Properties(decoded))
		if err != nil || string(got) != test.want {
			t.Errorf("Properties of %s = %s, %v, want %s", test.definition, got, err, test.want)
		}
	}
}

// FuzzCheck checks that Check accepts or rejects any JSON without a panic, and rejects it with an error only.
func FuzzCheck(f *testing.F) {
	var files []string
	for _, pattern := range []string{"../../models/*/task-definition.json", "testdata/bad/*.json"} {
		some, err := filepath.Glob(pattern)
		if err != nil || len(some) == 0 {
			f.Fatalf("%s matches no files: %v", pattern, err)
		}
		files = slices.Concat(files, some)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := &yamldoc.Report{}
		use := forecast(t, r)
		root, ok := parse(r, text)
		var d taskdef.Definition
		if ok {
			d, ok = taskdef.Check(root, use)
		}
		_, problems := r.Split()
		if !ok && len(problems) == 0 || ok && !json.Valid(d.JSON) {
			t.Fatalf("Check = %s, %t with the errors %v", d.JSON, ok, problems)
		}
	})
}
