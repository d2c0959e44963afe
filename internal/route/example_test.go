package route_test

import (
	"fmt"
	"log"
	"time"

	"modeldispatch/internal/event"
	"modeldispatch/internal/model"
	"modeldispatch/internal/route"
)

// The captures of a pattern are bound to the inputs with these names.
func ExampleParseArrival() {
	a, err := route.ParseArrival("s3://landing/sales/{region}/{date}.csv")
	if err != nil {
		log.Fatal(err)
	}
	captures, matched := a.Match(model.ObjectURI{Bucket: "landing", Key: "sales/us/20260105.csv"})
	fmt.Println(captures["region"], captures["date"], matched)
	_, matched = a.Match(model.ObjectURI{Bucket: "landing", Key: "sales/us/2026/0105.csv"})
	fmt.Println(matched)
	// Output:
	// us 20260105 true
	// false
}

// The second key matches the pattern of a model, but gives it an invalid input. Explain returns a rejection for this
// model, and a miss for a model that does not match the event.
func ExampleTable_Explain() {
	stations := model.Input{Name: "station", Type: model.String, Enum: []string{"seattle", "new york"}}
	catalog := model.Catalog{Models: []model.Model{
		{Name: "invoices", Triggers: []model.Trigger{{Name: "arrival", Kind: model.Arrival, Arrival: []string{"s3://landing/invoices/**"}}}},
		{Name: "weather", Inputs: []model.Input{stations}, Triggers: []model.Trigger{
			{Name: "arrival", Kind: model.Arrival, Arrival: []string{"s3://landing/weather/{station}/*.csv"}},
		}},
	}}
	routes, err := route.New(catalog)
	if err != nil {
		log.Fatal(err)
	}
	for _, key := range []string{"weather/seattle/2015.csv", "weather/portland/2015.csv"} {
		result := routes.Explain(event.AssumedArrival("landing", key, time.Now()))
		for _, b := range result.Bindings {
			fmt.Println(b.Model.Name, "runs with", b.Inputs, "from", b.From)
		}
		for _, r := range result.Rejections {
			fmt.Println(r.Model, "rejects it:", r.Reason)
		}
		for _, m := range result.Misses {
			fmt.Println(m.Model, "does not match it:", m.Reason)
		}
	}
	// Output:
	// weather runs with map[station:seattle] from map[station:the key]
	// invoices does not match it: key "weather/seattle/2015.csv" does not begin with "invoices/"
	// weather rejects it: station: "portland" is not one of seattle, new york
	// invoices does not match it: key "weather/portland/2015.csv" does not begin with "invoices/"
}
