package stack

import (
	"encoding/json"
	"errors"
	"testing"
)

// TestPolicyWithoutJSONForm checks that the error of a policy that cannot be encoded names the cause. It must not say
// that the policy is too long.
func TestPolicyWithoutJSONForm(t *testing.T) {
	t.Parallel()
	p := permission{role: "SweepRole", name: "objects", statement: fields{"Resource": make(chan int)}, resources: 1}
	_, err := p.policy()
	var unsupported *json.UnsupportedTypeError
	if !errors.As(err, &unsupported) {
		t.Errorf("the error is %v, want the encoder's error", err)
	}
}
