package model

import (
	"fmt"
	"regexp"
	"strings"
)

// ObjectURI is the URI of an S3 object: s3://bucket/key. Its key is not encoded.
type ObjectURI struct {
	Bucket string
	Key    string
}

// ObjectScheme begins the URI of every S3 object.
const ObjectScheme = "s3://"

// String returns the URI as text.
func (u ObjectURI) String() string { return ObjectScheme + u.Bucket + "/" + u.Key }

// CutObjectURI splits a text of the form s3://bucket/key, and reports whether it has that form. It checks neither the
// bucket nor the key, which may be empty: the text may be a pattern, or a template.
func CutObjectURI(text string) (ObjectURI, bool) {
	rest, isURI := strings.CutPrefix(text, ObjectScheme)
	bucket, key, slash := strings.Cut(rest, "/")
	if !isURI || !slash {
		return ObjectURI{}, false
	}
	return ObjectURI{bucket, key}, true
}

// ParseObjectURI reads the URI of an S3 object. It returns an error if the text does not have the form s3://bucket/key,
// if the bucket has no valid name, or if the key is longer than S3 allows.
func ParseObjectURI(text string) (ObjectURI, error) {
	u, isURI := CutObjectURI(text)
	switch {
	case !isURI || u.Bucket == "" || u.Key == "":
		return ObjectURI{}, fmt.Errorf("%s is not an S3 URI of the form s3://bucket/key", quote(text))
	case !IsBucket(u.Bucket):
		return ObjectURI{}, fmt.Errorf("bucket %s is not a valid name: %s", quote(u.Bucket), BucketRule)
	case len(u.Key) > maxKey:
		return ObjectURI{}, fmt.Errorf("%s has a key of %d bytes, and S3 takes %d", quote(text), len(u.Key), maxKey)
	}
	return u, nil
}

// ObjectPrefix returns the text with which every object begins whose URI the template gives: the bucket, and the beginning
// of the key up to the first placeholder. It reports false if the bucket depends on a placeholder, or if the template
// gives no URI of an S3 object.
func (t Template) ObjectPrefix() (ObjectURI, bool) {
	literal, _, _ := strings.Cut(t.source, "{")
	return CutObjectURI(literal)
}

// maxKey is the greatest length of a key in bytes (Amazon S3 user guide, "Naming Amazon S3 objects").
const maxKey = 1024

// BucketRule is the rule for bucket names, for error texts.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
const BucketRule = "use 3 to 63 lowercase letters, digits, hyphens and single dots, starting and ending with a letter or digit"

// IsBucket reports whether a name follows BucketRule.
func IsBucket(name string) bool { return bucketForm.MatchString(name) && !strings.Contains(name, "..") }

var bucketForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
