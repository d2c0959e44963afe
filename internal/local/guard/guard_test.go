package guard_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"modeldispatch/internal/local/guard"
)

const (
	port  = 4566
	keyID = "LOCALKEY"
)

// signed is an Authorization header as an SDK sends it.
const signed = "AWS4-HMAC-SHA256 Credential=LOCALKEY/20260105/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=0"

// served holds a request as the handler behind the guard sees it.
type served struct{ path, form, file string }

// newGuard returns a guard, and the last request that passed it.
func newGuard(t *testing.T, o guard.Options) (*guard.Guard, *served) {
	t.Helper()
	o.Port = port
	last := &served{}
	g, err := guard.New(o, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*last = served{path: r.Method + " " + r.URL.Path}
		if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
			last.form = r.FormValue("key")
			if file, _, err := r.FormFile("file"); err == nil {
				text, _ := io.ReadAll(file)
				last.file = string(text)
			}
		}
		w.Header().Set("Access-Control-Allow-Origin", "*") // as gofakes3 does
		w.Header().Set("Access-Control-Allow-Methods", "GET")
		_, _ = io.WriteString(w, "served")
	}))
	if err != nil {
		t.Fatal(err)
	}
	return g, last
}

// call describes one request. The request has the host 127.0.0.1:4566 and the header signed, unless header says
// otherwise.
type call struct {
	method, target string
	header         string // one "Name: value" a line; "Name:" removes the header
}

func (c call) request(t *testing.T) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), c.method, "http://127.0.0.1:4566"+c.target, nil)
	r.Header.Set("Authorization", signed)
	for line := range strings.Lines(c.header) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch value = strings.TrimSpace(value); {
		case name == "Host":
			r.Host = value
		case value == "":
			r.Header.Del(name)
		default:
			r.Header.Add(name, value)
		}
	}
	return r
}

const (
	unsigned = "Authorization:\n"
	json     = "X-Amz-Target: AmazonSQS.SendMessage\n"
)

// signedForAllRegions is an Authorization header of Signature Version 4A, which names no Region.
const signedForAllRegions = "AWS4-ECDSA-P256-SHA256 Credential=LOCALKEY/20260105/s3/aws4_request, SignedHeaders=host, Signature=0"

// presigned is the query of a presigned URL.
const presigned = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=LOCALKEY%2F20260105%2Fus-east-1%2Fs3%2Faws4_request"

// signedBy returns the header of a request that is signed with the access key id.
func signedBy(id string) string {
	return unsigned + "Authorization: " + strings.Replace(signed, keyID, id, 1)
}

// ruleTest checks one rule. want is the error code of a 403, or "" for a request that passes.
type ruleTest struct {
	name string
	call
	want string
}

// hostTests returns the tests of the Host rule.
func hostTests() []ruleTest {
	return []ruleTest{
		{"as the SDK calls", call{"PUT", "/b/k", ""}, ""},
		{"as the SDK calls JSON", call{"POST", "/", json}, ""},
		{"localhost", call{"PUT", "/b/k", "Host: localhost:4566"}, ""},
		{"IPv6", call{"PUT", "/b/k", "Host: [::1]:4566"}, ""},
		{"a host in mixed case", call{"PUT", "/b/k", "Host: LocalHost:4566"}, ""},
		{"a bucket", call{"PUT", "/k", "Host: landing.localhost:4566"}, ""},
		{"an allowed host", call{"PUT", "/b/k", "Host: host.docker.internal:4566"}, ""},
		{"an allowed address", call{"PUT", "/b/k", "Host: 192.0.2.7:4566"}, ""},
		{"an allowed host with its own port", call{"PUT", "/b/k", "Host: proxy.test:8080"}, ""},
		{"an allowed host with another port", call{"PUT", "/b/k", "Host: proxy.test:4566"}, "AccessDenied"},
		{"a bucket before an allowed name", call{"PUT", "/k", "Host: landing.stack.test:4566"}, ""},
		{"the allowed name itself", call{"PUT", "/k", "Host: stack.test:4566"}, "AccessDenied"},
		{"a bucket before a host that is allowed alone", call{"PUT", "/k", "Host: landing.host.docker.internal:4566"}, "AccessDenied"},
		{"a rebound name", call{"GET", "/b/k", "Host: evil.test:4566"}, "AccessDenied"},
		{"a rebound name, JSON", call{"POST", "/", json + "Host: evil.test:4566"}, "AccessDeniedException"},
		{"a name that begins with localhost", call{"GET", "/b/k", "Host: localhost.evil.test:4566"}, "AccessDenied"},
		{"a name that ends with localhost", call{"GET", "/b/k", "Host: evillocalhost:4566"}, "AccessDenied"},
		{"another port", call{"GET", "/b/k", "Host: 127.0.0.1:4567"}, "AccessDenied"},
		{"no port", call{"GET", "/b/k", "Host: 127.0.0.1"}, "AccessDenied"},
		{"another address of loopback", call{"GET", "/b/k", "Host: 127.0.0.2:4566"}, "AccessDenied"},
		{"an empty bucket", call{"GET", "/k", "Host: .localhost:4566"}, "AccessDenied"},
		{"a root dot", call{"GET", "/k", "Host: localhost.:4566"}, "AccessDenied"},
		{"no host", call{"GET", "/b/k", "Host: "}, "AccessDenied"},
	}
}

