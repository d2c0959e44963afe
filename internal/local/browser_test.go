package local_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/chromedp/chromedp"
)

// The scripts of attacking pages. TARGET is the address of the stack, or "" for the page's own origin after DNS
// rebinding has pointed its name at the stack. Each script returns the content that it could read, or "".
const (
	html   = `'<script>document.title = "ran"</script>'`
	upload = `
		const form = new FormData();
		form.append('key', NAME);
		form.append('Content-Type', 'text/html');
		form.append('file', new Blob([` + html + `], {type: 'text/html'}), 'x.html');`
	uploadByForm = `
		const form = document.createElement('form');
		Object.assign(form, {method: 'POST', enctype: 'multipart/form-data', action: TARGET + '/results'});
		const field = (properties) => form.append(Object.assign(document.createElement('input'), properties));
		field({name: 'key', value: NAME});
		field({name: 'Content-Type', value: 'text/html'});
		const files = new DataTransfer();
		files.items.add(new File([` + html + `], 'x.html', {type: 'text/html'}));
		field({name: 'file', type: 'file', files: files.files});
		document.body.append(form);
		form.submit();`
	register = `
		await fetch(TARGET + '/', {
			method: 'POST', headers: {'X-Amz-Target': 'AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition'},
			body: JSON.stringify({family: NAME, containerDefinitions: [{name: 'c', image: 'x', command: ['true']}]}),
		});`
	read = `
		const answer = await fetch(TARGET + PATH, {mode: MODE});
		const text = await answer.text();
		return answer.ok ? text : '';`
	readScript = `
		const s = document.createElement('script');
		await new Promise(done => {
			Object.assign(s, {src: TARGET + '/results/secret.js', onload: done, onerror: done});
			document.body.append(s);
		});
		return window.leaked || '';`
	readPicture = `
		const i = new Image();
		await new Promise(done => Object.assign(i, {onload: done, onerror: done, src: TARGET + '/results/secret.png'}));
		return i.naturalWidth ? 'width ' + i.naturalWidth : '';`
	readFrame = `
		const f = document.createElement('iframe');
		await new Promise(done => { Object.assign(f, {src: TARGET + '/results/secret.txt', onload: done}); document.body.append(f); });
		return f.contentDocument.body.innerText;`
)

// attack is one attempt of a page to read or change something in the stack.
type attack struct {
	name   string
	script string // the body of an async function; an exception means that the attack failed
	kind   kind
}

// kind tells which pages an attack can help.
type kind int

const (
	plain          kind = iota // works on a server without the guard, from any page
	leavesPage                 // navigates away from its page, so a rebound page does not try it
	sameOriginOnly             // a browser stops it on a foreign page, whatever the server; a rebound page succeeds
)

var attacks = []attack{
	{"uploads by fetch", upload + `await fetch(TARGET + '/results', {method: 'POST', mode: 'no-cors', body: form});`, plain},
	// Like navigator.sendBeacon, for whose end a page cannot wait.
	{
		"uploads as a beacon",
		upload + `await fetch(TARGET + '/results', {method: 'POST', mode: 'no-cors', keepalive: true, body: form});`, plain,
	},
	{"uploads by a form", uploadByForm, leavesPage},
	{"puts an object", `await fetch(TARGET + '/results/' + NAME, {method: 'PUT', body: 'x'});`, sameOriginOnly},
	{"registers a command", register, sameOriginOnly},
	{"reads an object by fetch", `const PATH = '/results/secret.txt', MODE = 'cors';` + read, plain},
	{"reads an object by fetch without CORS", `const PATH = '/results/secret.txt', MODE = 'no-cors';` + read, sameOriginOnly},
	{"reads a listing by fetch", `const PATH = '/results?list-type=2', MODE = 'cors';` + read, plain},
	{
		"reads that an object is empty",
		`const answer = await fetch(TARGET + '/results/empty'); return answer.ok ? answer.headers.get('Content-Type') : '';`, plain,
	},
	{"reads an object as a script", readScript, plain},
	{"reads an object as a picture", readPicture, plain},
	{"reads an object in a frame", readFrame, sameOriginOnly},
}

// stored is a malicious HTML object in the local S3. A job of the developer or a page may have stored it.
const stored = `<!doctype html><title>asleep</title><script>
	document.title = 'running';
	const TARGET = '', NAME = 'stored';
	(async () => {` + register + `
		await fetch('/results/' + NAME, {method: 'PUT', body: 'x'});
	})().finally(() => document.title = 'ran');
</script>`

