package ecs_test

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	client "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"

	"modeldispatch/internal/local/ecs"
)

// invalidNames are names that ECS refuses.
var invalidNames = []string{"..", "../x", "a/b", `a\b`, "a b", "a.b", "a:b", "ä", "a\n", "a\x00", strings.Repeat("a", 256)}

// longestName has the longest allowed length, 255 characters.
var longestName = strings.Repeat("a", 250) + "Z-_09"

func TestInvalidNamesAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t, "", ecs.Faults{})
	register := func(family, container, volume string) error {
		_, err := s.RegisterTaskDefinition(t.Context(), &client.RegisterTaskDefinitionInput{
			Family: &family, Volumes: []types.Volume{{Name: &volume}},
			ContainerDefinitions: []types.ContainerDefinition{{Name: &container, Image: aws.String("i")}},
		})
		return err
	}
	cluster := func(name string) error {
		_, err := s.CreateCluster(t.Context(), &client.CreateClusterInput{ClusterName: &name})
		return err
	}
	if err := errors.Join(register(longestName, longestName, longestName), cluster(longestName)); err != nil {
		t.Error(err)
	}
	if err := register("f", "", "v"); !isRefusal(err, "ClientException", "Container.name should not be null or empty.") {
		t.Errorf("a container without a name: error %v", err)
	}
	for _, name := range invalidNames {
		if err := register(name, "c", "v"); !isRefusal(err, "ClientException", "Family contains invalid characters") {
			t.Errorf("family %.20q: error %v", name, err)
		}
		if err := register("f", name, "v"); !isRefusal(err, "ClientException", "Container.name contains invalid characters.") {
			t.Errorf("container %.20q: error %v", name, err)
		}
		if err := register("f", "c", name); !isRefusal(err, "ClientException", "Volume.name contains invalid characters.") {
			t.Errorf("volume %.20q: error %v", name, err)
		}
		if err := cluster(name); !isRefusal(err, "InvalidParameterException", "clusterName must be") {
			t.Errorf("cluster %.20q: error %v", name, err)
		}
	}
	listed, err := s.ListTaskDefinitions(t.Context(), &client.ListTaskDefinitionsInput{})
	if err != nil || len(listed.TaskDefinitionArns) != 2 {
		t.Errorf("ListTaskDefinitions = %q, %v, want %s and the harness's own", listed.TaskDefinitionArns, err, longestName)
	}
}

// isRefusal reports whether err is an error of the API with the given code, and a message that begins with message.
func isRefusal(err error, code, message string) bool {
	var refusal smithy.APIError
	return errors.As(err, &refusal) && refusal.ErrorCode() == code && strings.HasPrefix(refusal.ErrorMessage(), message)
}

// TestAStoredInvalidNameIsInactive loads a task definition that an earlier version of this program registered under an
// invalid name. DescribeTaskDefinition shows it, and RunTask refuses it.
func TestAStoredInvalidNameIsInactive(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "ecs.db")
	if err := start(t, file, ecs.Faults{}).server.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	registered := fmt.Sprintf(`{"family": "old", "containerDefinitions": [{"name": %q, "image": "i"}]}`, "../../x")
	if _, err := db.ExecContext(t.Context(), `INSERT INTO definition VALUES ('old', 1, 'ACTIVE', ?)`, registered); err != nil {
		t.Fatal(err)
	}
	s := start(t, file, ecs.Faults{})
	for name, want := range map[string]string{"old:1": "inactive", "old": "not found"} {
		_, err := s.RunTask(t.Context(), request(func(in *client.RunTaskInput) { in.TaskDefinition = &name }))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("RunTask of %s = %v, want an error that contains %q", name, err, want)
		}
	}
	in := &client.DescribeTaskDefinitionInput{TaskDefinition: aws.String("old:1")}
	if out, err := s.DescribeTaskDefinition(t.Context(), in); err != nil {
		t.Errorf("DescribeTaskDefinition = %+v, %v, want the definition", out, err)
	}
}
