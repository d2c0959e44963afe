package local_test

import (
	"context"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"modeldispatch/internal/local"
)

// projectVariable has the test binary serve a project's stack instead of running tests.
const projectVariable = "LOCAL_TEST_PROJECT"

// serve runs a stack until the process is killed.
func serve(ctx context.Context, dir string) int {
	o, err := options(dir)
	if err == nil {
		var stack *local.Stack
		if stack, err = local.Start(ctx, o); err == nil {
			fmt.Println(stack.URL())
			select {}
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func dynamoClient(cfg aws.Config) func(context.Context) error {
	client := dynamodb.NewFromConfig(cfg)
	return func(ctx context.Context) error {
		_, err := client.ListTables(ctx, &dynamodb.ListTablesInput{})
		return err
	}
}