// originTests returns the tests of the Origin rule, which looks at Origin and Sec-Fetch-Site.
func originTests() []ruleTest {
	return []ruleTest{
		{"our own origin", call{"PUT", "/b/k", "Origin: http://127.0.0.1:4566"}, ""},
		{"our own origin by name", call{"PUT", "/b/k", "Host: localhost:4566\nOrigin: http://localhost:4566"}, ""},
		{"our own origin by another name", call{"PUT", "/b/k", "Origin: http://localhost:4566"}, "AccessDenied"},
		{"a bucket's page", call{"PUT", "/b/k", "Origin: http://landing.localhost:4566"}, "AccessDenied"},
		{"our own address by https", call{"PUT", "/b/k", "Origin: https://127.0.0.1:4566"}, "AccessDenied"},
		{"another port of this machine", call{"PUT", "/b/k", "Origin: http://127.0.0.1:3000"}, "AccessDenied"},
		{"a foreign page puts", call{"PUT", "/b/k", "Origin: http://evil.test"}, "AccessDenied"},
		{"a foreign page posts", call{"POST", "/b", "Origin: http://evil.test"}, "AccessDenied"},
		{"a foreign page deletes", call{"DELETE", "/b/k", "Origin: http://evil.test"}, "AccessDenied"},
		{"a foreign page with an unusual method", call{"PATCH", "/b/k", "Origin: http://evil.test"}, "AccessDenied"},
		{"a foreign page calls JSON", call{"POST", "/", json + "Origin: http://evil.test"}, "AccessDeniedException"},
		{"a foreign page calls JSON by GET", call{"GET", "/", json + "Origin: http://evil.test"}, "AccessDeniedException"},
		{"a sandboxed page", call{"PUT", "/b/k", "Origin: null"}, "AccessDenied"},
		{"two origins", call{"PUT", "/b/k", "Origin: http://127.0.0.1:4566\nOrigin: http://evil.test"}, "AccessDenied"},
		{"an allowed web app", call{"PUT", "/b/k", "Origin: http://localhost:3000\nSec-Fetch-Site: same-site"}, ""},
		{"an allowed web app by https", call{"PUT", "/b/k", "Origin: https://app.test\nSec-Fetch-Site: cross-site"}, ""},
		{"an allowed web app by another scheme", call{"PUT", "/b/k", "Origin: http://app.test"}, "AccessDenied"},
		{"an allowed web app needs the credential", call{"PUT", "/b/k", "Origin: http://localhost:3000\n" + unsigned}, "AccessDenied"},
		{"an allowed web app at a rebound name", call{"PUT", "/b/k", "Origin: http://localhost:3000\nHost: evil.test:4566"}, "AccessDenied"},
		{"the browser's address bar", call{"PUT", "/b/k", "Sec-Fetch-Site: none"}, ""},
		{"our own page", call{"PUT", "/b/k", "Sec-Fetch-Site: same-origin\nOrigin: http://127.0.0.1:4566"}, ""},
		{"a page of another port", call{"POST", "/b", "Sec-Fetch-Site: same-site"}, "AccessDenied"},
		{"a foreign page without an origin", call{"POST", "/b", "Sec-Fetch-Site: cross-site"}, "AccessDenied"},
		{"a foreign origin that claims same-origin", call{"POST", "/b", "Sec-Fetch-Site: same-origin\nOrigin: http://evil.test"}, "AccessDenied"},
		{"an unknown value", call{"POST", "/b", "Sec-Fetch-Site: perhaps"}, "AccessDenied"},
		{"a link to an object", call{"GET", "/b/k", "Sec-Fetch-Site: cross-site\n" + unsigned}, ""},
	}
}

