package s3

import (
	"context"
	"io"
	"maps"

	"github.com/rclone/gofakes3"

	"modeldispatch/internal/model"
)

var _ gofakes3.ObjectTaggingBackend = (*backend)(nil)

// SetObjectTagging implements gofakes3.ObjectTaggingBackend. It writes a new file with the same body and the new
// record, because body and record are one file. It does not call Options.OnCreated. It returns OperationAborted if
// another request replaces the object meanwhile.
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

// replace publishes a draft as the file of an object, if the object still has the sequencer of before.
func (b *backend) replace(name string, d *draft, before, after record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	in := b.buckets[name]
	if in == nil || in.records[before.Key].Sequencer != before.Sequencer {
		return newStatusError("OperationAborted", gofakes3.ErrBucketNotEmpty,
			"%s was changed by another request: try again.", model.ObjectURI{Bucket: name, Key: before.Key})
	}
	if err := d.publish(in.file(after.Key), &after); err != nil {
		return err
	}
	in.add(after)
	return nil
}
