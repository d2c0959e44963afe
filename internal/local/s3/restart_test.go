package s3_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"modeldispatch/internal/local/s3"
)

// folderVariable names the environment variable that makes this test binary put objects into a folder instead of
// running tests. TestKilledServerLeavesNoPartialObject starts the binary in that way.
const folderVariable = "S3_TEST_FOLDER"

func TestMain(m *testing.M) {
	folder := os.Getenv(folderVariable)
	if folder == "" {
		os.Exit(m.Run())
	}
	if err := putForever(folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// request returns a request with a Content-Length header, as net/http delivers it from a connection. gofakes3 refuses a
// put without one.
func request(ctx context.Context, method, path, body string) *http.Request {
	r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return r
}

// content returns the body of object n. It is long enough to kill the server in the middle of a put.
func content(n int) string { return strings.Repeat(fmt.Sprintf("%08d", n), 40_000) }

// putForever replaces one object and adds another, in an endless loop. It prints the number of each round whose
// requests succeeded.
func putForever(folder string) error {
	server, err := s3.New(s3.Options{Folder: folder, Now: time.Now})
	if err == nil {
		err = server.CreateBucket(bucket)
	}
	if err != nil {
		return err
	}
	for n := 1; ; n++ {
		for _, key := range []string{"same", fmt.Sprintf("new/%08d", n)} {
			answer := httptest.NewRecorder()
			server.ServeHTTP(answer, request(context.Background(), http.MethodPut, "/"+bucket+"/"+key, content(n)))
			if answer.Code != http.StatusOK {
				return fmt.Errorf("put %s: %d %s", key, answer.Code, answer.Body)
			}
		}
		fmt.Println(n)
	}
}

// TestKilledServerLeavesNoPartialObject kills a server in the middle of its puts. After a restart every acknowledged
// object is complete, and there is no partial one.
func TestKilledServerLeavesNoPartialObject(t *testing.T) {
	t.Parallel()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, kill := range []int{1, 3, 12} {
		folder := t.TempDir()
		process := exec.CommandContext(t.Context(), binary)
		process.Env = append(os.Environ(), folderVariable+"="+folder)
		out, err := process.StdoutPipe()
		if err == nil {
			err = process.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		acknowledged := 0
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if acknowledged++; acknowledged == kill {
				if err := process.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := process.Wait(); err == nil || acknowledged < kill {
			t.Fatalf("the process was not killed after %d puts: %v", acknowledged, err)
		}
		checkPuts(t, start(t, folder), acknowledged)
	}
}

// checkPuts checks the objects of putForever after the given number of acknowledged rounds. The kill may follow a put
// whose round was not printed, so one more round may be stored.
func checkPuts(t *testing.T, s *testServer, acknowledged int) {
	t.Helper()
	keys := s.keys(t)
	if n := len(keys) - 1; n < acknowledged || n > acknowledged+1 {
		t.Errorf("the server has %d objects, and acknowledged %d", n, acknowledged)
	}
	for i := range len(keys) - 1 {
		if got := s.get(t, fmt.Sprintf("new/%08d", i+1)); got != content(i+1) {
			t.Errorf("object %d has %d bytes, want %d", i+1, len(got), len(content(i+1)))
		}
	}
	if got := s.get(t, "same"); got != content(acknowledged) && got != content(acknowledged+1) {
		t.Errorf("the replaced object holds %.8s with %d bytes, after put %d was acknowledged", got, len(got), acknowledged)
	}
}

// TestDamagedFilesAreNamed starts a server on a folder with empty, cut and swapped files, as a power cut or an edit
// leaves them.
func TestDamagedFilesAreNamed(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := start(t, folder)
	for _, key := range []string{"empty", "cut", "swapped", "fine"} {
		s.put(t, key, "the body of "+key)
	}
	objects := filepath.Join(folder, "buckets", bucket, "objects")
	name := map[string]string{}
	files, err := os.ReadDir(objects)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(objects, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		rest, _ := strings.CutPrefix(string(text), "the body of ")
		key, _, _ := strings.Cut(rest, "{")
		name[key] = filepath.Join(objects, file.Name())
	}
	fine, err := os.ReadFile(name["fine"])
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string]string{
		name["empty"]: "", name["cut"]: string(fine[:len(fine)/2]), name["swapped"]: string(fine),
		filepath.Join(objects, ".DS_Store"): "from a file manager", filepath.Join(folder, "buckets", ".DS_Store"): "from a file manager, too",
	} {
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, err = s3.New(s3.Options{Folder: folder, Now: time.Now})
	for key, file := range name {
		if got, want := err != nil && strings.Contains(err.Error(), file), key != "fine"; got != want {
			t.Errorf("the error names the file of %q: %v, want %v: %v", key, got, want, err)
		}
		if key != "fine" {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := start(t, folder).get(t, "fine"); got != "the body of fine" {
		t.Errorf("after the damaged files were removed, the other object has %q", got)
	}
}

// BenchmarkPut shows that memory does not grow with the size of an object: see B/op.
func BenchmarkPut(b *testing.B) {
	for _, size := range []int64{1 << 10, 64 << 20} {
		b.Run(fmt.Sprintf("%d KB", size>>10), func(b *testing.B) {
			server, err := s3.New(s3.Options{Folder: b.TempDir(), Now: time.Now})
			if err == nil {
				err = server.CreateBucket(bucket)
			}
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				if err := server.Seed(bucket, "k", io.LimitReader(zeros{}, size)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
