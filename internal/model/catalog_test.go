package model_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"modeldispatch/internal/model"
)

// compiled is a catalog of two models, and its compiled form.
func compiled(t *testing.T) (model.Catalog, []byte) {
	t.Helper()
	c := model.Catalog{Schema: model.Schema, Version: "v", Environment: "prod", Pools: map[string]int{"warehouse": 5}, Models: []model.Model{
		{Name: "own", Task: model.Task{Family: "own", Definition: json.RawMessage(`{"family":"own"}`), Container: "model"}, Inputs: []model.Input{{Name: "n", Type: model.Integer}},
			Triggers: []model.Trigger{{Name: "message", Kind: model.Message, Queue: "requests"}, {Name: "other", Kind: model.Message, Queue: "arn:aws:sqs:r:1:theirs"}}},
		{Name: "shared", Task: model.Task{Family: "shared:7", Container: "model"}, Policy: model.Policy{Expect: &model.Expect{}}},
	}}
	text, err := c.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return c, text
}

func TestACompiledCatalogIsReadForItsDeployment(t *testing.T) {
	t.Parallel()
	c, text := compiled(t)
	if bytes.Contains(text, []byte("definition")) {
		t.Errorf("the compiled catalog has what only the stack is made of: %s", text)
	}
	got, err := model.ReadCatalog(text, "team")
	if err != nil {
		t.Fatal(err)
	}
	if got.Version != "v" || got.Environment != "prod" || got.Pools["warehouse"] != 5 {
		t.Errorf("it is %+v", got)
	}
	own, shared := c.Models[0], c.Models[1]
	own.Task.Definition, own.Task.Family = nil, "team-own"
	own.Triggers = slices.Clone(own.Triggers)
	own.Triggers[0].Queue = "team-requests"
	for _, want := range []model.Model{own, shared} {
		if m, known := got.Model(want.Name); !known || !reflect.DeepEqual(m, want) {
			t.Errorf("%s is %+v, want %+v", want.Name, m, want)
		}
	}
	if _, known := got.Model("other"); known {
		t.Error("it has a model that it was not made of")
	}
	if queues := got.Queues(); !slices.Equal(queues, []string{"arn:aws:sqs:r:1:theirs", "team-requests"}) {
		t.Errorf("its queues are %q", queues)
	}
	if index := got.Index(); index[0].Expects || !index[1].Expects {
		t.Errorf("its index is %+v", index)
	}
	if again, err := got.Compile(); err != nil || !bytes.Equal(again, text) {
		t.Errorf("compiled again it is %s (%v)", again, err)
	}
}

// TestAModelIsDecodedWhenItIsNeeded: a line that is no model does no harm before; and several may need it at once.
func TestAModelIsDecodedWhenItIsNeeded(t *testing.T) {
	t.Parallel()
	_, text := compiled(t)
	doctored := bytes.Replace(text, []byte(`{"name":"own","task"`), []byte(`{"name":"own",[task"`), 1)
	if bytes.Equal(doctored, text) {
		t.Fatal("nothing is doctored")
	}
	c, err := model.ReadCatalog(doctored, "team")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if m, known := c.Model("shared"); !known || m.Task.Family != "shared:7" {
				t.Errorf("it is %+v", m)
			}
		})
	}
	all.Wait()
	defer func() {
		if crash := recover(); crash == nil {
			t.Error("a model that is none was decoded")
		}
	}()
	c.Model("own")
}

func TestAFileThatIsNoCompiledCatalogIsRefused(t *testing.T) {
	t.Parallel()
	c, text := compiled(t)
	whole, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for want, bad := range map[string]string{
		"decoding its index":                          "{",
		`model "own" is not whole in it`:              string(whole), // all in one, as once
		`model "shared" is not whole in it`:           string(text[:len(text)-1]),
		"1 bytes come after the last model":           string(text) + "\n",
		"it has schema 99, and this code knows up to": strings.Replace(string(text), `"schema":1`, `"schema":99`, 1),
	} {
		if _, err := model.ReadCatalog([]byte(bad), "team"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("it says %v, want %q", err, want)
		}
	}
}
