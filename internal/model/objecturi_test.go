package model_test

import (
	"strings"
	"testing"

	"modeldispatch/internal/model"
)

func TestParseObjectURI(t *testing.T) {
	t.Parallel()
	long := "s3://landing/" + strings.Repeat("k", 1024)
	for _, c := range []struct {
		text string
		want model.ObjectURI
		bad  string // part of the error
	}{
		{text: "s3://landing/a.csv", want: model.ObjectURI{Bucket: "landing", Key: "a.csv"}},
		{text: "s3://landing//a b%20ü/", want: model.ObjectURI{Bucket: "landing", Key: "/a b%20ü/"}},
		{text: long, want: model.ObjectURI{Bucket: "landing", Key: strings.Repeat("k", 1024)}},
		{text: long + "k", bad: "has a key of 1025 bytes, and S3 takes 1024"},
		{text: "s3://landing", bad: "is not an S3 URI of the form s3://bucket/key"},
		{text: "s3://landing/", bad: "is not an S3 URI of the form s3://bucket/key"},
		{text: "s3:///a.csv", bad: "is not an S3 URI of the form s3://bucket/key"},
		{text: "landing/a.csv", bad: "is not an S3 URI of the form s3://bucket/key"},
		{text: "S3://landing/a.csv", bad: "is not an S3 URI of the form s3://bucket/key"},
		{text: "s3://Landing/a.csv", bad: `bucket "Landing" is not a valid name: use 3 to 63`},
	} {
		got, err := model.ParseObjectURI(c.text)
		if c.bad != "" {
			if err == nil || !strings.Contains(err.Error(), c.bad) {
				t.Errorf("%s gives %v, %v; want an error with %q", c.text, got, err, c.bad)
			}
			continue
		}
		if err != nil || got != c.want || got.String() != c.text {
			t.Errorf("%s gives %+v, written as %[2]s, error %v; want %+[4]v", c.text, got, err, c.want)
		}
	}
}

func TestObjectPrefix(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"s3://landing/sales/{region}/{date}.csv": "s3://landing/sales/",
		"s3://landing/{region}.csv":              "s3://landing/",
		"s3://landing/rates.csv":                 "s3://landing/rates.csv",
		"s3://landing-{region}/rates.csv":        "", // the bucket depends on an input
		"s3://{uri}":                             "",
		"{uri}":                                  "",
		"eu":                                     "",
	} {
		template, err := model.ParseTemplate(text)
		if err != nil {
			t.Fatal(err)
		}
		got, found := template.ObjectPrefix()
		if found != (want != "") || found && got.String() != want {
			t.Errorf("%s begins with %s, %v; want %q", text, got, found, want)
		}
	}
}
