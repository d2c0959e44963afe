// Package guard stands in front of all endpoints of the local stack and lets only the developer's
// own programs through.
//
// The stack listens on loopback, and it runs commands. Each web page that the developer visits can
// send requests to loopback, too. The guard refuses what a page can send, by four rules:
//
//   - Host. The Host header names this machine and this port. A page that points its own domain
//     name at 127.0.0.1 (DNS rebinding) sends that name.
//   - Origin. A request that changes something comes from no web page, or from a page of this very
//     address. A browser names the page in Origin and Sec-Fetch-Site, which a page cannot forge.
//   - Credential. A request carries the project's access key id, which a page does not know. Only
//     GET and HEAD of an object work without. Signatures are not verified: the id is the secret
//     here, and verification would refuse clients behind proxies and with other clocks.
//   - Answer. A browser does not run an object as a page of this address (Content-Security-Policy:
//     sandbox), does not guess another content type, and does not hand it to other pages.
//
// A refusal is an AWS error in the protocol of the request, with status 403 and what to do instead.
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

// Options say what the guard lets through.
type Options struct {
	// Port is the port of the endpoint. A Host header has it.
	Port int
	// Hosts are further hosts, each NAME or NAME:PORT. *.NAME lets any one bucket stand before the name.
	Hosts []string
	// Origins are the web apps that may call the endpoint, each as http://HOST:PORT.
	Origins []string
	// AccessKeyID is the id that requests carry. "" lets any request through, signed or not.
	AccessKeyID string
}

// Guard is a handler that checks requests and hands them on.
type Guard struct {
	hosts   hosts
	origins []string
	keyID   string
	next    http.Handler
}

// New returns a guard in front of a handler. Its errors name the host or origin that has a wrong form.
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

// ServeHTTP refuses a request, or hands it on with the bucket of its Host in its path.
func (g *Guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	origin := r.Header.Get("Origin")
	admitted := slices.Contains(g.origins, strings.ToLower(origin))
	answer := &answer{ResponseWriter: w}
	if admitted {
		answer.origin = origin
	}
	bucket, known := g.hosts.find(r.Host)
	if !known {
		const why = "the local stack does not answer to the host %q; call %s, or start it with --allow-host %[1]s"
		refuse(answer, r, accessDenied(r), fmt.Sprintf(why, r.Host, g.hosts.own()))
		return
	}
	if bucket != "" {
		intoPath(r, bucket)
	}
	if r.Method == http.MethodOptions {
		g.preflight(answer, r, admitted)
		return
	}
	if why := crossSite(r); changes(r) && !admitted && why != "" {
		refuse(answer, r, accessDenied(r), why+"; web pages may not change anything here: "+ownApp)
		return
	}
	if code, why := g.denial(r); code != "" {
		refuse(answer, r, code, why)
		return
	}
	g.next.ServeHTTP(answer, r)
	answer.end()
}

// ownApp tells the developer how to let a page through.
const ownApp = "start it with --allow-origin URL for a web app of your own"

// intoPath moves the bucket from the Host into the path, where the endpoint looks for it.
func intoPath(r *http.Request, bucket string) {
	r.URL.Path = "/" + bucket + r.URL.Path
	if r.URL.RawPath != "" {
		r.URL.RawPath = "/" + bucket + r.URL.RawPath
	}
}

// changes reports whether a request may change something. The JSON protocols POST their reads, too.
func changes(r *http.Request) bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead || isJSON(r)
}

// crossSite returns the reason for which a request comes from a web page of another origin, or "".
// http.CrossOriginProtection believes one of the two headers; here both have to be right.
func crossSite(r *http.Request) string {
	origins, sites := r.Header.Values("Origin"), r.Header.Values("Sec-Fetch-Site")
	for _, origin := range origins {
		if !strings.EqualFold(origin, "http://"+r.Host) {
			return fmt.Sprintf("the request comes from a page of the origin %q", origin)
		}
	}
	for _, site := range sites {
		if site != "none" && site != "same-origin" {
			return fmt.Sprintf("the browser says of the request Sec-Fetch-Site: %q", site)
		}
	}
	return ""
}

// preflight answers the question of a browser whether a page may send a request.
func (g *Guard) preflight(w http.ResponseWriter, r *http.Request, admitted bool) {
	if !admitted {
		refuse(w, r, accessDenied(r), fmt.Sprintf("pages of the origin %q may not call the local stack: %s", r.Header.Get("Origin"), ownApp))
		return
	}
	w.Header().Set("Access-Control-Allow-Methods", "GET, HEAD, PUT, POST, DELETE")
	w.Header().Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
	w.WriteHeader(http.StatusNoContent)
}

// answer is a response with the headers that keep browsers from running or sharing what is in it.
type answer struct {
	http.ResponseWriter
	origin string // of the web app that may read the response; "" where none may
	begun  bool
}

// cors are the headers by which gofakes3 and a preflight allow pages to read a response.
const cors = "Access-Control-"

// WriteHeader sets the headers last: nothing behind the guard can loosen them.
func (a *answer) WriteHeader(status int) {
	if !a.begun {
		a.begun = true
		a.protect()
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) protect() {
	h := a.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	for name := range h {
		if strings.HasPrefix(name, cors) && a.origin == "" {
			h.Del(name)
		}
	}
	if a.origin != "" {
		h.Set(cors+"Allow-Origin", a.origin)
		h.Set(cors+"Expose-Headers", "*")
		h.Add("Vary", "Origin")
	}
}

// Write begins the response as WriteHeader does.
func (a *answer) Write(p []byte) (int, error) {
	if !a.begun {
		a.WriteHeader(http.StatusOK)
	}
	return a.ResponseWriter.Write(p)
}

// end begins a response that nothing was written to, such as an empty object's.
func (a *answer) end() {
	if !a.begun {
		a.WriteHeader(http.StatusOK)
	}
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// isJSON reports whether a request speaks one of AWS's JSON protocols; all others speak S3's XML.
func isJSON(r *http.Request) bool { return r.Header.Get("X-Amz-Target") != "" }

// accessDenied returns the error code for a caller that may not do this, in the request's protocol.
func accessDenied(r *http.Request) string {
	if isJSON(r) {
		return "AccessDeniedException"
	}
	return "AccessDenied"
}

// drainTime bounds how long a refused client may go on sending.
const drainTime = 10 * time.Second

// drain reads the body of a refused request: a client that is still sending would lose the connection before it reads why. A
// client that waits for permission to send gets none.
func drain(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Expect") != "" {
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(drainTime)) // where there is no connection, there is no need
	_, _ = io.Copy(io.Discard, r.Body)
}

// statuses are the statuses of codes other than 403.
var statuses = map[string]int{"MalformedPOSTRequest": http.StatusBadRequest}

// refuse answers with an AWS error.
func refuse(w http.ResponseWriter, r *http.Request, code, message string) {
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
	_ = xml.NewEncoder(w).Encode(body) // a client that has gone needs no answer
}
