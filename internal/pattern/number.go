package pattern

import (
	"math"
	"strconv"
	"strings"
)

// parseNumber reads the text of a JSON number as a float64. It reports false if the shortest text of
// that float64 is another number: event-ruler does not compare such a number by value. So 0.1 is
// accepted, and a number with 18 significant digits is not.
func parseNumber(text string) (float64, bool) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return 0, false
	}
	written, ok := readDecimal(text)
	if !ok {
		return 0, false
	}
	kept, _ := readDecimal(strconv.FormatFloat(f, 'e', -1, 64))
	return f, written == kept
}

// decimal is the number 0.digits × 10^exponent. The digits have no zeros at either end, and are empty
// for the number zero. Two equal numbers have equal decimals.
type decimal struct {
	negative bool
	digits   string
	exponent int
}

// readDecimal reads the text of a JSON number. It reports false if the exponent is out of range.
func readDecimal(text string) (decimal, bool) {
	var d decimal
	text, d.negative = strings.CutPrefix(text, "-")
	mantissa, exponent, scientific := strings.Cut(strings.ToLower(text), "e")
	if scientific {
		n, err := strconv.ParseInt(exponent, 10, 32)
		if err != nil {
			return decimal{}, false
		}
		d.exponent = int(n)
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	d.exponent += len(whole)
	digits := strings.TrimLeft(whole+fraction, "0")
	d.exponent -= len(whole+fraction) - len(digits)
	if d.digits = strings.TrimRight(digits, "0"); d.digits == "" {
		return decimal{}, true
	}
	return d, true
}
