package s3

import (
	"context"
	"errors"
	"os"

	"github.com/rclone/gofakes3"

	"modeldispatch/internal/private"
)

// ListBuckets implements gofakes3.Backend.
func (b *backend) ListBuckets(context.Context) ([]gofakes3.BucketInfo, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var all []gofakes3.BucketInfo
	for name, in := range b.buckets {
		info, err := os.Stat(in.folder)
		if err != nil {
			return nil, err
		}
		all = append(all, gofakes3.BucketInfo{Name: name, CreationDate: gofakes3.NewContentTime(info.ModTime().UTC())})
	}
	return all, nil
}

// BucketExists implements gofakes3.Backend.
func (b *backend) BucketExists(_ context.Context, name string) (bool, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.buckets[name] != nil, nil
}

// CreateBucket implements gofakes3.Backend. It accepts a bucket that exists, as S3 does in us-east-1 for the bucket's
// owner.
func (b *backend) CreateBucket(_ context.Context, name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buckets[name] != nil {
		return nil
	}
	created := newBucket(b.bucketFolder(name))
	if err := private.Folder(created.objects()); err != nil {
		return err
	}
	b.buckets[name] = created
	return nil
}

// DeleteBucket implements gofakes3.Backend.
func (b *backend) DeleteBucket(_ context.Context, name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	in := b.buckets[name]
	if in == nil {
		return gofakes3.BucketNotFound(name)
	}
	if len(in.keys) > 0 {
		return gofakes3.ResourceError(gofakes3.ErrBucketNotEmpty, name)
	}
	if err := os.RemoveAll(in.folder); err != nil {
		return err
	}
	delete(b.buckets, name)
	return nil
}

// DeleteObject implements gofakes3.Backend.
func (b *backend) DeleteObject(_ context.Context, name, key string) (gofakes3.ObjectDeleteResult, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	in := b.buckets[name]
	if in == nil {
		return gofakes3.ObjectDeleteResult{}, gofakes3.BucketNotFound(name)
	}
	err := os.Remove(in.file(key))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return gofakes3.ObjectDeleteResult{}, err
	}
	in.remove(key)
	return gofakes3.ObjectDeleteResult{}, nil
}

// DeleteMulti implements gofakes3.Backend.
func (b *backend) DeleteMulti(ctx context.Context, name string, keys ...string) (gofakes3.MultiDeleteResult, error) {
	var result gofakes3.MultiDeleteResult
	for _, key := range keys {
		if _, err := b.DeleteObject(ctx, name, key); err != nil {
			failed := gofakes3.ErrorResultFromError(err)
			failed.Key = key
			result.Error = append(result.Error, failed)
			continue
		}
		result.Deleted = append(result.Deleted, gofakes3.ObjectID{Key: key})
	}
	return result, nil
}
