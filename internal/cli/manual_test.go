package cli

import (
	"strings"
	"testing"

	"modeldispatch/internal/event"
)

// TestKeyOfRejectedCommandIsUsed: a repeated key whose first command was rejected is an error, because no run exists.
func TestKeyOfRejectedCommandIsUsed(t *testing.T) {
	t.Parallel()
	err := runCommand{Key: "nightly"}.checkFirstCommand(t.Context(), nil, event.Event{}, "")
	if err == nil || !strings.Contains(err.Error(), `"nightly" was used before, and that command was rejected: use a new key`) {
		t.Errorf("the error is %v", err)
	}
}
