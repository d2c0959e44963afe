package s3

import (
	"context"
	"io"
	"maps"

	"github.com/rclone/gofakes3"
)

var _ gofakes3.ObjectTaggingBackend = (*backend)(nil)

// SetObjectTagging implements gofakes3.ObjectTaggingBackend. It writes the object's file anew, with
// the same body: body and record change together.
func (b *backend) SetObjectTagging(ctx context.Context, name, key, tagging string) error {
	from, r, err := b.open(name, key)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	d, err := newDraft(b.incoming())
	if err != nil {
		return err
	}
	defer d.discard()
	if err := d.fill(ctx, io.NewSectionReader(from, 0, r.Size), r.Size); err != nil {
		return err
	}
	tagged := r
	tagged.Metadata = map[string]string{}
	maps.Copy(tagged.Metadata, r.Metadata)
	tagged.Metadata[gofakes3.TaggingMetadataKey] = tagging
	return b.replace(name, d, r, tagged)
}

// replace makes a draft the file of an object, if the object is still the one that was read.
func (b *backend) replace(name string, d *draft, before, after record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	in := b.buckets[name]
	if in == nil || in.records[before.Key].Sequencer != before.Sequencer {
		return refuse("OperationAborted", gofakes3.ErrBucketNotEmpty, "s3://%s/%s changed meanwhile: try again.", name, before.Key)
	}
	if err := d.publish(in.file(after.Key), &after); err != nil {
		return err
	}
	in.add(after)
	return nil
}