// TestPagesCannotAttack visits pages that attack the stack with a real browser. It then repeats the attacks on the
// stack's services without the guard, where they must succeed: otherwise the first part would show nothing.
func TestPagesCannotAttack(t *testing.T) {
	t.Parallel()
	program := os.Getenv("MODELDISPATCH_CHROMIUM")
	if program == "" {
		t.Skip("needs a browser: set MODELDISPATCH_CHROMIUM to the path of a Chromium")
	}
	for _, space := range []string{"local", "public"} {
		t.Run("a "+space+" page", func(t *testing.T) {
			t.Parallel()
			s := start(t, project(t, never))
			s.putObjects(t)
			guarded := assault{t, s, browser(t, program, space), s.URL()}
			if done := guarded.all(); len(done) > 0 {
				t.Errorf("these attacks succeeded: %s", strings.Join(done, ", "))
			}
			unguarded := assault{t, s, browser(t, program, space), serveUnguarded(t, s)}
			if done, want := unguarded.all(), unguarded.possible(space); !slices.Equal(done, want) {
				t.Errorf("without the guard these attacks succeeded: %q, want %q", done, want)
			}
		})
	}
}

// possible returns the attacks that succeed without the guard. Chromium lets a page of a public address navigate to
// loopback, and stops all its other requests to loopback.
func (a assault) possible(space string) []string {
	var all []string
	for _, one := range attacks {
		if one.kind == leavesPage || one.kind == plain && space == "local" {
			all = append(all, one.name)
		}
	}
	for _, one := range attacks {
		if one.kind != leavesPage {
			all = append(all, one.name+" by rebinding")
		}
	}
	for _, host := range a.hosts() {
		all = append(all, "a page stored at "+host+" runs")
	}
	return all
}

// hosts returns the host names of the target, with its port.
func (a assault) hosts() []string {
	_, port, _ := strings.Cut(strings.TrimPrefix(a.target, "http://"), ":")
	return []string{"127.0.0.1:" + port, "localhost:" + port}
}

// putObjects puts the objects that the attacks read and run.
func (s *testStack) putObjects(t *testing.T) {
	t.Helper()
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 17, 1))); err != nil {
		t.Fatal(err)
	}
	for _, o := range []struct{ key, kind, body string }{
		{"empty", "text/plain", ""}, {"secret.txt", "text/plain", "secret"},
		{"secret.js", "text/javascript", "window.leaked = 'secret'"},
		{"secret.png", "image/png", picture.String()}, {"stored.html", "text/html", stored},
	} {
		in := &awss3.PutObjectInput{Bucket: aws.String("results"), Key: &o.key, Body: strings.NewReader(o.body), ContentType: &o.kind}
		if _, err := s.s3.PutObject(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
}

// serveUnguarded serves the stack's services without the guard, and returns their URL.
func serveUnguarded(t *testing.T, s *testStack) string {
	t.Helper()
	return serveAt(t, "127.0.0.1:0", s.Stack)
}

// serveAt serves a handler at an address until the test ends, and returns its URL.
func serveAt(t *testing.T, address string, h http.Handler) string {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return "http://" + listener.Addr().String()
}

// evil is a host name that the browser resolves to the attacker's address.
const evil = "evil.test"

// browser returns a function that starts a browser. The browser takes the attacker's address for one of the given
// address space: local, or public as on the web.
func browser(t *testing.T, program, space string) func(address string) context.Context {
	t.Helper()
	return func(attacker string) context.Context {
		options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU,
			chromedp.Flag("host-resolver-rules", "MAP "+evil+" 127.0.0.2"), chromedp.Flag("disable-background-networking", true))
		if space == "public" {
			options = append(options, chromedp.Flag("ip-address-space-overrides", attacker+"=public"))
		}
		allocated, stop := chromedp.NewExecAllocator(t.Context(), options...)
		t.Cleanup(stop)
		ctx, stop := chromedp.NewContext(allocated)
		t.Cleanup(stop)
		ctx, stop = context.WithTimeout(ctx, 2*time.Minute)
		t.Cleanup(stop)
		return ctx
	}
}

