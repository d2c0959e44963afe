package guard

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// hosts holds the hosts that a request may name, each as host:port in lower case.
type hosts struct {
	first   string
	exact   map[string]bool
	parents []string // suffixes such as ".localhost:4566", which follow a bucket
}

// loopbackHosts lists the names of loopback. Browsers resolve every name below localhost to loopback too.
var loopbackHosts = []string{"127.0.0.1", "localhost", "[::1]", "*.localhost"}

// newHosts returns the hosts of loopback and the extra ones, on the given port unless an extra host has its own.
func newHosts(port int, extra []string) (hosts, error) {
	h := hosts{exact: map[string]bool{}}
	for _, text := range append(loopbackHosts, extra...) {
		host, err := parseHost(text, port)
		if err != nil {
			return h, err
		}
		if parent, isParent := strings.CutPrefix(host, "*"); isParent {
			h.parents = append(h.parents, parent)
			continue
		}
		h.exact[host] = true
		if h.first == "" {
			h.first = host
		}
	}
	return h, nil
}

// own returns the URL of the endpoint by its loopback address, which error texts suggest to callers.
func (h hosts) own() string { return "http://" + h.first }

// match reports whether a Host header names an allowed host, and returns the bucket before the name, or "".
func (h hosts) match(header string) (bucket string, known bool) {
	host := strings.ToLower(header)
	if name, port := splitPort(host); port == "" { // HTTP clients leave out port 80
		host = name + ":80"
	}
	if h.exact[host] {
		return "", true
	}
	for _, parent := range h.parents {
		if bucket, below := strings.CutSuffix(host, parent); below && bucket != "" {
			return bucket, true
		}
	}
	return "", false
}

// parseHost parses NAME, NAME:PORT, ADDRESS or *.NAME, and returns it as host:port. Without a port in the text it uses
// the port of the endpoint.
func parseHost(text string, port int) (string, error) {
	name, number := splitPort(strings.ToLower(text))
	if number == "" {
		number = strconv.Itoa(port)
	}
	n, err := strconv.ParseUint(number, 10, 16)
	bare := strings.TrimPrefix(name, "*.")
	u, urlErr := url.Parse("http://" + bare)
	if err != nil || n == 0 || urlErr != nil || bare == "" || u.Host != bare || u.Path != "" || strings.ContainsAny(bare, "*@ ,") {
		return "", fmt.Errorf("--allow-host %q is not a host: write NAME, NAME:PORT or *.NAME, such as host.docker.internal", text)
	}
	return net.JoinHostPort(strings.Trim(name, "[]"), number), nil
}

// splitPort splits host:port. An IPv6 address keeps its brackets. The port is "" if the host has none.
func splitPort(host string) (name, port string) {
	if name, port, err := net.SplitHostPort(host); err == nil {
		if strings.Contains(name, ":") {
			name = "[" + name + "]"
		}
		return name, port
	}
	return host, ""
}

// parseOrigin parses the origin of a web app, and returns it as a browser sends it: in lower case, without the default
// port of its scheme.
func parseOrigin(text string) (string, error) {
	u, err := url.Parse(strings.TrimSuffix(strings.ToLower(text), "/"))
	known := err == nil && defaultPorts[u.Scheme] != "" && u.Hostname() != "" && !strings.Contains(u.Host, "*")
	if !known || *u != (url.URL{Scheme: u.Scheme, Host: u.Host}) {
		return "", fmt.Errorf("--allow-origin %q is not an origin: write it as a browser sends it, such as http://localhost:3000", text)
	}
	return u.Scheme + "://" + strings.TrimSuffix(u.Host, defaultPorts[u.Scheme]), nil
}

// defaultPorts maps a scheme to the port that an origin leaves out.
var defaultPorts = map[string]string{"http": ":80", "https": ":443"}
