package s3

import (
	"context"
	"io"
	"net/http"
)

// call holds the facts about a request that the storage needs and gofakes3 does not pass on. The request's context
// contains it.
type call struct {
	operation      string      // S3's name, such as PutObject; "" for a sub-resource such as acl
	urlEncoded     bool        // encoding-type=url: the listing can contain any key
	payload        *payload    // nil before newPayload, and for a form
	responseHeader http.Header // of the response to this request
}

type callKey struct{}

// callOf returns the call of a request. It returns an empty call for a context without one: Seed has no request.
func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{}
}

// verify returns an error if the body of the request differs from its headers or trailer.
func (c *call) verify() error {
	if c.payload == nil {
		return nil
	}
	return c.payload.verify()
}

// checksum returns the header and value of the checksum that the client sent with a PutObject, or "".
func (c *call) checksum() (name, value string) {
	if c.operation != PutObject || c.payload.checksum == nil {
		return "", ""
	}
	return c.payload.checksum.header, c.payload.checksum.value
}

// confirm repeats the checksum of a stored object or part in the response, as S3 does.
func (c *call) confirm() {
	if c.payload != nil && c.payload.checksum != nil {
		c.responseHeader.Set(c.payload.checksum.header, c.payload.checksum.value)
	}
}

// drain reads the rest of the request's body. Without that, a client that is still sending would lose the connection
// before it reads why its request was refused. drain does not read from a client that sent an Expect header and still
// waits for 100 Continue: a read would tell it to send the body.
func (c *call) drain(r *http.Request) {
	if r.Header.Get("Expect") == "" || c.payload != nil && c.payload.started {
		_, _ = io.Copy(io.Discard, r.Body)
	}
}