// assault runs all attacks on one target.
type assault struct {
	*testing.T
	stack  *testStack
	launch func(attacker string) context.Context
	target string
}

// all runs all attacks, and returns the names of those which succeeded.
func (a assault) all() []string {
	a.Helper()
	// The attacker's server has an address of its own and the target's port. After DNS rebinding, a page of evil.test
	// has the same origin as the stack. To imitate that, the attacker's server passes all requests except those for its
	// page to the target.
	u, err := url.Parse(a.target)
	if err != nil {
		a.Fatal(err)
	}
	rebound := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(u)
		r.Out.Host = r.In.Host
	}}
	attacker := serveAt(a.T, "127.0.0.2:"+u.Port(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/page" {
			rebound.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!doctype html><title>any web page</title>")
	}))
	ctx := a.launch(strings.TrimPrefix(attacker, "http://"))
	var done []string
	for i, one := range attacks {
		if a.succeeds(ctx, attacker+"/page", a.target, fmt.Sprintf("foreign-%d", i), one) {
			done = append(done, one.name)
		}
	}
	for i, one := range attacks {
		if one.kind != leavesPage && a.succeeds(ctx, "http://"+evil+":"+u.Port()+"/page", "", fmt.Sprintf("rebound-%d", i), one) {
			done = append(done, one.name+" by rebinding")
		}
	}
	for _, host := range a.hosts() {
		if a.runs(ctx, attacker+"/page", "http://"+host+"/results/stored.html") {
			done = append(done, "a page stored at "+host+" runs")
		}
	}
	return done
}

// succeeds reports whether an attack read or changed something.
func (a assault) succeeds(ctx context.Context, page, target, name string, one attack) bool {
	a.Helper()
	before := a.state()
	const wrapper = "(async () => { const TARGET = %q, NAME = %q; try { %s; return '' } catch { return '' } })()"
	script := fmt.Sprintf(wrapper, target, name, one.script)
	_, err := chromedp.Run(ctx, chromedp.Navigate(page))
	read := ""
	if err == nil && one.kind == leavesPage {
		_, err = chromedp.RunResponse(ctx, chromedp.Evaluate[chromedp.Void](script))
	} else if err == nil {
		read, err = chromedp.Run(ctx, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
	}
	if err != nil {
		a.Fatalf("%s: %v", one.name, err)
	}
	return read != "" || !maps.Equal(before, a.state())
}

// runs reports whether the script of a stored page runs when a foreign page navigates to it.
func (a assault) runs(ctx context.Context, page, object string) bool {
	a.Helper()
	before := a.state()
	_, err := chromedp.Run(ctx, chromedp.Navigate(page))
	if err == nil {
		_, err = chromedp.RunResponse(ctx, chromedp.Evaluate[chromedp.Void](fmt.Sprintf("location = %q", object)))
	}
	title := ""
	if err == nil {
		title, err = chromedp.Run(ctx, chromedp.Title())
	}
	if err == nil && title == "running" { // wait for its end
		_, err = chromedp.Run(ctx, chromedp.Poll[bool]("document.title == 'ran'"))
	}
	if err != nil {
		a.Fatalf("%s: %v", object, err)
	}
	if !slices.Contains([]string{"asleep", "running", "ran"}, title) {
		a.Fatalf("%s: the browser shows a page with the title %q", object, title)
	}
	return title != "asleep" || !maps.Equal(before, a.state())
}

// state returns everything that an attack can change: objects with their ETags, and task definitions.
func (a assault) state() map[string]string {
	a.Helper()
	all := map[string]string{}
	buckets, err := a.stack.s3.ListBuckets(a.Context(), &awss3.ListBucketsInput{})
	if err != nil {
		a.Fatal(err)
	}
	for _, b := range buckets.Buckets {
		objects, err := a.stack.s3.ListObjectsV2(a.Context(), &awss3.ListObjectsV2Input{Bucket: b.Name})
		if err != nil {
			a.Fatal(err)
		}
		for _, o := range objects.Contents {
			all[*b.Name+"/"+*o.Key] = *o.ETag
		}
	}
	families, err := a.stack.ecs.ListTaskDefinitions(a.Context(), &awsecs.ListTaskDefinitionsInput{})
	if err != nil {
		a.Fatal(err)
	}
	for _, arn := range families.TaskDefinitionArns {
		all[arn] = "registered"
	}
	return all
}
