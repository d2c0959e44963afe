// Package guard protects the endpoints of the local stack from web pages. Every HTTP request passes
// the guard before S3, SQS, ECS or EventBridge sees it.
//
// The stack listens on loopback, and it runs commands. Any web page that the developer visits can
// send requests to loopback too. The guard applies four rules:
//
//   - Host. The Host header must name this machine and the stack's port. A page that points its own
//     domain name at 127.0.0.1 (DNS rebinding) sends that domain name instead.
//   - Origin. A request that may change something must not come from a web page of another origin.
//     A browser names the page in Origin and Sec-Fetch-Site, and a page cannot forge these headers.
//   - Credential. A request must carry the project's access key id, which a page does not know. Only GET and HEAD of an
//     object need no id. The guard does not verify signatures: here the id is the secret, and verification would reject
//     clients behind a proxy or with a wrong clock.
//   - Response. Each response carries headers that stop a browser from running an object as a page of the stack
//     (Content-Security-Policy: sandbox), from guessing another content type, and from giving the content to other
//     pages (Cross-Origin-Resource-Policy). The guard removes CORS headers, except for an allowed origin.
//
// Terms:
//
//   - An origin is the scheme, host and port of a web page, as in http://localhost:3000.
//   - An allowed origin is a web app that the developer lets through with --allow-origin. Its requests still need the
//     credential.
//   - CORS headers are the headers Access-Control-… of a response. With them a server lets pages of another origin read
//     the response.
//   - A preflight is an OPTIONS request by which a browser asks whether a page of another origin may send a request.
//   - A form is the body of an upload by an HTML form (POST, multipart/form-data), as a presigned POST sends it. It
//     carries the access key id in one of its fields.
//   - An allowed host is a further name of the stack, from --allow-host, such as the name by which a
//     container calls it.
//   - A bucket in the host stands before a known name, as in landing.localhost. The guard moves it to
//     the front of the path, because the local S3 looks for the bucket there.
//
// Entry points: New builds a Guard from Options in front of a handler. Guard.ServeHTTP checks a request in this order:
// the host; a preflight; the origin, if the request may change something; the credential (Guard.denial).
//
// Guard.preflight answers every OPTIONS request itself. An allowed origin gets status 204 with CORS headers, and needs
// no credential for it. All others are rejected.
//
// A web page of another origin that sends a GET without the id: for an object, the guard passes the request on, but the
// browser does not let the page read the response, because it has no CORS headers. For anything else, such as a list of
// objects, the guard rejects the request.
//
// A rejection is an AWS error in the protocol of the request, with a hint for the developer:
//
//	cause                        status  code for S3            code for the JSON protocols
//	host, preflight, origin      403     AccessDenied           AccessDeniedException
//	no credential                403     AccessDenied           MissingAuthenticationTokenException
//	wrong access key id          403     InvalidAccessKeyId     UnrecognizedClientException
//	a form that cannot be read   400     MalformedPOSTRequest   -
//
// The guard keeps no state and writes no log.
package guard

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"modeldispatch/internal/local/awsjson"
)

// Options configures a Guard.
type Options struct {
	// Port is the port of the endpoint. The Host header of a request must have it.
	Port int
	// Hosts lists the allowed hosts beside loopback, each NAME or NAME:PORT. *.NAME allows a bucket before the name.
	Hosts []string
	// Origins lists the web apps that may call the endpoint, each as http://HOST:PORT or https://HOST:PORT.
	Origins []string
	// AccessKeyID is the id that requests must carry. "" turns the credential rule off; the other rules still hold.
	AccessKeyID string
}

// Guard is a handler that checks requests and passes the allowed ones to the next handler.
type Guard struct {
	hosts   hosts
	origins []string
	keyID   string
	next    http.Handler
}

// New returns a guard in front of a handler. It returns an error that names the first host or origin with a wrong form.
func New(o Options, next http.Handler) (*Guard, error) {
	allowed, err := newHosts(o.Port, o.Hosts)
	if err != nil {
		return nil, err
	}
	g := &Guard{hosts: allowed, keyID: o.AccessKeyID, next: next}
	for _, text := range o.Origins {
		origin, err := parseOrigin(text)
		if err != nil {
			return nil, err
		}
		g.origins = append(g.origins, origin)
	}
	return g, nil
}

// ServeHTTP rejects a request, or passes it on. If the Host header starts with a bucket, the path then starts with it.
func (g *Guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	origin := r.Header.Get("Origin")
	allowed := slices.Contains(g.origins, strings.ToLower(origin))
	response := &safeResponse{ResponseWriter: w}
	if allowed {
		response.origin = origin
	}
	bucket, known := g.hosts.match(r.Host)
	if !known {
		const why = "the local stack does not answer to the host %q: call %s, or start the stack with --allow-host %[1]s"
		reject(response, r, accessDenied(r), fmt.Sprintf(why, r.Host, g.hosts.own()))
		return
	}
	if bucket != "" {
		moveBucketToPath(r, bucket)
	}
	if r.Method == http.MethodOptions {
		g.preflight(response, r, allowed)
		return
	}
	if why := crossSite(r); mayChange(r) && !allowed && why != "" {
		reject(response, r, accessDenied(r), why+"; web pages may not change anything in the local stack: "+originHint)
		return
	}
	if code, why := g.denial(r); code != "" {
		reject(response, r, code, why)
		return
	}
	g.next.ServeHTTP(response, r)
	response.finish()
}

