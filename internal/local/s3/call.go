package s3

import (
	"context"
	"io"
	"net/http"
)

// call holds what the storage needs to know of a request, and gofakes3 does not hand on.
type call struct {
	operation string
	encoded   bool        // a listing carries any key
	payload   *payload    // nil if there is none to check
	answer    http.Header // of the response
}

type callKey struct{}

// callOf returns the call of a request, or an empty one for what the stack itself stores.
func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{}
}

// verify returns an error if the request's body is not what its client says of it.
func (c *call) verify() error {
	if c.payload == nil {
		return nil
	}
	return c.payload.verify()
}

// checksum returns the header and value of the checksum that the client gave for an object, or "".
func (c *call) checksum() (name, value string) {
	if c.operation != PutObject || c.payload.checksum == nil {
		return "", ""
	}
	return c.payload.checksum.header, c.payload.checksum.value
}

// confirm puts the checksum of an object or a part that was stored into the answer.
func (c *call) confirm() {
	if c.payload != nil && c.payload.checksum != nil {
		c.answer.Set(c.payload.checksum.header, c.payload.checksum.value)
	}
}

// drain reads what is left of a request's body. A client that is still sending would lose the
// connection before it reads why its request is refused. A client that waits for permission to send gets none.
func (c *call) drain(r *http.Request) {
	if r.Header.Get("Expect") == "" || c.payload != nil && c.payload.begun {
		_, _ = io.Copy(io.Discard, r.Body)
	}
}