// credentialTests returns the tests of the credential rule.
func credentialTests() []ruleTest {
	return []ruleTest{
		{"an object without a signature", call{"GET", "/b/k/l", unsigned}, ""},
		{"the head of an object without a signature", call{"HEAD", "/b/k", unsigned}, ""},
		{"an object of a bucket's host without a signature", call{"GET", "/k", "Host: b.localhost:4566\n" + unsigned}, ""},
		{"a put without a signature", call{"PUT", "/b/k", unsigned}, "AccessDenied"},
		{"a delete without a signature", call{"DELETE", "/b/k", unsigned}, "AccessDenied"},
		{"a listing without a signature", call{"GET", "/b?list-type=2", unsigned}, "AccessDenied"},
		{"a listing of a bucket's host without a signature", call{"GET", "/", "Host: b.localhost:4566\n" + unsigned}, "AccessDenied"},
		{"a bucket without a signature", call{"GET", "/b/", unsigned}, "AccessDenied"},
		{"all buckets without a signature", call{"GET", "/", unsigned}, "AccessDenied"},
		{"an object as an anonymous SDK asks for it", call{"GET", "/b/k?x-id=GetObject&versionId=null&partNumber=1", unsigned}, ""},
		{"versions of an object without a signature", call{"GET", "/b/k?versions=1", unsigned}, "AccessDenied"},
		{"uploads of an object without a signature", call{"GET", "/b/k?uploads=1", unsigned}, "AccessDenied"},
		{"parts without a signature", call{"GET", "/b/k?uploadId=1", unsigned}, "AccessDenied"},
		{"tags without a signature", call{"GET", "/b/k?tagging", unsigned}, "AccessDenied"},
		{"JSON without a signature", call{"POST", "/", json + unsigned}, "MissingAuthenticationTokenException"},
		{"JSON by GET without a signature", call{"GET", "/b/k", json + unsigned}, "MissingAuthenticationTokenException"},
		{"another key", call{"PUT", "/b/k", signedBy("AKIAEXAMPLE")}, "InvalidAccessKeyId"},
		{"another key reads an object", call{"GET", "/b/k", signedBy("AKIAEXAMPLE")}, "InvalidAccessKeyId"},
		{"a longer key", call{"PUT", "/b/k", signedBy(keyID + "X")}, "InvalidAccessKeyId"},
		{"an empty key", call{"PUT", "/b/k", signedBy("")}, "InvalidAccessKeyId"},
		{"another key, JSON", call{"POST", "/", json + signedBy("test")}, "UnrecognizedClientException"},
		{"a signature of all Regions", call{"PUT", "/b/k", unsigned + "Authorization: " + signedForAllRegions}, ""},
		{"a signature of version 2", call{"PUT", "/b/k", unsigned + "Authorization: AWS LOCALKEY:c2ln"}, ""},
		{"another key of version 2", call{"PUT", "/b/k", unsigned + "Authorization: AWS AKIAEXAMPLE:c2ln"}, "InvalidAccessKeyId"},
		{"a signature of another scheme", call{"PUT", "/b/k", unsigned + "Authorization: Basic Credential=LOCALKEY/"}, "InvalidAccessKeyId"},
		{"a presigned URL", call{"PUT", "/b/k?" + presigned, unsigned}, ""},
		{"a presigned URL of another key", call{"GET", "/b/k?X-Amz-Credential=AKIAEXAMPLE%2F20260105", unsigned}, "InvalidAccessKeyId"},
		{"a presigned URL of version 2", call{"PUT", "/b/k?AWSAccessKeyId=LOCALKEY&Signature=x&Expires=1", unsigned}, ""},
		{
			"another key in a presigned URL of version 2",
			call{"PUT", "/b/k?AWSAccessKeyId=AKIAEXAMPLE&Signature=x&Expires=1", unsigned}, "InvalidAccessKeyId",
		},
	}
}

