package s3

import (
	"strings"
	"testing"
	"time"
)

// TestTaggingDoesNotRestoreAnOldBody replaces an object while it is being tagged.
func TestTaggingDoesNotRestoreAnOldBody(t *testing.T) {
	t.Parallel()
	server, err := New(Options{Folder: t.TempDir(), Now: time.Now})
	if err == nil {
		err = server.CreateBucket("bucket")
	}
	if err == nil {
		err = server.Seed("bucket", "k", strings.NewReader("old"))
	}
	if err != nil {
		t.Fatal(err)
	}
	b := server.backend
	before := b.buckets["bucket"].records["k"]
	d, err := newDraft(b.incoming())
	if err == nil {
		err = d.fill(t.Context(), strings.NewReader("old"), 3)
	}
	if err == nil {
		err = server.Seed("bucket", "k", strings.NewReader("new!"))
	}
	if err != nil {
		t.Fatal(err)
	}
	err = b.replace("bucket", d, before, before)
	if err == nil || !strings.Contains(err.Error(), "OperationAborted") || asS3Error(err).ErrorCode().Status() != 409 {
		t.Errorf("tagging of a replaced object: %v, want OperationAborted with status 409", err)
	}
	o, err := b.GetObject(t.Context(), "bucket", "k", nil)
	if err != nil || o.Size != 4 {
		t.Errorf("the object is %+v, %v", o, err)
	}
	_ = o.Contents.Close()
	d.discard()
}
