package local_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"modeldispatch/internal/local"
)

const programs = "testdata/clients/"

// client is a program that puts a file with every method of a library or tool, and reads it back. It finds the stack by
// its environment. Its arguments are a bucket, the file, and a folder for files. It prints a line for each step that
// succeeds: "put NAME" or "get NAME".
type client struct {
	name    string
	command []string // ~ stands for the folder with the installed clients
	puts    []string // steps; each stores the file as the object keyFolder + NAME
	gets    []string // steps; each reads the file back and compares it
}

// keyFolder begins each key. It contains characters that clients and servers escape in different ways.
const keyFolder = "a b+ü%41/"

func clients() []client {
	return []client{
		awsCLIClient("AWS CLI 1", "~/python/bin/aws"),
		awsCLIClient("AWS CLI 2", "~/awscli2/aws"),
		{
			name:    "boto3",
			command: []string{"~/python/bin/python", programs + "with_boto3.py"},
			puts: slices.Concat(
				[]string{"put_object", "put_object of a file"}, eachAlgorithm("put_object"),
				[]string{"upload_file", "upload_file CRC64NVME", "upload_file SHA256", "upload_fileobj of a pipe"},
				[]string{"presigned PUT", "presigned POST", "copy", "copy by CopyObject"},
			),
			gets: []string{"each by get_object", "download_file", "download_fileobj", "get_object by ranges", "iter_chunks", "presigned GET"},
		},
		{
			name:    "s3fs",
			command: []string{"~/python/bin/python", programs + "with_s3fs.py"},
			puts:    []string{"open for writing", "open for appending", "put_file", "pipe_file", "cp_file"},
			gets:    []string{"each by cat_file", "get_file", "cat_ranges", "open for reading", "first object of find"},
		},
		{
			name:    "pyarrow",
			command: []string{"~/python/bin/python", programs + "with_pyarrow.py"},
			puts:    []string{"open_output_stream", "open_output_stream without buffer", "copy_files", "copy_file"},
			gets: []string{
				"each by open_input_stream", "open_input_file by ranges", "copy_files", "write_table and read_table", "write_dataset and dataset",
			},
		},
		{
			name:    "JavaScript SDK v3",
			command: []string{"node", programs + "javascript.cjs"},
			puts: slices.Concat(
				[]string{"PutObject"}, eachAlgorithm("PutObject"), []string{"PutObject of a file stream", "PutObject of a stream"},
				[]string{"Upload", "Upload of a stream", "Upload SHA256", "presigned PUT", "CopyObject"},
				[]string{"PutObject by a virtual host", "Upload by a virtual host"},
			),
			gets: []string{
				"each by GetObject", "GetObject by ranges", "GetObject to a file", "presigned GET",
				"GetObject by a virtual host", "first object of a virtual host",
			},
		},
		{
			name:    "Java SDK v2",
			command: []string{"java", "-cp", "~/java/*", programs + "Java.java"},
			puts: slices.Concat(
				[]string{"putObject of bytes", "putObject of a file", "putObject of a stream", "putObject of a stream of unknown length"},
				eachAlgorithm("putObject"), []string{"parts CRC32", "copyObject"},
				[]string{"async client, uploadFile", "async client, stream of unknown length", "async client, copy"},
				[]string{"CRT client, uploadFile", "CRT client, stream of unknown length", "CRT client, copy"},
			),
			gets: []string{
				"each by getObjectAsBytes", "getObject to a file", "getObject by ranges", "first object of listObjectsV2",
				"async client, downloadFile", "async client, getObject", "CRT client, downloadFile", "CRT client, getObject",
			},
		},
	}
}

// awsCLIClient returns the client that runs a version of the AWS CLI.
func awsCLIClient(name, program string) client {
	return client{
		name:    name,
		command: []string{"sh", programs + "awscli.sh", program},
		puts:    slices.Concat([]string{"cp", "cp of stdin", "cp from S3", "sync", "put-object"}, eachAlgorithm("put-object")),
		gets:    []string{"sync", "cp", "cp to stdout", "get-object by ranges"},
	}
}

// eachAlgorithm returns the names of the steps that put a file with each checksum algorithm.
func eachAlgorithm(by string) (steps []string) {
	for _, algorithm := range []string{"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} {
		steps = append(steps, by+" "+algorithm)
	}
	return steps
}

// TestWithEveryClient puts 50 MB with every method of the usual clients. It compares each byte that the stack stores
// and that the clients read.
func TestWithEveryClient(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("MODELDISPATCH_CLIENTS")
	if folder == "" {
		t.Skip("needs the clients: run " + programs + "install.sh OUTDIR, then set MODELDISPATCH_CLIENTS=OUTDIR")
	}
	s := start(t, project(t, never))
	content := make([]byte, 50<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(content)
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, string(content))
	for _, c := range clients() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bucket := strings.ToLower(strings.ReplaceAll(c.name, " ", "-"))
			if _, err := s.s3.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: &bucket}); err != nil {
				t.Fatal(err)
			}
			c.run(t, s.Address(), folder, bucket, file)
			for _, put := range c.puts {
				if s.takeSum(t, bucket, keyFolder+put) != sha256.Sum256(content) {
					t.Errorf("put %s: the object differs from the file", put)
				}
			}
		})
	}
}

// run runs the client, and compares the steps that it prints with the expected ones.
func (c client) run(t *testing.T, a local.Address, folder, bucket, file string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	scratch := t.TempDir()
	args := append(slices.Clone(c.command), bucket, file, scratch)
	for i := range args {
		args[i] = strings.Replace(args[i], "~", folder, 1)
	}
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Env = append(clientEnvironment(a), "PATH="+os.Getenv("PATH"), "HOME="+scratch,
		"NODE_PATH="+filepath.Join(folder, "node_modules"), "PYTHONPYCACHEPREFIX="+filepath.Join(folder, "pycache"))
	command.WaitDelay = 10 * time.Second // for child processes that hold its output open
	var steps, failures bytes.Buffer
	command.Stdout, command.Stderr = &steps, &failures
	if err := command.Run(); err != nil {
		t.Fatalf("%s: %v; it printed\n%s%s", c.name, err, steps.String(), failures.String())
	}
	want := "put " + strings.Join(c.puts, "\nput ") + "\nget " + strings.Join(c.gets, "\nget ") + "\n"
	if steps.String() != want {
		t.Errorf("%s printed\n%swant\n%s", c.name, steps.String(), want)
	}
}

// clientEnvironment returns the variables that `modeldispatch local env` prints for clients.
func clientEnvironment(a local.Address) []string {
	return []string{
		"AWS_ENDPOINT_URL=" + a.URL, "AWS_REGION=" + local.Region, "AWS_DEFAULT_REGION=" + local.Region,
		"AWS_ACCESS_KEY_ID=" + a.Credential.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + a.Credential.SecretAccessKey,
	}
}

// takeSum returns the SHA-256 of an object, and deletes the object: all objects together would take 4 GB.
func (s *testStack) takeSum(t *testing.T, bucket, key string) [sha256.Size]byte {
	t.Helper()
	out, err := s.s3.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Body.Close() }()
	hash := sha256.New()
	if _, err := io.Copy(hash, out.Body); err != nil {
		t.Fatal(err)
	}
	if _, err := s.s3.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: &bucket, Key: &key}); err != nil {
		t.Fatal(err)
	}
	return [sha256.Size]byte(hash.Sum(nil))
}