// TestRules sends a request for each case of each rule to a guard with allowed hosts and origins.
func TestRules(t *testing.T) {
	t.Parallel()
	options := guard.Options{
		AccessKeyID: keyID,
		Hosts:       []string{"host.docker.internal", "proxy.test:8080", "*.stack.test", "192.0.2.7"},
		Origins:     []string{"http://localhost:3000/", "https://app.test:443"},
	}
	for _, one := range slices.Concat(hostTests(), originTests(), credentialTests()) {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			g, last := newGuard(t, options)
			r, answer := one.request(t), httptest.NewRecorder()
			g.ServeHTTP(answer, r)
			body := answer.Body.String()
			if through := last.path != ""; through != (one.want == "") {
				t.Fatalf("the guard answers %d %s; passed: %v, want %v", answer.Code, body, through, one.want == "")
			}
			if one.want == "" {
				return
			}
			code := "<Code>" + one.want + "</Code>"
			if r.Header.Get("X-Amz-Target") != "" {
				code = fmt.Sprintf(`"__type":%q`, one.want)
			}
			if answer.Code != http.StatusForbidden || !strings.Contains(body, code) || !strings.Contains(body, "start ") {
				t.Errorf("the guard answers %d %s; want 403, %s, and a hint", answer.Code, body, code)
			}
		})
	}
}

// content returns a file that is larger than the part of a form that the guard reads.
func content() string { return strings.Repeat("<script>", 1<<18) }

// form returns the body and content type of a form upload, as a browser sends it.
func form(t *testing.T, fields map[string]string) (body io.Reader, contentType string) {
	t.Helper()
	var text bytes.Buffer
	w := multipart.NewWriter(&text)
	for name, value := range fields {
		if err := w.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	file, err := w.CreateFormFile("file", "x.html")
	if err == nil {
		_, err = io.WriteString(file, content())
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return &text, w.FormDataContentType()
}

func TestFormNeedsCredential(t *testing.T) {
	t.Parallel()
	scope := keyID + "/20260105/us-east-1/s3/aws4_request"
	for _, one := range []struct {
		name   string
		fields map[string]string
		origin string
		want   int
	}{
		{"a presigned POST", map[string]string{"key": "k", "x-amz-credential": scope}, "", http.StatusOK},
		{"a presigned POST as boto3 writes it", map[string]string{"key": "k", "AWSAccessKeyId": keyID}, "", http.StatusOK},
		{"a presigned POST with a field name in mixed case", map[string]string{"key": "k", "X-Amz-Credential": scope}, "", http.StatusOK},
		{"a page of our own", map[string]string{"key": "k", "x-amz-credential": scope}, "http://127.0.0.1:4566", http.StatusOK},
		{"a foreign page that knows the key", map[string]string{"key": "k", "x-amz-credential": scope}, "http://evil.test", http.StatusForbidden},
		{
			"two credentials, and the one of version 4 is wrong",
			map[string]string{"key": "k", "x-amz-credential": "AKIAEXAMPLE/x", "AWSAccessKeyId": keyID}, "", http.StatusForbidden,
		},
		{"no credential", map[string]string{"key": "k"}, "", http.StatusForbidden},
		{"another credential", map[string]string{"key": "k", "x-amz-credential": "AKIAEXAMPLE/x"}, "", http.StatusForbidden},
		{"an empty credential", map[string]string{"key": "k", "x-amz-credential": ""}, "", http.StatusForbidden},
	} {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			g, last := newGuard(t, guard.Options{AccessKeyID: keyID})
			body, contentType := form(t, one.fields)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1:4566/landing", body)
			r.Header.Set("Content-Type", contentType)
			if one.origin != "" {
				r.Header.Set("Origin", one.origin)
			}
			answer := httptest.NewRecorder()
			g.ServeHTTP(answer, r)
			if answer.Code != one.want || (last.form == "k" && last.file == content()) != (one.want == http.StatusOK) {
				t.Errorf("the guard answers %d %s, want %d; the form behind it has the key %q and %d bytes",
					answer.Code, answer.Body, one.want, last.form, len(last.file))
			}
		})
	}
}

