package guard

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// hosts are the hosts that a request may name, each as host:port in lower case.
type hosts struct {
	first   string
	exact   map[string]bool
	parents []string // ".localhost:4566": a bucket stands before it
}

// standard are the names of loopback. A browser resolves each name below localhost to loopback, too.
var standard = []string{"127.0.0.1", "localhost", "[::1]", "*.localhost"}

func newHosts(port int, further []string) (hosts, error) {
	h := hosts{exact: map[string]bool{}}
	for _, text := range append(standard, further...) {
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

// own returns the address that a caller should use.
func (h hosts) own() string { return "http://" + h.first }

// find reports whether a Host header is known, and the bucket in it, if any.
func (h hosts) find(header string) (bucket string, known bool) {
	host := strings.ToLower(header)
	if name, port := splitPort(host); port == "" { // HTTP leaves out port 80
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

// parseHost reads NAME, NAME:PORT, ADDRESS or *.NAME, and returns it with a port.
func parseHost(text string, port int) (string, error) {
	name, own := splitPort(strings.ToLower(text))
	if own == "" {
		own = strconv.Itoa(port)
	}
	n, err := strconv.ParseUint(own, 10, 16)
	bare := strings.TrimPrefix(name, "*.")
	u, urlErr := url.Parse("http://" + bare)
	if err != nil || n == 0 || urlErr != nil || bare == "" || u.Host != bare || u.Path != "" || strings.ContainsAny(bare, "*@ ,") {
		return "", fmt.Errorf("--allow-host %q is no host: write NAME, NAME:PORT or *.NAME, as host.docker.internal", text)
	}
	return net.JoinHostPort(strings.Trim(name, "[]"), own), nil
}

// splitPort splits host:port. A host without a port, bracketed or not, comes back with "".
func splitPort(host string) (name, port string) {
	if name, port, err := net.SplitHostPort(host); err == nil {
		if strings.Contains(name, ":") {
			name = "[" + name + "]"
		}
		return name, port
	}
	return host, ""
}

// parseOrigin reads the origin of a web app, and returns it as a browser sends it: in lower case,
// without the port that the scheme implies.
func parseOrigin(text string) (string, error) {
	u, err := url.Parse(strings.TrimSuffix(strings.ToLower(text), "/"))
	known := err == nil && implied[u.Scheme] != "" && u.Hostname() != "" && !strings.Contains(u.Host, "*")
	if !known || *u != (url.URL{Scheme: u.Scheme, Host: u.Host}) {
		return "", fmt.Errorf("--allow-origin %q is no origin: write it as a browser sends it, as http://localhost:3000", text)
	}
	return u.Scheme + "://" + strings.TrimSuffix(u.Host, implied[u.Scheme]), nil
}

// implied are the ports that an origin leaves out.
var implied = map[string]string{"http": ":80", "https": ":443"}