// originHint tells the developer how to let a web app through.
const originHint = "to allow a web app of your own, start the stack with --allow-origin URL"

// moveBucketToPath puts the bucket of the Host header before the path, where the local S3 expects it.
func moveBucketToPath(r *http.Request, bucket string) {
	r.URL.Path = "/" + bucket + r.URL.Path
	if r.URL.RawPath != "" {
		r.URL.RawPath = "/" + bucket + r.URL.RawPath
	}
}

// mayChange reports whether a request may change something. GET and HEAD of S3 cannot; every other method can, and so
// can every call of a JSON protocol.
func mayChange(r *http.Request) bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead || isJSON(r)
}

// crossSite returns why a request seems to come from a web page of another origin, or "" if it does not. Both headers
// must be right. http.CrossOriginProtection of the standard library is content with one of the two.
func crossSite(r *http.Request) string {
	origins, sites := r.Header.Values("Origin"), r.Header.Values("Sec-Fetch-Site")
	for _, origin := range origins {
		if !strings.EqualFold(origin, "http://"+r.Host) {
			return fmt.Sprintf("the request comes from a web page of the origin %q", origin)
		}
	}
	for _, site := range sites {
		if site != "none" && site != "same-origin" {
			return fmt.Sprintf("the browser sent Sec-Fetch-Site: %q with the request", site)
		}
	}
	return ""
}

// preflight answers an OPTIONS request, by which a browser asks whether a page may send a request.
func (g *Guard) preflight(w http.ResponseWriter, r *http.Request, allowed bool) {
	if !allowed {
		const why = "web pages of the origin %q may not call the local stack: %s"
		reject(w, r, accessDenied(r), fmt.Sprintf(why, r.Header.Get("Origin"), originHint))
		return
	}
	w.Header().Set("Access-Control-Allow-Methods", "GET, HEAD, PUT, POST, DELETE")
	w.Header().Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
	w.WriteHeader(http.StatusNoContent)
}

// safeResponse adds the headers that stop a browser from running the content of a response or giving it to other pages.
type safeResponse struct {
	http.ResponseWriter
	origin      string // the allowed web app that may read the response; "" if no page may
	wroteHeader bool
}

// cors begins the names of the headers that let web pages read a response. gofakes3 and a preflight set such headers.
const cors = "Access-Control-"

// WriteHeader sets the protecting headers as the last step, so no handler behind the guard can weaken them.
func (s *safeResponse) WriteHeader(status int) {
	if !s.wroteHeader {
		s.wroteHeader = true
		s.protect()
	}
	s.ResponseWriter.WriteHeader(status)
}

// protect sets the headers that protect a response. It removes CORS headers unless an allowed web app sent the request.
func (s *safeResponse) protect() {
	h := s.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	for name := range h {
		if strings.HasPrefix(name, cors) && s.origin == "" {
			h.Del(name)
		}
	}
	if s.origin != "" {
		h.Set(cors+"Allow-Origin", s.origin)
		h.Set(cors+"Expose-Headers", "*")
		h.Add("Vary", "Origin")
	}
}

// Write writes the header first, as http.ResponseWriter does.
func (s *safeResponse) Write(p []byte) (int, error) {
	if !s.wroteHeader {
		s.WriteHeader(http.StatusOK)
	}
	return s.ResponseWriter.Write(p)
}

// finish writes the header of a response whose handler wrote nothing, such as the response for an empty object.
func (s *safeResponse) finish() {
	if !s.wroteHeader {
		s.WriteHeader(http.StatusOK)
	}
}

// Unwrap lets http.ResponseController reach the connection.
func (s *safeResponse) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// isJSON reports whether a request uses one of AWS's JSON protocols. The guard answers all others in the XML of S3.
func isJSON(r *http.Request) bool { return r.Header.Get("X-Amz-Target") != "" }

// accessDenied returns the code of the access-denied error in the request's protocol.
func accessDenied(r *http.Request) string {
	if isJSON(r) {
		return "AccessDeniedException"
	}
	return "AccessDenied"
}

// drainTime limits how long a rejected client may continue to send.
const drainTime = 10 * time.Second

// drain reads and drops the body of a rejected request. Without it, a client that is still sending would lose the
// connection before it reads the error. A client that sent Expect: 100-continue has not started its body, so drain
// skips it.
func drain(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Expect") != "" {
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(drainTime)) // fails in tests only, which have no connection
	_, _ = io.Copy(io.Discard, r.Body)
}

// statuses maps error codes to their HTTP status. Codes that are missing here have status 403.
var statuses = map[string]int{"MalformedPOSTRequest": http.StatusBadRequest}

// reject answers a request with an AWS error in the request's protocol. HEAD gets the status without a body.
func reject(w http.ResponseWriter, r *http.Request, code, message string) {
	drain(w, r)
	status := cmp.Or(statuses[code], http.StatusForbidden)
	if isJSON(r) {
		(&awsjson.Error{Type: code, Message: message, Status: status}).Write(w, "1.1")
		return
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	body := struct {
		XMLName   xml.Name `xml:"Error"`
		Code      string
		Message   string
		RequestID string `xml:"RequestId"`
	}{Code: code, Message: message, RequestID: uuid.NewString()}
	_, _ = w.Write([]byte(xml.Header))
	_ = xml.NewEncoder(w).Encode(body) // fails only if the client has gone
}
