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

	"modeldispatch/internal/dispatch"
	"modeldispatch/internal/fargate"
	"modeldispatch/internal/model"
	"modeldispatch/internal/private"
	"modeldispatch/internal/store"
	"modeldispatch/internal/wiring"
)

// A GET of healthPath shows that the stack runs. The caller sends a random text in proofHeader, and the stack returns
// Credential.proof of that text in the same header. Another program that listens on the port cannot compute it.
const (
	healthPath  = "/_modeldispatch/health"
	proofHeader = "X-Modeldispatch-Proof"
)

// Address holds the URL of a local stack and the credential for its requests.
type Address struct {
	URL        string
	Credential Credential
}

// Wire returns a dispatcher that works on the local stack at an address, with the given catalog and store. It returns
// an error if a trigger of the catalog is invalid.
func Wire(a Address, c model.Catalog, s store.Store, change ...func(*dispatch.Options)) (*dispatch.Dispatcher, error) {
	cfg := wiring.Endpoint(a.URL, Region, a.Credential.AccessKeyID, a.Credential.SecretAccessKey)
	return wiring.Wire(cfg, options(a.URL), c, s, change...)
}

// options returns the options of the functions in a local stack.
func options(url string) wiring.Options {
	queue := func(name string) string { return url + "/" + Account + "/" + name }
	return wiring.Options{
		Deployment: Deployment, LaunchURL: queue(launchQueue), WakeURL: queue(wakeQueue),
		Bucket: Bucket, Bus: "default", Placement: Placement(),
	}
}

// Placement returns the cluster and network of local tasks. The subnet exists by name only.
func Placement() fargate.Placement {
	return fargate.Placement{Cluster: cluster, Subnets: []string{"subnet-local"}, AssignPublicIP: true}
}

// environment returns the variables that every local task gets beside its own: the endpoints and the credential of the
// services that the local stack serves. It sets no AWS_ENDPOINT_URL, so calls of all other services still go to AWS.
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

// Endpoint returns the address of the running stack with this data folder. It returns an error if no stack was started
// there, if nothing answers within two seconds, if another program answers, or if the credential is unreadable.
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
		const why = "another program answers at %s, the last address of the local stack for %s: start modeldispatch local"
		return Address{}, fmt.Errorf(why, a.URL, data)
	}
	return a, nil
}

// LogFile returns the path of a container's log, for one attempt of a run.
func LogFile(data, run string, attempt int, container string) string {
	return filepath.Join(logFolder(data), runLog(run, attempt, container))
}

func logFolder(data string) string { return filepath.Join(data, "logs") }

// runLog returns the path of a log below the folder of logs.
func runLog(run string, attempt int, container string) string {
	return filepath.Join(run, fmt.Sprintf("%d-%s.log", attempt, container))
}
