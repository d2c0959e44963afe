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

// noNames have none of the forms that ECS has for names.
var noNames = []string{"..", "../x", "a/b", `a\b`, "a b", "a.b", "a:b", "ä", "a\n", "a\x00", strings.Repeat("a", 256)}

// longestName is as long as names may be.
var longestName = strings.Repeat("a", 250) + "Z-_09"

func TestNamesHaveTheFormsOfECS(t *testing.T) {
	t.Parallel()
	s := start(t, "", ecs.Faults{})
	register := func(family, container, volume string) error {
		_, err := s.RegisterTaskDefinition(t.Context(), &client.RegisterTaskDefinitionInput{
			Family: &family, ContainerDefinitions: []types.ContainerDefinition{{Name: &container, Image: aws.String("i")}}, Volumes: []types.Volume{{Name: &volume}},
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
	if err := register("f", "", "v"); !refuses(err, "ClientException", "Container.name should not be null or empty.") {
		t.Errorf("a container without a name: %v", err)
	}
	for _, name := range noNames {
		if err := register(name, "c", "v"); !refuses(err, "ClientException", "Family contains invalid characters") {
			t.Errorf("the family %.20q: %v", name, err)
		}
		if err := register("f", name, "v"); !refuses(err, "ClientException", "Container.name contains invalid characters.") {
			t.Errorf("the container %.20q: %v", name, err)
		}
		if err := register("f", "c", name); !refuses(err, "ClientException", "Volume.name contains invalid characters.") {
			t.Errorf("the volume %.20q: %v", name, err)
		}
		if err := cluster(name); !refuses(err, "InvalidParameterException", "clusterName must be") {
			t.Errorf("the cluster %.20q: %v", name, err)
		}
	}
	listed, err := s.ListTaskDefinitions(t.Context(), &client.ListTaskDefinitionsInput{})
	if err != nil || len(listed.TaskDefinitionArns) != 2 {
		t.Errorf("there are the definitions %q, %v, want %s and the stand's", listed.TaskDefinitionArns, err, longestName)
	}
}

// refuses reports whether an error is one of ECS's, with this code and the beginning of this message.
func refuses(err error, code, message string) bool {
	var refusal smithy.APIError
	return errors.As(err, &refusal) && refusal.ErrorCode() == code && strings.HasPrefix(refusal.ErrorMessage(), message)
}

// TestADefinitionWithABadNameFromBefore finds one in the file, which an earlier version registered. It can be looked at, and
// not be run.
func TestADefinitionWithABadNameFromBefore(t *testing.T) {
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
			t.Errorf("RunTask of %s = %v, want %s", name, err, want)
		}
	}
	if out, err := s.DescribeTaskDefinition(t.Context(), &client.DescribeTaskDefinitionInput{TaskDefinition: aws.String("old:1")}); err != nil {
		t.Errorf("DescribeTaskDefinition = %+v, %v", out, err)
	}
}
