package main

import (
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

func sample(t *testing.T, region string) []Event {
	t.Helper()
	file, err := os.Open("../../events/data/earthquakes/" + region + "-2018-02-06.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	events, err := Read(file)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

var tuesday = time.Date(2018, time.February, 6, 0, 0, 0, 0, time.UTC)

// TestSummaryMatchesReferenceForEachRegion compares summaries with counts that awk computed, and b-values that R
// computed, from the same files.
func TestSummaryMatchesReferenceForEachRegion(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]string{
		"alaska":     "alaska 2018-01-31..2018-02-06: 303 earthquakes, the strongest 4.8 250km SE of Kodiak, b = 0.48 ± 0.04",
		"california": "california 2018-01-31..2018-02-06: 811 earthquakes, the strongest 4.3 103km WNW of Ferndale, b = 0.75 ± 0.04",
		"hawaii":     "hawaii 2018-01-31..2018-02-06: 46 earthquakes, the strongest 2.6 2km SSE of Pahala",
		"nevada":     "nevada 2018-01-31..2018-02-06: 174 earthquakes, the strongest 3.4 57km N of Austin, b = 0.78 ± 0.07",
	} {
		events := sample(t, region)
		s := Summarise(region, tuesday, events)
		if s.String() != want {
			t.Errorf("%s\nwant %s", s, want)
		}
		if s.Earthquakes+s.Blasts+s.Outside != len(events) {
			t.Errorf("%s: %d earthquakes + %d other events + %d outside the week, want %d events in all",
				region, s.Earthquakes, s.Blasts, s.Outside, len(events))
		}
	}
}

func TestSevenDays(t *testing.T) {
	t.Parallel()
	event := func(at string) Event {
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		return Event{Time: when, Type: "earthquake"}
	}
	s := Summarise("x", tuesday, []Event{
		event("2018-01-30T23:59:59Z"), event("2018-01-31T00:00:00Z"),
		event("2018-02-06T23:59:59Z"), event("2018-02-07T00:00:00Z"),
	})
	if s.Outside != 2 || s.Earthquakes != 2 || s.Days[0].Count != 1 || s.Days[6].Count != 1 {
		t.Errorf("want 2 events outside the week, and 1 on its first and last day: %+v", s)
	}
	if s.Unmeasured != 2 || len(s.Strongest) != 0 || s.BValue != nil {
		t.Errorf("want 2 events without a magnitude, and no measurements: %+v", s)
	}
}

func TestBlastsAreNotEarthquakes(t *testing.T) {
	t.Parallel()
	blast := Event{Time: tuesday, Type: "quarry blast", Magnitude: new(2.0)}
	if s := Summarise("x", tuesday, []Event{blast}); s.Earthquakes != 0 || s.Blasts != 1 || s.Energy != 0 {
		t.Errorf("want 1 blast and no earthquake: %+v", s)
	}
}

func TestBandsHoldEveryMeasuredEarthquake(t *testing.T) {
	t.Parallel()
	s := Summarise("california", tuesday, sample(t, "california"))
	n := 0
	for i, band := range s.Bands {
		n += band.Count
		if i > 0 && band.From >= s.Bands[i-1].From {
			t.Errorf("want bands from strong to weak: %+v", s.Bands)
		}
	}
	if n+s.Unmeasured != s.Earthquakes {
		t.Errorf("%d earthquakes in bands + %d without a magnitude, want %d in all", n, s.Unmeasured, s.Earthquakes)
	}
}

func TestEnergyOfOneMagnitudeMore(t *testing.T) {
	t.Parallel()
	if ratio := energy(6) / energy(5); math.Abs(ratio-31.6228) > 1e-4 {
		t.Errorf("the energies of magnitudes 6 and 5 have the ratio %g, want 31.6228", ratio)
	}
}

// TestEstimateOfAKnownB draws magnitudes from a law with a known b, and estimates b from them.
func TestEstimateOfAKnownB(t *testing.T) {
	t.Parallel()
	for _, b := range []float64{0.6, 1.0, 1.5} {
		random := rand.New(rand.NewPCG(1, 2))
		magnitudes := make([]float64, 20_000)
		for i := range magnitudes {
			magnitudes[i] = 0.95 + random.ExpFloat64()*math.Log10E/b
		}
		found := EstimateB(magnitudes)
		if found == nil || math.Abs(found.B-b) > 4*found.Error || found.Completeness != 1.2 {
			t.Errorf("the estimate for b = %g is %+v", b, found)
		}
	}
}

func TestTooFewEarthquakesGiveNoB(t *testing.T) {
	t.Parallel()
	for _, magnitudes := range [][]float64{{1, 2, 3}, nil} {
		if found := EstimateB(magnitudes); found != nil {
			t.Errorf("EstimateB(%v) = %+v, want nil", magnitudes, found)
		}
	}
}

func TestMalformedCatalogues(t *testing.T) {
	t.Parallel()
	header := strings.Join(columns, ",") + "\n"
	for text, want := range map[string]string{
		"":           `the columns are []`,
		"time,mag\n": `the columns are ["time" "mag"]; they must be time,latitude`,
		header + "yesterday,1,2,3,4,earthquake,here\n":           "line 2: parsing time",
		header + "2018-02-01T00:00:00Z,,2,3,4,earthquake,here\n": "line 2: the event has no latitude or no longitude",
		header + "2018-02-01T00:00:00Z,1,2,3,big,earthquake,x\n": `line 2: strconv.ParseFloat: parsing "big"`,
		header + "2018-02-01T00:00:00Z,1,2\n":                    "wrong number of fields",
	} {
		if _, err := Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Read(%q) = %v, want an error that contains %q", text, err, want)
		}
	}
}
