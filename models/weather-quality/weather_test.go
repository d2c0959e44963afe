package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"modeldispatch/models/objects"
	"modeldispatch/models/objects/objectstest"
)

const header = "date,precipitation,temp_max,temp_min,wind,weather\n"

func read(t *testing.T, text string) []Observation {
	t.Helper()
	observations, err := Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return observations
}

func sample(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../events/data/weather/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestAYearOfSeattle compares a report with figures that awk computed from the same file.
func TestAYearOfSeattle(t *testing.T) {
	t.Parallel()
	r := NewReport("seattle", 2012, read(t, sample(t, "seattle-2012.csv")))
	if r.Usable != 366 || r.Coverage != 1 || len(r.Missing) != 0 || len(r.Months) != 12 {
		t.Errorf("%s, coverage %g, missing %v, %d months; want a complete year", r, r.Coverage, r.Missing, len(r.Months))
	}
	if want := (Month{"2012-01", 31, 7.1, 1.5, 173.3, 21, 9}); r.Months[0] != want {
		t.Errorf("January is %+v, want %+v", r.Months[0], want)
	}
	want := Figures{Extreme{"2012-08-16", 34.4}, Extreme{"2012-01-15", -3.3}, Extreme{"2012-11-19", 54.1}, Spell{"2012-07-23", 81}}
	if *r.Figures != want {
		t.Errorf("figures are %+v, want %+v", *r.Figures, want)
	}
}

func TestColdWaveOfJanuary2014(t *testing.T) {
	t.Parallel()
	r := NewReport("new york", 2014, read(t, sample(t, "new-york-2014.csv")))
	want := Finding{Line: 8, Date: "2014-01-07", Problem: "the maximum changed by -18.3 °C from the day before"}
	if !slices.Contains(r.Findings, want) {
		t.Errorf("the findings are %v, want %v among them", r.Findings, want)
	}
}

func TestFilesWithoutATable(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"an empty file":           {"", "line 1: the file is empty"},
		"a column is missing":     {"date,temp_max\n2012-01-01,3.0\n", "line 1: the header lacks precipitation, temp_min, wind, weather"},
		"a web page":              {"<html>\n<title>503</title>\n", "line 1: the header lacks date"},
		"an upload was cut short": {sample(t, "seattle-2015-cut-short.csv"), "line 160: wrong number of fields"},
		"an open quotation mark":  {header + "\"2012-01-01,0,3,1,2,sun\n", "quote"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Read(strings.NewReader(test.text))
			var structure *StructureError
			if !errors.As(err, &structure) || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("Read = %v, want a StructureError that contains %q", err, test.want)
			}
			if code := exitCode(fmt.Errorf("s3://landing/x.csv: %w", err)); code != 3 {
				t.Errorf("exit code %d, want 3", code)
			}
		})
	}
}

func TestUnusableLines(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"2012-13-01,0,3,1,2,sun":    `unreadable: date "2012-13-01"`,
		"2012-01-02,n/a,3,1,,sun":   `unreadable: precipitation "n/a", wind ""`,
		"2013-01-02,0,3,1,2,sun":    "not a day of 2012",
		"2012-01-01,0,3,1,2,sun":    "line 2 has the same day",
		"2012-01-02,0,1,3,2,sun":    "the minimum of 3 °C is above the maximum of 1 °C",
		"2012-01-02,0,99.9,1,2,sun": "1 to 99.9 °C is outside the range ever measured on earth",
		"2012-01-02,0,NaN,1,2,sun":  "1 to NaN °C is outside the range ever measured on earth",
		"2012-01-02,-9,3,1,2,sun":   "-9 mm of precipitation is not possible",
		"2012-01-02,0,3,1,999,sun":  "a wind of 999 m/s is not possible",
	} {
		days, findings := Check(2012, read(t, header+"2012-01-01,0,3,1,2,sun\n"+line+"\n"))
		if len(days) != 1 || len(findings) != 1 || findings[0].Problem != want || !findings[0].Dropped || findings[0].Line != 3 {
			t.Errorf("%s: %d days, findings %+v; want 1 day, and %q for line 3", line, len(days), findings, want)
		}
	}
}

