package objects_test

import (
	"errors"
	"strings"
	"testing"

	"modeldispatch/models/objects"
	"modeldispatch/models/objects/objectstest"
)

func TestPutThenGet(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"a.csv", "weather/new york/2013.csv", "a+b/100%/%2B.csv", "größe/☂.csv"} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			store, uri := objectstest.Open(t, "landing"), "s3://landing/"+key
			objectstest.Put(t, store, uri, "a,b\n1,2\n")
			if content := objectstest.Get(t, store, uri); content != "a,b\n1,2\n" {
				t.Errorf("Get returned %q, want what Put wrote", content)
			}
		})
	}
}

func TestMissingObjectsAndBuckets(t *testing.T) {
	t.Parallel()
	store := objectstest.Open(t, "landing")
	_, err := store.Get(t.Context(), "s3://landing/absent.csv")
	if !errors.Is(err, objects.ErrNotFound) || !strings.Contains(err.Error(), "s3://landing/absent.csv") {
		t.Errorf("Get of a missing object = %v, want ErrNotFound and the URI", err)
	}
	if _, err := store.Get(t.Context(), "s3://nowhere/a.csv"); err == nil || !strings.Contains(err.Error(), "NoSuchBucket") {
		t.Errorf("Get from a missing bucket = %v, want NoSuchBucket", err)
	}
}

func TestInvalidURIs(t *testing.T) {
	t.Parallel()
	store := objectstest.Open(t)
	for _, uri := range []string{"", "a.csv", "/a/b", "s3://", "s3://landing", "s3://landing/", "s3:///a", "https://landing/a"} {
		if _, err := store.Get(t.Context(), uri); err == nil || !strings.Contains(err.Error(), "s3://bucket/key") {
			t.Errorf("Get(%q) = %v, want an error with the correct form", uri, err)
		}
		if err := store.Put(t.Context(), uri, "text/csv", strings.NewReader("")); err == nil {
			t.Errorf("Put(%q) succeeded, want an error", uri)
		}
	}
}
