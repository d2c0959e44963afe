// Command s3cp copies one object from S3 to a file, or one file to S3, for models that have no S3
// client of their own: scripts in shell, awk or R.
//
//	s3cp s3://bucket/key FILE
//	s3cp FILE s3://bucket/key
//
// An image gets the program itself; on a laptop `go run ../s3cp` stands in for it. The AWS CLI's
// `aws s3 cp` does the same, and weighs a hundred times as much.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"modeldispatch/models/objects"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	store, err := objects.Open(ctx)
	if err == nil {
		err = run(ctx, store, os.Args[1:])
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "s3cp:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, store *objects.Store, args []string) error {
	if len(args) != 2 || objects.IsURI(args[0]) == objects.IsURI(args[1]) {
		return errors.New("one of two arguments must be an object: s3cp s3://bucket/key FILE, or s3cp FILE s3://bucket/key")
	}
	if objects.IsURI(args[0]) {
		return download(ctx, store, args[0], args[1])
	}
	return upload(ctx, store, args[0], args[1])
}

// download leaves no file behind that is not the whole object.
func download(ctx context.Context, store *objects.Store, uri, path string) error {
	body, err := store.Get(ctx, uri)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, body)
	if err := errors.Join(err, file.Close()); err != nil {
		return errors.Join(fmt.Errorf("read %s: %w", uri, err), os.Remove(path))
	}
	return nil
}

func upload(ctx context.Context, store *objects.Store, path, uri string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	return store.Put(ctx, uri, contentType(uri), file)
}

// contentType goes by the object's name, since the file is often a temporary one.
func contentType(uri string) string {
	switch extension := filepath.Ext(uri); {
	case extension == ".csv":
		return "text/csv" // not in every machine's table
	case mime.TypeByExtension(extension) != "":
		return mime.TypeByExtension(extension)
	}
	return "application/octet-stream"
}
