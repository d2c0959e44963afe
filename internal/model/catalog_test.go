package model_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"modeldispatch/internal/model"
)

// compiled returns a catalog of two models, and its compiled form.
func compiled(t *testing.T) (model.Catalog, []byte) {
	t.Helper()
	own := model.Model{
		Name:   "own",
		Task:   model.Task{Family: "own", Definition: json.RawMessage(`{"family":"own"}`), Container: "model"},
		Inputs: []model.Input{{Name: "n", Type: model.Integer}},
		Triggers: []model.Trigger{
			{Name: "message", Kind: model.Message, Queue: "requests"},
			{Name: "other", Kind: model.Message, Queue: "arn:aws:sqs:r:1:theirs"},
		},
	}
	shared := model.Model{
		Name: "shared", Task: model.Task{Family: "shared:7", Container: "model"}, Policy: model.Policy{Expect: &model.Expect{}},
	}
	c := model.Catalog{
		Schema: model.Schema, Version: "v", Environment: "prod", Pools: map[string]int{"warehouse": 5},
		Models: []model.Model{own, shared},
	}
	text, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return c, text
}

func TestReadCatalogGivesTheNamesOfItsDeployment(t *testing.T) {
	t.Parallel()
	c, text := compiled(t)
	if bytes.Contains(text, []byte("definition")) {
		t.Errorf("the compiled catalog has a task definition, which only the stack needs: %s", text)
	}
	got, err := model.ReadCatalog(text, "team")
	if err != nil {
		t.Fatal(err)
	}
	if got.Version != "v" || got.Environment != "prod" || got.Pools["warehouse"] != 5 {
		t.Errorf("the catalog is %+v", got)
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
		t.Error("the catalog has a model that it was not given")
	}
	if index := got.Index(); index[0].Expects || !index[1].Expects {
		t.Errorf("the index is %+v", index)
	}
	if again, err := got.Encode(); err != nil || !bytes.Equal(again, text) {
		t.Errorf("encoded again it is %s (%v), want %s", again, err, text)
	}
}

// TestAModelIsDecodedOnItsFirstUse checks that a broken line does no harm to other models, and that several goroutines
// can use a model at the same time.
func TestAModelIsDecodedOnItsFirstUse(t *testing.T) {
	t.Parallel()
	_, text := compiled(t)
	broken := bytes.Replace(text, []byte(`{"name":"own","task"`), []byte(`{"name":"own",[task"`), 1)
	if bytes.Equal(broken, text) {
		t.Fatal("the test has broken no line")
	}
	c, err := model.ReadCatalog(broken, "team")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if m, known := c.Model("shared"); !known || m.Task.Family != "shared:7" {
				t.Errorf("the model is %+v", m)
			}
		})
	}
	all.Wait()
	defer func() {
		if crash := recover(); crash == nil {
			t.Error("the broken line was decoded as a model")
		}
	}()
	c.Model("own")
}

func TestReadCatalogRefusesOtherFiles(t *testing.T) {
	t.Parallel()
	c, text := compiled(t)
	whole, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for want, bad := range map[string]string{
		"decoding its index":                        "{",
		`the line of model "own" is incomplete`:     string(whole), // a catalog without an index, in one line
		`the line of model "shared" is incomplete`:  string(text[:len(text)-1]),
		"1 bytes follow the line of the last model": string(text) + "\n",
		"it has schema 99, and this program knows up to": strings.Replace(
			string(text), fmt.Sprintf(`"schema":%d`, model.Schema), `"schema":99`, 1),
	} {
		if _, err := model.ReadCatalog([]byte(bad), "team"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ReadCatalog returns %v, want an error with %q", err, want)
		}
	}
}
