package wiring_test

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var updateCosts = flag.Bool("update", false, "write the measured quantities and their costs into docs/costs.md")

// Assumed quantities, which can only be measured in an AWS account.
const (
	assumedSeconds  = 0.2          // the duration of an invocation
	assumedLogBytes = 400          // the bytes that Lambda itself logs for an invocation
	polls           = 2 * 5 * 3    // polls a minute: two queues, five pollers for each, 20 seconds for each poll
	minutes         = 30 * 24 * 60 // minutes a month
)

// deployed holds the properties of a deployment that its costs depend on.
type deployed struct {
	memory map[string]float64 // the memory of each function, in GB
	alarms float64            // the number of metrics that have alarms
}

// template reads these properties from template.yaml.
func template(t *testing.T) deployed {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	alarms := regexp.MustCompile(`(?m)^      MetricName:|MetricStat:`).FindAll(text, -1)
	d := deployed{map[string]float64{}, float64(len(alarms))}
	for _, found := range regexp.MustCompile(`CodeUri: functions/(\w+)\n.*\n *MemorySize: (\d+)`).FindAllSubmatch(text, -1) {
		mib, err := strconv.Atoi(string(found[2]))
		if err != nil {
			t.Fatal(err)
		}
		d.memory[string(found[1])] = float64(mib) / 1024
	}
	return d
}

// cost is one line of the bill of a month: a quantity and its price. The quantity is fixed + launch × launches, and
// used is added if there are any launches.
type cost struct {
	what          string
	fixed, launch float64
	used          float64
	price         string  // the price as AWS states it
	dollars       float64 // the price of one unit
}

// of returns the cost of a month with so many launches, in dollars.
func (c cost) of(launches float64) float64 {
	quantity := c.fixed + c.launch*launches
	if launches > 0 {
		quantity += c.used
	}
	return quantity * c.dollars
}

// quantity returns the formula of the quantity.
func (c cost) quantity() string {
	var terms []string
	if c.fixed > 0 {
		terms = append(terms, number(c.fixed))
	}
	if c.launch > 0 {
		terms = append(terms, strings.TrimPrefix(number(c.launch)+" × launches", "1 × "))
	}
	if c.used > 0 {
		terms = append(terms, "("+number(c.used)+" if there are launches)")
	}
	return strings.Join(terms, " + ")
}

// costs returns the lines of the bill, from the counts of one launch and of one idle minute. The prices are those of US
// East (N. Virginia) in November 2026.
func costs(stack deployed, launch, idle map[string]float64) []cost {
	of := func(what func(map[string]float64) float64, name, price string, dollars float64) cost {
		return cost{what: name, fixed: minutes * what(idle), launch: what(launch), price: price, dollars: dollars}
	}
	sum := func(weight func(function string) float64) func(map[string]float64) float64 {
		return func(counts map[string]float64) float64 {
			total := 0.0
			for _, name := range names {
				total += counts[name] * weight(name)
			}
			return total
		}
	}
	invocations := sum(func(string) float64 { return 1 })
	gbSeconds := sum(func(name string) float64 { return stack.memory[name] * assumedSeconds })
	count := func(what string) func(map[string]float64) float64 {
		return func(counts map[string]float64) float64 { return counts[what] }
	}
	s3Requests := func(counts map[string]float64) float64 { return counts[lists] + counts[puts] }
	logs := func(counts map[string]float64) float64 {
		return (counts[logBytes] + assumedLogBytes*invocations(counts)) / 1e9
	}
	metrics := func(counts map[string]float64) float64 {
		n := 0.0
		for name := range counts {
			if strings.HasPrefix(name, aMetric) {
				n++
			}
		}
		return n
	}
	return []cost{
		of(invocations, "Lambda requests", "$0.20 a million", 0.20e-6),
		of(gbSeconds, "Lambda GB-seconds, arm64", "$0.0000133334", 0.0000133334),
		of(count(writeUnits), "DynamoDB write request units", "$0.625 a million", 0.625e-6),
		of(count(readUnits), "DynamoDB read request units", "$0.125 a million", 0.125e-6),
		{what: "DynamoDB GB-months, three months kept", launch: 3 * launch[itemBytes] / 1e9, price: "$0.25 + $0.20 for recovery", dollars: 0.45},
		{what: "KMS requests of DynamoDB", fixed: minutes / 5 * float64(len(names)), price: "$0.03 for 10,000", dollars: 0.03e-4},
		{
			what: "SQS requests", fixed: minutes * (polls + idle[sqsCalls]), launch: launch[sqsCalls],
			price: "$0.40 a million", dollars: 0.40e-6,
		},
		of(count(entries), "EventBridge custom events", "$1.00 a million", 1e-6),
		of(s3Requests, "S3 LIST and PUT requests", "$0.005 for 1,000", 0.005e-3),
		of(logs, "CloudWatch Logs, GB ingested", "$0.50", 0.50),
		{
			what: "CloudWatch Logs, GB-months, three months kept", fixed: 3 * minutes * logs(idle), launch: 3 * logs(launch),
			price: "$0.03", dollars: 0.03,
		},
		{what: "CloudWatch metrics", fixed: metrics(idle), used: metrics(launch), price: "$0.30", dollars: 0.30},
		{what: "CloudWatch metrics with an alarm", fixed: stack.alarms, price: "$0.10", dollars: 0.10},
		{what: "CloudWatch dashboards", fixed: 1, price: "$3.00", dollars: 3},
	}
}

