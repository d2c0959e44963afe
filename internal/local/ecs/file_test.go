package ecs

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// TestUnwritableFileIsLogged checks that writes which fail are logged.
func TestUnwritableFileIsLogged(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	s, err := New(t.Context(), Options{Now: time.Now, File: filepath.Join(t.TempDir(), "ecs.db"), Log: zerolog.New(&log)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.saveTask(&task{taskState: taskState{ARN: "saved"}})
	s.dropTask("forgotten")
	s.dropCall("expired")
	for _, text := range []string{"saving task saved", "deleting task forgotten", "deleting call expired"} {
		if !strings.Contains(log.String(), text) {
			t.Errorf("the log is %q, want %q in it", log.String(), text)
		}
	}
}
