package main

import "math"

// BValue holds an estimate of b, the slope of the Gutenberg-Richter law log10 N = a - b·M. It is about 1 in most
// regions, and lower in regions of high stress.
type BValue struct {
	B            float64 `json:"b"`
	Error        float64 `json:"error"`        // one standard deviation
	Completeness float64 `json:"completeness"` // the magnitude from which the catalogue is complete
	Earthquakes  int     `json:"earthquakes"`  // the number of earthquakes at or above the completeness
}

const (
	bins       = 10 // the number of bins in a whole magnitude
	correction = 2  // bins to add to the completeness: the maximum-curvature method underestimates it
	minimum    = 50 // the number of earthquakes that a meaningful estimate needs
)

// EstimateB estimates b by maximum likelihood (Aki 1965, with Utsu's correction for binned magnitudes). It uses the
// earthquakes at or above the completeness, which it finds by maximum curvature (Wiemer and Wyss 2000). It returns nil
// for fewer than 50 such earthquakes.
func EstimateB(magnitudes []float64) *BValue {
	if len(magnitudes) < minimum {
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
	if n < minimum {
		return nil
	}
	b := bins * math.Log10E / (sum/float64(n) - (float64(completeness) - 0.5))
	return &BValue{round(b, 3), round(b/math.Sqrt(float64(n)), 3), float64(completeness) / bins, n}
}

// mode returns the fullest bin, and the lowest of several equally full bins.
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

// binned returns the bin of a magnitude: 1.45 and 1.5 are in bin 15.
func binned(magnitude float64) int { return int(math.Round(magnitude * bins)) }

func round(v float64, places int) float64 {
	unit := math.Pow10(places)
	return math.Round(v*unit) / unit
}
