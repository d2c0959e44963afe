package local_test

import (
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// TestHostileNamesStayInDataFolder sends names that look like paths, in each kind of request that creates files by a
// name.
func TestHostileNamesStayInDataFolder(t *testing.T) {
	t.Parallel()
	dir := project(t, never)
	s := start(t, dir)
	before := paths(t, dir)
	for _, name := range []string{"..", "../../outside", "a/../../../outside", "/outside", `..\outside`} {
		s.registerRefused(t, name, "model")
		s.registerRefused(t, "outside", name)
	}
	for _, run := range []string{"..", "../../outside", `..\outside`} {
		s.runRefused(t, "modeldispatch/"+run+"/1")
	}
	for _, path := range []string{
		"/..", "/%2e%2e", "/..%2f..%2foutside", "/%2e%2e%2foutside", "/.../", "/buckets%2foutside", `/..%5coutside`,
	} {
		s.bucketRefused(t, path)
	}
	if after := paths(t, dir); !slices.Equal(after, before) {
		t.Errorf("the project has the paths %q, want %q", after, before)
	}
}

// runRefused checks that RunTask refuses a startedBy.
func (s *testStack) runRefused(t *testing.T, startedBy string) {
	t.Helper()
	_, err := s.ecs.RunTask(t.Context(), &awsecs.RunTaskInput{
		Cluster: aws.String("modeldispatch"), TaskDefinition: aws.String("modeldispatch-absent"),
		LaunchType: types.LaunchTypeFargate, StartedBy: &startedBy,
		NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-local"}}},
	})
	if err == nil || !strings.Contains(err.Error(), "startedBy") {
		t.Errorf("RunTask with startedBy %q = %v, want an error", startedBy, err)
	}
}

// registerRefused checks that RegisterTaskDefinition refuses a family or a container name.
func (s *testStack) registerRefused(t *testing.T, family, container string) {
	t.Helper()
	_, err := s.ecs.RegisterTaskDefinition(t.Context(), &awsecs.RegisterTaskDefinitionInput{
		Family: &family, ContainerDefinitions: []types.ContainerDefinition{{Name: &container, Image: aws.String("i"), Command: []string{"true"}}},
	})
	if err == nil || !strings.Contains(err.Error(), "invalid characters") {
		t.Errorf("RegisterTaskDefinition of family %q, container %q = %v, want an error", family, container, err)
	}
}

// bucketRefused checks that S3 refuses to create a bucket. It sends the path without the escapes that an SDK would add.
func (s *testStack) bucketRefused(t *testing.T, path string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+s.Address().Credential.AccessKeyID+"/s3")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if _ = answer.Body.Close(); answer.StatusCode < http.StatusBadRequest {
		t.Errorf("PUT %s: %s, want an error", path, answer.Status)
	}
}

// paths returns all paths of a project, except the files that SQLite creates and removes beside its databases.
func paths(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(filepath.Dir(dir), func(path string, _ fs.DirEntry, err error) error {
		if !strings.Contains(path, ".db-") {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