// number returns a number with commas between thousands, and with three significant digits if it is a fraction.
func number(x float64) string {
	digits := 0
	if x < 100 && x != math.Trunc(x) {
		digits = int(math.Ceil(2 - math.Log10(x)))
	}
	text := strconv.FormatFloat(x, 'f', digits, 64)
	whole, fraction, _ := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction = strings.TrimRight(fraction, "0"); fraction != "" {
		return whole + "." + fraction
	}
	return whole
}

// TestCosts measures the quantities of docs/costs.md, calculates the costs of a month, and compares both with the page.
// With -update it writes them into the page.
func TestCosts(t *testing.T) {
	t.Parallel()
	m := newMetered(t)
	launch := m.succeeds(t)
	m.invoke(t, "sweep", []byte(`{}`))
	idle := m.take()
	silent := m.silent(t)

	var text strings.Builder
	fmt.Fprintf(&text, "| | a run | an idle minute | a minute with a silent task |\n|---|---:|---:|---:|\n")
	for _, what := range order {
		if total := launch[what] + idle[what] + silent[what]; total > 0 {
			fmt.Fprintf(&text, "| %s | %s | %s | %s |\n", what, number(launch[what]), number(idle[what]), number(silent[what]))
		}
	}
	compareCosts(t, "measured", text.String())

	text.Reset()
	fmt.Fprintf(&text, "| | quantity in a month | price | 0 launches | 1,000 | 1,000,000 |\n|---|---|---|---:|---:|---:|\n")
	totals := [3]float64{}
	for _, c := range costs(template(t), launch, idle) {
		fmt.Fprintf(&text, "| %s | %s | %s |", c.what, c.quantity(), c.price)
		for i, launches := range []float64{0, 1e3, 1e6} {
			totals[i] += c.of(launches)
			fmt.Fprintf(&text, " %.2f |", c.of(launches))
		}
		text.WriteByte('\n')
	}
	fmt.Fprintf(&text, "| **total, $ a month** | | | **%.2f** | **%.2f** | **%.2f** |\n", totals[0], totals[1], totals[2])
	compareCosts(t, "calculated", text.String())

	writes, reads := silent[writeUnits]-idle[writeUnits], silent[readUnits]-idle[readUnits]
	const million = "%s × $0.625 + %s × $0.125 = $%.2f for a million checks\n"
	compareCosts(t, "silent", fmt.Sprintf(million, number(writes), number(reads), writes*0.625+reads*0.125))
}

// compareCosts compares a part of docs/costs.md with the wanted text. The part is between two HTML comments.
func compareCosts(t *testing.T, part, want string) {
	t.Helper()
	file := filepath.Join("..", "..", "docs", "costs.md")
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	mark := "<!-- " + part + " -->\n"
	before, rest, found := strings.Cut(string(page), mark)
	current, after, ended := strings.Cut(rest, "<!-- end -->")
	switch {
	case !found || !ended:
		t.Fatalf("%s has no %s or no <!-- end --> after it", file, mark)
	case current == want:
	case *updateCosts:
		if err := os.WriteFile(file, []byte(before+mark+want+"<!-- end -->"+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s has\n%s\nwant (-update writes it)\n%s", file, current, want)
	}
}
