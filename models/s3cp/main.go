// Command s3cp copies one object from S3 to a file, or one file to S3. It serves models that have no S3 client: scripts
// in shell, awk or R.
//
//	s3cp s3://bucket/key FILE
//	s3cp FILE s3://bucket/key
//
// The images contain the program. On a laptop the scripts call `go run ../s3cp` instead. The AWS CLI's `aws s3 cp` does
// the same, and is a hundred times as large.
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
		return errors.New("one of the two arguments must be an S3 URI: s3cp s3://bucket/key FILE, or s3cp FILE s3://bucket/key")
	}
	if objects.IsURI(args[0]) {
		return download(ctx, store, args[0], args[1])
	}
	return upload(ctx, store, args[0], args[1])
}

// download copies an object to a file. It removes the file if the copy fails.
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

// contentType returns the type that belongs to the object's extension. The file's extension does not count, because the
// file is often a temporary one.
func contentType(uri string) string {
	switch extension := filepath.Ext(uri); {
	case extension == ".csv":
		return "text/csv" // some machines have no entry for it
	case mime.TypeByExtension(extension) != "":
		return mime.TypeByExtension(extension)
	}
	return "application/octet-stream"
}
