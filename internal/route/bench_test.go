package route_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"modeldispatch/internal/model"
	"modeldispatch/internal/route"
)

// One of a thousand models matches the object. Route finds it by the index, and Explain compares all models. The models
// share one bucket or are spread over a hundred.
func BenchmarkRoute(b *testing.B) {
	for name, buckets := range map[string]int{"100 buckets": 100, "1 bucket": 1} {
		var models []model.Model
		for i := range 1000 {
			models = append(models, model.Model{
				Name:   fmt.Sprintf("m%04d", i),
				Inputs: []model.Input{{Name: "region", Type: model.String}, {Name: "date", Type: model.Date}},
				Triggers: []model.Trigger{
					{Name: "arrival", Kind: model.Arrival, Arrival: []string{fmt.Sprintf("s3://landing-%d/model-%d/{region}/{date}.csv", i%buckets, i)}},
				},
			})
		}
		routes, err := route.New(catalog(models...))
		if err != nil {
			b.Fatal(err)
		}
		e := arrived(fmt.Sprintf("s3://landing-%d/model-500/us/2026-01-05.csv", 500%buckets))
		b.Run(name+"/index", func(b *testing.B) {
			for b.Loop() {
				if r := routes.Route(e); len(r.Bindings) != 1 {
					b.Fatalf("result %+v", r)
				}
			}
		})
		b.Run(name+"/scan", func(b *testing.B) {
			for b.Loop() {
				if r := routes.Explain(e); len(r.Bindings) != 1 {
					b.Fatalf("result %+v", r)
				}
			}
		})
	}
}

// A function starts with a thousand models. It decodes all of them, or only the index and one model.
func BenchmarkStart(b *testing.B) {
	text := func(s string) model.Template {
		t, err := model.ParseTemplate(s)
		if err != nil {
			b.Fatal(err)
		}
		return t
	}
	c := model.Catalog{Schema: model.Schema}
	for i := range 1000 {
		c.Models = append(c.Models, model.Model{
			Name: fmt.Sprintf("m%04d", i), Description: "Weekly forecast for one region.", Owner: "analytics",
			Tags: map[string]string{"team": "analytics"},
			Task: model.Task{Container: "model", CPU: 1024, Memory: 4096, Capacity: []model.Capacity{model.Spot, model.OnDemand}},
			Inputs: []model.Input{
				{Name: "region", Type: model.String, Enum: []string{"us", "eu", "apac"}},
				{Name: "date", Type: model.Date},
				{Name: "rows", Type: model.JSON, Optional: true},
			},
			Outputs: []model.Output{{Name: "forecast", URI: text("s3://results/forecast/{date:%Y/%m}/{region}.csv")}},
			Command: []model.Template{text("forecast.R"), text("--region={region}"), text("--date={date}")},
			Triggers: []model.Trigger{
				{Name: "arrival", Kind: model.Arrival, Arrival: []string{fmt.Sprintf("s3://landing/model-%d/{region}/{date}.csv", i)}},
				{
					Name: "schedule", Kind: model.Schedule, Schedule: "cron(0 6 ? * MON *)", Timezone: "America/New_York",
					ForEach: []model.Axis{{Input: "region", Values: []string{"us", "eu"}}},
				},
			},
		})
	}
	whole, err := json.Marshal(c)
	if err != nil {
		b.Fatal(err)
	}
	compiled, err := c.Encode()
	if err != nil {
		b.Fatal(err)
	}
	start := func(b *testing.B, read func() (model.Catalog, error)) {
		for b.Loop() {
			c, err := read()
			if err != nil {
				b.Fatal(err)
			}
			if m, known := c.Model("m0500"); !known || m.Owner == "" {
				b.Fatalf("the model is %+v", m)
			}
		}
	}
	b.Run("whole", func(b *testing.B) {
		start(b, func() (c model.Catalog, err error) {
			err = json.Unmarshal(whole, &c)
			return c, err
		})
	})
	b.Run("index", func(b *testing.B) {
		start(b, func() (model.Catalog, error) { return model.ReadCatalog(compiled, "team") })
	})
	b.Run("routes", func(b *testing.B) { // the work that both need in addition
		for b.Loop() {
			if _, err := route.New(c); err != nil {
				b.Fatal(err)
			}
		}
	})
}
