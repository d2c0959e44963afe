package pattern

import (
	"math"
	"strconv"
	"strings"
)

// parseNumber reads the text of a JSON number as event-ruler compares it: a float64, and only if
// it is the number that is written. 0.1 counts, because 0.1 is how its float64 is written.
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

// decimal is a number as 0.digits times ten to the exponent; digits begin and end with a digit
// that is not 0, and are empty for zero.
type decimal struct {
	negative bool
	digits   string
	exponent int
}

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
