// Package objects reads and writes S3 objects by their URIs. The sample models in Go use it directly. The models in
// other languages use it through the command s3cp.
//
// A task finds the URIs in its environment. INPUT_<NAME> holds the URI of an input of type s3-uri, or of an input that
// is passed as a file (`as: file`). OUTPUT_<NAME> holds the URI of an output that the task must write. In AWS, the task
// role grants access to the buckets. On a laptop, AWS_ENDPOINT_URL_S3 points to the local S3.
//
// Open returns a Store that is configured from the environment, and Store.Get and Store.Put read and write objects. Get
// returns ErrNotFound for a missing object only if the task may list the bucket: otherwise S3 answers "access denied".
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

// ErrNotFound is the error that Get wraps when the object does not exist.
var ErrNotFound = errors.New("there is no such object")

// Store reads and writes S3 objects.
type Store struct{ client *s3.Client }

// Open returns a Store that takes its configuration and credentials from the environment, like any AWS SDK.
func Open(ctx context.Context) (*Store, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("AWS configuration: %w", err)
	}
	return New(s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = o.BaseEndpoint != nil // the local S3 has no host name for each bucket
	})), nil
}

// New returns a Store that uses client.
func New(client *s3.Client) *Store { return &Store{client} }

// Get opens an object for reading. The caller closes it. Get returns ErrNotFound if the object does not exist.
func (s *Store) Get(ctx context.Context, uri string) (io.ReadCloser, error) {
	bucket, key, err := split(uri)
	if err != nil {
		return nil, err
	}
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	var absent *types.NoSuchKey
	if errors.As(err, &absent) {
		return nil, fmt.Errorf("read %s: %w", uri, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", uri, err)
	}
	return out.Body, nil
}

// Put writes an object. Readers see the whole object or the previous one.
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

// IsURI reports whether text is the URI of an object, and not the path of a file.
func IsURI(text string) bool { return strings.HasPrefix(text, "s3://") }

// split returns the bucket and the key of a URI. A URI contains the key unescaped.
func split(uri string) (bucket, key string, err error) {
	bucket, key, _ = strings.Cut(strings.TrimPrefix(uri, "s3://"), "/")
	if !IsURI(uri) || bucket == "" || key == "" {
		return "", "", fmt.Errorf("%q is not an S3 URI of the form s3://bucket/key", uri)
	}
	return bucket, key, nil
}