func TestUnreadableFormIsRejected(t *testing.T) {
	t.Parallel()
	const field = "--x\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n"
	for name, body := range map[string]string{
		"no form":      "no form",
		"no file":      field + "k\r\n--x--\r\n",
		"no end":       field + "k",
		"a huge field": field + strings.Repeat("k", 2<<20) + "\r\n--x--\r\n",
	} {
		g, last := newGuard(t, guard.Options{AccessKeyID: keyID})
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1:4566/landing", strings.NewReader(body))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
		answer := httptest.NewRecorder()
		g.ServeHTTP(answer, r)
		if answer.Code != http.StatusBadRequest || !strings.Contains(answer.Body.String(), "MalformedPOSTRequest") || last.path != "" {
			t.Errorf("%s: the guard answers %d %s, want 400 MalformedPOSTRequest", name, answer.Code, answer.Body)
		}
	}
}

// TestBucketMovesFromHostToPath checks that the guard adds the bucket and leaves the escapes of the path as they are.
func TestBucketMovesFromHostToPath(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"landing.localhost:4566":   "PUT /landing/a b/c+d",
		"my.bucket.localhost:4566": "PUT /my.bucket/a b/c+d",
		"localhost:4566":           "PUT /a b/c+d",
	} {
		g, last := newGuard(t, guard.Options{AccessKeyID: keyID})
		r := call{"PUT", "/a%20b/c%2Bd", "Host: " + host}.request(t)
		g.ServeHTTP(httptest.NewRecorder(), r)
		if last.path != want {
			t.Errorf("%s: the handler sees %q, want %q", host, last.path, want)
		}
		if again, err := url.PathUnescape(r.URL.EscapedPath()); err != nil || "PUT "+again != want {
			t.Errorf("%s: the escaped path is %q", host, r.URL.EscapedPath())
		}
	}
}

// TestResponseHeaders checks the protecting headers of responses and rejections.
func TestResponseHeaders(t *testing.T) {
	t.Parallel()
	g, _ := newGuard(t, guard.Options{AccessKeyID: keyID, Origins: []string{"http://localhost:3000"}})
	for _, c := range []call{
		{"GET", "/b/k", unsigned},
		{"GET", "/b/k", "Origin: http://evil.test"},
		{"PUT", "/b/k", "Origin: http://evil.test"},
		{"GET", "/", "Host: evil.test:4566"},
		{"OPTIONS", "/b/k", "Origin: http://evil.test\nAccess-Control-Request-Method: PUT"},
		{"OPTIONS", "/b/k", ""},
	} {
		answer := httptest.NewRecorder()
		g.ServeHTTP(answer, c.request(t))
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox", "Cross-Origin-Resource-Policy": "same-origin",
			"Access-Control-Allow-Origin": "", "Access-Control-Allow-Methods": "", "Access-Control-Allow-Headers": "",
		} {
			if got := answer.Header().Get(name); got != want {
				t.Errorf("%+v: %s is %q, want %q", c, name, got, want)
			}
		}
		if c.method == "OPTIONS" && answer.Code != http.StatusForbidden {
			t.Errorf("%+v: status %d, want 403", c, answer.Code)
		}
	}
}

// TestEmptyResponseHeaders checks a handler that writes nothing, as for an empty object.
func TestEmptyResponseHeaders(t *testing.T) {
	t.Parallel()
	g, err := guard.New(guard.Options{Port: port}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
	}))
	if err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	g.ServeHTTP(answer, call{"GET", "/b/k", "Origin: http://evil.test"}.request(t))
	h := answer.Header()
	if h.Get("Access-Control-Allow-Origin") != "" || h.Get("Content-Security-Policy") != "sandbox" ||
		h.Get("Cross-Origin-Resource-Policy") != "same-origin" {
		t.Errorf("the headers are %v, want sandbox, same-origin and no CORS", h)
	}
}

