package sqs_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"modeldispatch/internal/local/sqs"
)

// TestMain turns the test binary into the process that TestSentMessagesSurviveAKill kills, if the
// environment names a database file.
func TestMain(m *testing.M) {
	if file := os.Getenv("SQS_TEST_SENDER"); file != "" {
		fmt.Fprintln(os.Stderr, sendForever(context.Background(), file))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// sendForever sends messages until an error, and prints the id of each one after it is sent.
func sendForever(ctx context.Context, file string) error {
	s, err := sqs.New(ctx, sqs.Options{File: file})
	if err != nil {
		return err
	}
	if err := s.Create(ctx, "q", sqs.Attributes{}); err != nil {
		return err
	}
	for {
		id, err := s.Send(ctx, "q", "x", nil, 0)
		if err != nil {
			return err
		}
		if _, err := fmt.Println(id); err != nil {
			return err
		}
	}
}

func TestSentMessagesSurviveAKill(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "queues.db")
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), "SQS_TEST_SENDER="+file)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	sent := map[string]bool{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		sent[lines.Text()] = true
		if len(sent) == 200 {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		} // read on: the sender may have printed more lines before it died
	}
	_ = child.Wait() // "signal: killed"
	if len(sent) < 200 {
		t.Fatalf("the sender sent %d messages, want at least 200", len(sent))
	}

	s := open(t, file)
	defer closeNow(t, s)
	got, _ := take(t, s, "q", 1_000_000, 0)
	for _, m := range got {
		delete(sent, m.ID)
	}
	if len(sent) > 0 {
		t.Errorf("%d sent messages are lost", len(sent))
	}
}
