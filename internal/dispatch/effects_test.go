package dispatch_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"modeldispatch/internal/model"
	"modeldispatch/internal/records"
	"modeldispatch/internal/run"
	"modeldispatch/internal/store"
)

// TestEachKindOfEffectIsCarriedOut checks that the dispatcher has a case for each kind of effect. It also checks that an
// effect of newer code stays in its outbox.
func TestEachKindOfEffectIsCarriedOut(t *testing.T) {
	t.Parallel()
	const newer = "dance"
	for _, kind := range append(run.EffectKinds(), newer) {
		h := newHarness(t, func(m *model.Model) { m.Policy.Expect = &model.Expect{SuccessBy: "cron(0 12 * * ? *)"} })
		id := h.accept(t, "may.csv")
		r := h.run(t, id)
		text := fmt.Sprintf(`{"id":9,"kind":%q,"effect":{},"next":"2026-01-05T06:00:00Z"}`, kind)
		var pending run.Pending
		if err := json.Unmarshal([]byte(text), &pending); err != nil {
			t.Fatal(err)
		}
		r.Outbox.Effects = []run.Pending{pending}
		doc, err := h.options.Store.Get(t.Context(), records.RunKey(id))
		if err != nil {
			t.Fatal(err)
		}
		if err := h.options.Store.Commit(t.Context(), store.Update(records.RunDoc(r, doc.Version, 0))); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		ctx := zerolog.New(&log).WithContext(t.Context())
		if err := h.Advance(ctx, id); err != nil {
			t.Fatal(err)
		}
		isUnknown := strings.Contains(log.String(), "this code does not know the effect")
		if isUnknown != (kind == newer) {
			t.Errorf("%s: unknown is %t, want %t; the log is %s", kind, isUnknown, kind == newer, log.String())
		}
		if left := h.run(t, id).Outbox.Effects; kind == newer && (len(left) != 1 || left[0].Effect.Kind() != newer) {
			t.Errorf("the effects of newer code are %+v, want one that stays", left)
		}
	}
}
