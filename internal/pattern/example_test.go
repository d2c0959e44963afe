package pattern_test

import (
	"fmt"

	"modeldispatch/internal/jsonread"
	"modeldispatch/internal/pattern"
)

func Example() {
	p, err := pattern.Compile([]byte(`{
	  "source": ["aws.s3"],
	  "detail": {
	    "bucket": {"name": ["landing"]},
	    "object": {"key": [{"prefix": "sales/"}], "size": [{"numeric": [">", 0]}]}
	  }
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, text := range []string{
		`{"source": "aws.s3", "detail": {"bucket": {"name": "landing"}, "object": {"key": "sales/eu.csv", "size": 512}}}`,
		`{"source": "aws.s3", "detail": {"bucket": {"name": "landing"}, "object": {"key": "rates/eu.csv", "size": 512}}}`,
		`{"source": "aws.s3", "detail": {"bucket": {"name": "landing"}, "object": {"key": "sales/eu.csv"}}}`,
	} {
		event, err := jsonread.Value([]byte(text))
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%t %q\n", p.Match(event), p.Mismatch(event))
	}
	fmt.Println(p.Literals("detail.bucket.name"))
	// Output:
	// true ""
	// false "detail.object.key: \"rates/eu.csv\" does not match prefix \"sales/\""
	// false "detail.object.size: absent"
	// [landing]
}

// An error gives the path in the pattern, the mistake, and the correct form.
func ExampleCompile_error() {
	for _, text := range []string{
		`{"detail": {"state": "SUCCEEDED"}}`,
		`{"detail": {"key": [{"starts-with": "in/"}]}}`,
		`{"detail": {"size": [{"numeric": ["<", 5, ">", 0]}]}}`,
	} {
		_, err := pattern.Compile([]byte(text))
		fmt.Println(err)
	}
	// Output:
	// detail.state: "SUCCEEDED" must be in an array: ["SUCCEEDED"]
	// detail.key: unknown operator "starts-with"; did you mean "prefix"?
	// detail.size: "numeric" needs > or >= first, then < or <=: [">", 0, "<=", 5]
}

// Fields below one array of the event must match in the same element.
func ExamplePattern_Match_arrays() {
	p, err := pattern.Compile([]byte(`{"containers": {"name": ["model"], "exitCode": [{"anything-but": 0}]}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	event, err := jsonread.Value([]byte(`{"containers": [{"name": "model", "exitCode": 0}, {"name": "log", "exitCode": 1}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Match(event))
	fmt.Println(p.Mismatch(event))
	// Output:
	// false
	// containers.name, containers.exitCode: no single array element matches all of them
}
