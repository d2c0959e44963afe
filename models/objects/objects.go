// Package objects reads and writes S3 objects by their URI. The models written in Go use it, and
// s3cp does for the others.
//
// A model finds its URIs in its environment: INPUT_<NAME> holds that of an s3-uri input or of an
// input given as a file, OUTPUT_<NAME> that of an output it has to leave. In AWS the task role
// opens the bucket; on a laptop AWS_ENDPOINT_URL_S3 leads to the local S3.
package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// ErrNotThere is the error of reading an object that does not exist.
var ErrNotThere = errors.New("there is no such object")

// Store is S3, as this machine's AWS configuration opens it.
type Store struct{ client *s3.Client }

// Open configures a Store from the environment, as any AWS SDK does.
func Open(ctx context.Context) (*Store, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("AWS configuration: %w", err)
	}
	return New(s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = o.BaseEndpoint != nil // a local S3 has no host name for each bucket
	})), nil
}

// New is a Store over a client of the caller's.
func New(client *s3.Client) *Store { return &Store{client} }

// Get opens an object for reading. A missing one is ErrNotThere.
func (s *Store) Get(ctx context.Context, uri string) (io.ReadCloser, error) {
	bucket, key, err := split(uri)
	if err != nil {
		return nil, err
	}
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	var absent *types.NoSuchKey
	if errors.As(err, &absent) {
		return nil, fmt.Errorf("read %s: %w", uri, ErrNotThere)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", uri, err)
	}
	return out.Body, nil
}

// Put writes an object, whole or not at all.
func (s *Store) Put(ctx context.Context, uri, contentType string, content io.ReadSeeker) error {
	bucket, key, err := split(uri)
	if err != nil {
		return err
	}
	_, err = s.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: content, ContentType: aws.String(contentType)})
	if err != nil {
		return fmt.Errorf("write %s: %w", uri, err)
	}
	return nil
}

// IsURI tells an object's URI from a file's path.
func IsURI(text string) bool { return strings.HasPrefix(text, "s3://") }

// split takes a URI apart. Its key is the object's key letter for letter: nothing in it is escaped.
func split(uri string) (bucket, key string, err error) {
	bucket, key, _ = strings.Cut(strings.TrimPrefix(uri, "s3://"), "/")
	if !IsURI(uri) || bucket == "" || key == "" {
		return "", "", fmt.Errorf("%q is not an S3 URI of the form s3://bucket/key", uri)
	}
	return bucket, key, nil
}
