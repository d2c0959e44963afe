package model

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// directives maps each directive of a date format to the number of its digits.
var directives = map[byte]int{'Y': 4, 'm': 2, 'd': 2, 'H': 2, 'M': 2, 'S': 2, 'y': 2, 'j': 3}

// CheckFormat returns an error if a date format has an unknown directive or ends in a single %.
func CheckFormat(format string) error {
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		i++
		if i == len(format) {
			return fmt.Errorf("date format %q ends in a %%; a %% itself is written %%%%", format)
		}
		if _, known := directives[format[i]]; !known && format[i] != '%' {
			return fmt.Errorf("date format %q: %%%c is unknown; known codes: %%Y %%y %%m %%d %%j %%H %%M %%S %%%%", format, format[i])
		}
	}
	return nil
}

// Strftime returns a time as text in a format such as %Y/%m/%d. It knows the directives %Y %y %m %d %j %H %M %S and
// %%.
func Strftime(format string, t time.Time) string {
	numbers := map[byte]int{
		'Y': t.Year(), 'm': int(t.Month()), 'd': t.Day(), 'H': t.Hour(), 'M': t.Minute(), 'S': t.Second(),
		'y': t.Year() % 100, 'j': t.YearDay(),
	}
	var out strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			out.WriteByte(format[i])
			continue
		}
		i++
		if width, known := directives[format[i]]; known {
			fmt.Fprintf(&out, "%0*d", width, numbers[format[i]])
		} else {
			out.WriteByte(format[i])
		}
	}
	return out.String()
}

// Strptime returns the time, in UTC, that Strftime writes as this text. Parts that the format lacks are those of
// 1970-01-01 00:00:00. It returns an error if there is no such time.
func Strptime(format, text string) (time.Time, error) {
	number := map[byte]int{'Y': 1970, 'm': 1, 'd': 1}
	rest := text
	for i := 0; i < len(format); i++ {
		width, known := 0, false
		if format[i] == '%' && i+1 < len(format) {
			i++
			width, known = directives[format[i]]
		}
		if !known {
			if rest == "" || rest[0] != format[i] {
				return time.Time{}, fmt.Errorf("%q is not of the form %s", text, format)
			}
			rest = rest[1:]
			continue
		}
		n, err := digits(rest, width)
		if err != nil {
			return time.Time{}, fmt.Errorf("%q is not of the form %s", text, format)
		}
		number[format[i]], rest = n, rest[width:]
	}
	t := assemble(number)
	if rest != "" || Strftime(format, t) != text { // also catches the 31st of February
		return time.Time{}, fmt.Errorf("%q is not of the form %s", text, format)
	}
	return t, nil
}

// digits reads the first width characters of the text as a number.
func digits(text string, width int) (int, error) {
	if len(text) < width || strings.Trim(text[:width], "0123456789") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.Atoi(text[:width])
}

// assemble returns the time of the numbers behind the directives. %y is a year from 2000, and %j replaces month and
// day.
func assemble(number map[byte]int) time.Time {
	if y, short := number['y']; short {
		number['Y'] = 2000 + y
	}
	if j, dayOfYear := number['j']; dayOfYear {
		number['m'], number['d'] = 1, j
	}
	return time.Date(number['Y'], time.Month(number['m']), number['d'], number['H'], number['M'], number['S'], 0, time.UTC)
}
