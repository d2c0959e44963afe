package main

import "math"

// BValue is the slope of the Gutenberg-Richter law log10 N = a - b·M: about 1 nearly everywhere,
// lower where stress is high.
type BValue struct {
	B            float64 `json:"b"`
	Error        float64 `json:"error"` // one standard deviation
	Completeness float64 `json:"completeness"`
	Earthquakes  int     `json:"earthquakes"` // at or above the completeness
}

const (
	bins       = 10 // of a whole magnitude
	correction = 2  // bins: the maximum-curvature method is known to come out low
	fewest     = 50 // earthquakes; with fewer the estimate says nothing
)

// EstimateB estimates b by maximum likelihood (Aki 1965, with Utsu's correction for binned
// magnitudes) from the earthquakes at or above the magnitude from which the catalogue is complete
// (maximum curvature, Wiemer and Wyss 2000). It is nil where too few are left.
func EstimateB(magnitudes []float64) *BValue {
	if len(magnitudes) < fewest {
		return nil
	}
	completeness := mode(magnitudes) + correction
	n, sum := 0, 0.0
	for _, m := range magnitudes {
		if b := binned(m); b >= completeness {
			n++
			sum += float64(b)
		}
	}
	if n < fewest {
		return nil
	}
	b := bins * math.Log10E / (sum/float64(n) - (float64(completeness) - 0.5))
	return &BValue{round(b, 3), round(b/math.Sqrt(float64(n)), 3), float64(completeness) / bins, n}
}

// mode is the fullest bin, the lowest of several.
func mode(magnitudes []float64) int {
	count := make(map[int]int)
	fullest := math.MaxInt
	for _, m := range magnitudes {
		count[binned(m)]++
	}
	for b, n := range count {
		if best := count[fullest]; n > best || n == best && b < fullest {
			fullest = b
		}
	}
	return fullest
}

// binned is the number of a magnitude's bin; 1.45 lies in that of 1.5.
func binned(magnitude float64) int { return int(math.Round(magnitude * bins)) }

func round(v float64, places int) float64 {
	unit := math.Pow10(places)
	return math.Round(v*unit) / unit
}
