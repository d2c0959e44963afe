package route_test

import (
	"fmt"
	"testing"

	"modeldispatch/internal/model"
	"modeldispatch/internal/route"
)

// A thousand models, of which one takes the object: found by the index, and by asking all. They
// are spread over buckets, or all of one.
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
