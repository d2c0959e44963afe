package cli

import (
	"strings"
	"testing"

	"modeldispatch/internal/event"
)

// TestKeyOfRejectedCallIsUsed: a repeated key whose first call was rejected is an error, because no run exists.
func TestKeyOfRejectedCallIsUsed(t *testing.T) {
	t.Parallel()
	err := runCommand{Key: "nightly"}.checkFirstCall(t.Context(), nil, event.Event{}, "")
	if err == nil || !strings.Contains(err.Error(), `"nightly" was used before, and that call was rejected: use a new key`) {
		t.Errorf("the error is %v", err)
	}
}
