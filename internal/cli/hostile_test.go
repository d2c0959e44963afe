package cli_test

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/rogpeppe/go-internal/testscript"

	"modeldispatch/internal/local"
	"modeldispatch/internal/model"
	"modeldispatch/internal/wiring"
)

// put puts an object into the local stack of a script's project. The argument is its URI as a quoted Go string.
func put(ts *testscript.TestScript, _ bool, args []string) {
	uri, err := strconv.Unquote(args[0])
	ts.Check(err)
	object, err := model.ParseObjectURI(uri)
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	a, err := local.Endpoint(ctx, ts.MkAbs(".modeldispatch"))
	ts.Check(err)
	cfg := wiring.Endpoint(a.URL, local.Region, a.Credential.AccessKeyID, a.Credential.SecretAccessKey)
	_, err = s3.NewFromConfig(cfg, pathStyle).PutObject(ctx, &s3.PutObjectInput{
		Bucket: &object.Bucket, Key: &object.Key, Body: strings.NewReader(""),
	})
	ts.Check(err)
}

var forged = regexp.MustCompile(`(?m)^forged.*`)

// harmless checks the output of the last command. It must contain no control character, and no line that begins with
// "forged", as the hostile texts of the script try. It must contain one of these texts, since the check would otherwise
// prove nothing.
func harmless(ts *testscript.TestScript, _ bool, _ []string) {
	text := ts.ReadFile("stdout") + ts.ReadFile("stderr")
	for _, r := range text {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			ts.Fatalf("the output contains %U:\n%q", r, text)
		}
	}
	if line := forged.FindString(text); line != "" {
		ts.Fatalf("the output contains the forged line %q:\n%s", line, text)
	}
	if !strings.Contains(text, "forged") {
		ts.Fatalf("the output contains no hostile text:\n%s", text)
	}
}
