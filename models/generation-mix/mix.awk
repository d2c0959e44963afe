# mix.awk computes the generation mix: each source's share of a year's net generation, and its change from the year before.
# It reads two files: the published figures, and then the reported rows, which add figures or replace published ones. The
# columns of both are year,source,net_generation, in thousand MWh. Only the first file has a header.
#
# Variables: since and until, the first and the last year of the report; empty means all years.

BEGIN { FS = OFS = "," }
FNR == 1 { file++ }
FNR == 1 && file == 1 {
	if ($0 != "year,source,net_generation") fail("the first line must be year,source,net_generation")
	next
}
NF != 3 || $3 !~ /^[0-9]+([.][0-9]+)?$/ { fail("a line must have three fields, and the last must be a number not below 0") }
{
	year = substr($1, 1, 4) # the published file writes a year as the date of its first day
	if (year !~ /^[12][0-9][0-9][0-9]$/) fail("\"" $1 "\" is not a year")
	key = year FS $2
	if (file == 1 && key in generation) fail("the file has this year and source twice")
	if (file == 2) note[key] = key in generation ? "revised from " generation[key] : "reported"
	generation[key] = $3
	if (!(year in seen)) {
		seen[year]
		first = first == "" || year < first ? year : first
		last = year > last ? year : last
	}
	if (!($2 in position)) { position[$2] = ++sources; source[sources] = $2 }
}
END {
	if (failed) exit 1
	print "year,source,net_generation,share_percent,change_percent,note"
	for (year = first; year <= last; year++) if (year in seen) {
		total = 0
		for (i = 1; i <= sources; i++) total += generation[year FS source[i]]
		if ((since != "" && year < since) || (until != "" && year > until)) continue
		for (i = 1; i <= sources; i++) line(year FS source[i], (year - 1) FS source[i], total)
	}
	if (!lines) {
		print "mix: there are no figures for the requested years; the figures are from " first " to " last > "/dev/stderr"
		exit 1
	}
}

function line(key, before, total,    change) {
	if (generation[key] == "") return
	lines++
	change = percent(generation[key] - generation[before], generation[before])
	print key, generation[key], percent(generation[key], total), change, note[key]
}

function percent(part, whole) { return whole > 0 ? sprintf("%.1f", 100 * part / whole) : "" }

function fail(cause) {
	printf "mix: %s line %d: %s: %s\n", FILENAME, FNR, cause, $0 > "/dev/stderr"
	failed = 1
	exit 1
}