func TestAllowedOrigin(t *testing.T) {
	t.Parallel()
	g, last := newGuard(t, guard.Options{AccessKeyID: keyID, Origins: []string{"http://localhost:3000"}})
	answer := httptest.NewRecorder()
	g.ServeHTTP(answer, call{"OPTIONS", "/b/k", unsigned + "Origin: http://localhost:3000\n" +
		"Access-Control-Request-Method: PUT\nAccess-Control-Request-Headers: authorization,x-amz-date"}.request(t))
	h := answer.Header()
	if answer.Code != http.StatusNoContent || h.Get("Access-Control-Allow-Origin") != "http://localhost:3000" ||
		!strings.Contains(h.Get("Access-Control-Allow-Methods"), "PUT") ||
		h.Get("Access-Control-Allow-Headers") != "authorization,x-amz-date" || last.path != "" {
		t.Errorf("the guard answers the preflight with %d %v; the handler sees %q", answer.Code, h, last.path)
	}
	answer = httptest.NewRecorder()
	g.ServeHTTP(answer, call{"GET", "/b/k", "Origin: http://localhost:3000"}.request(t))
	h = answer.Header()
	if answer.Code != http.StatusOK || h.Get("Access-Control-Allow-Origin") != "http://localhost:3000" || h.Get("Vary") != "Origin" {
		t.Errorf("the guard answers a GET with %d %v", answer.Code, h)
	}
}

// TestAnyCredentials checks that an empty AccessKeyID turns off the credential rule, and no other rule.
func TestAnyCredentials(t *testing.T) {
	t.Parallel()
	g, last := newGuard(t, guard.Options{})
	for _, c := range []call{
		{"PUT", "/b/k", unsigned}, {"POST", "/", json + unsigned}, {"GET", "/", unsigned},
		{"PUT", "/b/k", "Authorization: AWS4-HMAC-SHA256 Credential=x/"},
	} {
		*last = served{}
		if g.ServeHTTP(httptest.NewRecorder(), c.request(t)); last.path == "" {
			t.Errorf("the guard rejects %+v", c)
		}
	}
	for _, c := range []call{{"PUT", "/b/k", "Origin: http://evil.test"}, {"PUT", "/b/k", "Host: evil.test:4566"}} {
		*last = served{}
		if g.ServeHTTP(httptest.NewRecorder(), c.request(t)); last.path != "" {
			t.Errorf("the guard lets %+v through", c)
		}
	}
}

func TestHostAndOriginForms(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"", "*", "*.", "http://x", "x/y", "x:0", "x:99999", "x:y", "a b", "a,b", "user@x", "a.*.b", "x?y", "x#y"} {
		_, err := guard.New(guard.Options{Port: port, Hosts: []string{host}}, nil)
		if err == nil || !strings.Contains(err.Error(), "--allow-host "+fmt.Sprintf("%q", host)) {
			t.Errorf("--allow-host %q: error %v, want one that names the host", host, err)
		}
	}
	for _, origin := range []string{
		"", "*", "null", "localhost:3000", "http://", "http://:80", "ftp://x",
		"http://x/y", "http://x?y", "http://x#y", "http://u@x", "http://*.x", "http:x",
	} {
		_, err := guard.New(guard.Options{Port: port, Origins: []string{origin}}, nil)
		if err == nil || !strings.Contains(err.Error(), "--allow-origin "+fmt.Sprintf("%q", origin)) {
			t.Errorf("--allow-origin %q: error %v, want one that names the origin", origin, err)
		}
	}
	for _, host := range []string{"stack", "STACK", "stack:80", "[fd00::2]", "[fd00::2]:80", "192.0.2.1", "*.stack", "my_stack"} {
		if _, err := guard.New(guard.Options{Port: port, Hosts: []string{host}}, nil); err != nil {
			t.Errorf("--allow-host %q: %v", host, err)
		}
	}
}

// TestSendingClientReadsRejection checks a client that sends its whole body before it reads the response.
func TestSendingClientReadsRejection(t *testing.T) {
	t.Parallel()
	listener := httptest.NewUnstartedServer(nil)
	g, err := guard.New(guard.Options{Port: listener.Listener.Addr().(*net.TCPAddr).Port, AccessKeyID: keyID}, nil)
	if err != nil {
		t.Fatal(err)
	}
	listener.Config.Handler = g
	listener.Start()
	t.Cleanup(listener.Close)
	const size = 20 << 20
	connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	const head = "PUT /b/k HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n"
	if _, err := fmt.Fprintf(connection, head, listener.Listener.Addr(), size); err != nil {
		t.Fatal(err)
	}
	if _, err := connection.Write(make([]byte, size)); err != nil {
		t.Fatalf("sending the body: %v", err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusForbidden || !strings.Contains(string(body), "modeldispatch local env") {
		t.Errorf("the client reads %d %s, %v, want 403 with a hint", answer.StatusCode, body, err)
	}
}
