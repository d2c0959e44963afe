package local

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modeldispatch/internal/app"
	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/model"
	"modeldispatch/internal/private"
	"modeldispatch/internal/store"
)

// A GET of healthPath tells whether the stack runs. The caller sends a random text in proofHeader, and the stack answers there with
// Credential.proof of it. Another program that listens on the port by now cannot.
const (
	healthPath  = "/_modeldispatch/health"
	proofHeader = "X-Modeldispatch-Proof"
)

// Address says how to reach a local stack.
type Address struct {
	URL        string
	Credential Credential
}

// Wire returns a dispatcher that works on a local stack.
func Wire(a Address, c model.Catalog, s store.Store) (*dispatch.Dispatcher, error) {
	return app.Wire(app.Endpoint(a.URL, Region, a.Credential.AccessKeyID, a.Credential.SecretAccessKey), appOptions(a.URL), c, s)
}

// appOptions are what the functions run with in a local stack.
func appOptions(url string) app.Options {
	queue := func(name string) string { return url + "/" + Account + "/" + name }
	return app.Options{
		Deployment: Deployment, LaunchURL: queue(launchQueue), WakeURL: queue(wakeQueue), Bucket: Bucket, Bus: "default", Placement: Placement(),
	}
}

// Placement is where local tasks run.
func Placement() fargate.Placement {
	return fargate.Placement{Cluster: cluster, Subnets: []string{"subnet-local"}, AssignPublicIP: true}
}

// environment returns what every local task finds beside its own: the services that are here, and
// only those. What is not served here is not captured.
func environment(a Address) []string {
	return []string{
		"AWS_ENDPOINT_URL_S3=" + a.URL, "AWS_ENDPOINT_URL_SQS=" + a.URL, "AWS_ENDPOINT_URL_ECS=" + a.URL, "AWS_ENDPOINT_URL_EVENTBRIDGE=" + a.URL,
		"AWS_ACCESS_KEY_ID=" + a.Credential.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + a.Credential.SecretAccessKey,
		"AWS_REGION=" + Region, "AWS_DEFAULT_REGION=" + Region,
	}
}

func endpointFile(data string) string { return filepath.Join(data, "endpoint") }

func writeEndpoint(data, url string) error {
	return os.WriteFile(endpointFile(data), []byte(url+"\n"), private.FileMode)
}

func removeEndpoint(data string) error {
	if err := os.Remove(endpointFile(data)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Endpoint returns the address of the local stack with this data folder. It fails where none answers.
func Endpoint(ctx context.Context, data string) (Address, error) {
	text, err := os.ReadFile(endpointFile(data))
	if err != nil {
		return Address{}, fmt.Errorf("no local stack runs for %s: start modeldispatch local", data)
	}
	a := Address{URL: strings.TrimSpace(string(text))}
	if a.Credential, err = readCredential(CredentialFile(data)); err != nil {
		return Address{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL+healthPath, nil)
	if err != nil {
		return Address{}, err
	}
	question := rand.Text()
	request.Header.Set(proofHeader, question)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return Address{}, fmt.Errorf("the local stack for %s does not answer at %s: start modeldispatch local", data, a.URL)
	}
	_ = response.Body.Close()
	if !hmac.Equal([]byte(response.Header.Get(proofHeader)), []byte(a.Credential.proof(question))) {
		return Address{}, fmt.Errorf("another program answers at %s, where the local stack for %s was: start modeldispatch local", a.URL, data)
	}
	return a, nil
}

// LogFile returns the log of a container of a run's attempt.
func LogFile(data, run string, attempt int, container string) string {
	return filepath.Join(logFolder(data), runLog(run, attempt, container))
}

func logFolder(data string) string { return filepath.Join(data, "logs") }

// runLog returns a log's path in the folder of logs.
func runLog(run string, attempt int, container string) string {
	return filepath.Join(run, fmt.Sprintf("%d-%s.log", attempt, container))
}