func TestSuspiciousDaysAreUsed(t *testing.T) {
	t.Parallel()
	var lines strings.Builder
	for day, values := range []string{"0,3,1,2,rain", "0,18,1,2,sun", "0,18,1,2,sun", "0,18,1,2,sun", "0,18,1,2,sun", "0,18,1,2,sun"} {
		fmt.Fprintf(&lines, "2012-01-%02d,%s\n", day+1, values)
	}
	days, findings := Check(2012, read(t, header+lines.String()))
	var problems []string
	for _, f := range findings {
		problems = append(problems, fmt.Sprintf("%d %s", f.Line, f.Problem))
	}
	want := []string{
		"2 rain was observed, but no precipitation was measured",
		"3 the maximum changed by +15.0 °C from the day before",
		"6 the minimum has been 1 °C for 5 days: is the sensor stuck?",
	}
	if len(days) != 6 || !slices.Equal(problems, want) {
		t.Errorf("%d days, findings %q; want 6 days, findings %q", len(days), problems, want)
	}
}

func TestMissingDaysEndASpell(t *testing.T) {
	t.Parallel()
	r := NewReport("seattle", 2013, read(t, header+"2013-01-03,0,3,1,2,sun\n2013-01-04,0,3,0,2,sun\n2013-01-06,0,3,1,2,sun\n"))
	if want := []string{"2013-01-01..2013-01-02", "2013-01-05..2013-01-05", "2013-01-07..2013-12-31"}; !slices.Equal(r.Missing, want) {
		t.Errorf("missing %v, want %v", r.Missing, want)
	}
	if want := (Spell{"2013-01-03", 2}); r.Figures.DrySpell != want {
		t.Errorf("dry spell %+v, want %+v", r.Figures.DrySpell, want)
	}
	if r.Coverage != 0.0082 {
		t.Errorf("coverage %g, want 0.0082", r.Coverage)
	}
}

func TestAYearWithoutDaysHasNoFigures(t *testing.T) {
	t.Parallel()
	if r := NewReport("seattle", 2012, nil); r.Figures != nil || r.Coverage != 0 || r.Missing[0] != "2012-01-01..2012-12-31" {
		t.Errorf("want no figures, coverage 0 and the whole year missing: %+v", r)
	}
}

func TestReportsAndExitCodes(t *testing.T) {
	t.Parallel()
	whole := sample(t, "seattle-2012.csv")
	for name, test := range map[string]struct {
		content string
		code    int
	}{
		"a whole year":            {whole, 0},
		"its first hundred lines": {strings.Join(strings.SplitAfter(whole, "\n")[:101], ""), 1},
		"dates of another year":   {strings.ReplaceAll(whole, "2012-", "2013-"), 1},
		"an upload was cut short": {sample(t, "seattle-2015-cut-short.csv"), 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := objectstest.Open(t, "landing", "results")
			objectstest.Put(t, store, "s3://landing/2012.csv", test.content)
			err := run(t.Context(), store, environment)
			if code := exitCode(err); code != test.code {
				t.Fatalf("exit code %d, want %d: %v", code, test.code, err)
			}
			if test.code == 0 && !strings.Contains(objectstest.Get(t, store, "s3://results/2012.json"), `"usable_days": 366,`) {
				t.Error("the report does not count 366 days")
			}
			if _, err := store.Get(t.Context(), "s3://results/2012.json"); test.code != 0 && !errors.Is(err, objects.ErrNotFound) {
				t.Errorf("Get of the report = %v, want ErrNotFound", err)
			}
		})
	}
}

// environment returns the environment of a task for the year 2012.
func environment(name string) string {
	return map[string]string{
		"INPUT_STATION": "seattle", "INPUT_YEAR": "2012", "INPUT_MIN_COVERAGE": "0.9",
		"INPUT_FILE": "s3://landing/2012.csv", "OUTPUT_REPORT": "s3://results/2012.json",
	}[name]
}

func FuzzRead(f *testing.F) {
	f.Add(header + "2012-01-01,0,3,1,2,sun\n")
	f.Add("")
	f.Add("date,date\n\"")
	f.Fuzz(func(t *testing.T, text string) {
		observations, err := Read(strings.NewReader(text))
		if err == nil && NewReport("x", 2012, observations).Usable > 366 {
			t.Error("more days than the year has")
		}
	})
}
