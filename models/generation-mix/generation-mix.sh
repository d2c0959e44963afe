#!/bin/sh
# generation-mix.sh [--since=YEAR] [--until=YEAR]: a report on the energy mix, on request. The
# published figures are in INPUT_FILE; a request may bring rows that were reported since, as JSON in
# INPUT_ROWS. Both are S3 URIs, and so is OUTPUT_REPORT, where the report goes. POSIX sh and awk.
set -eu

command -v s3cp >/dev/null || s3cp() { go run ../s3cp "$@"; } # the image has s3cp; a laptop has Go

since='' until=''
for argument; do
	case $argument in
	--since=*) since=${argument#*=} ;;
	--until=*) until=${argument#*=} ;;
	*) echo "generation-mix: $argument is unknown; there are --since=YEAR and --until=YEAR" >&2 && exit 2 ;;
	esac
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 143' TERM

s3cp "$INPUT_FILE" "$work/published.csv"
: >"$work/rows.csv"
if [ -n "${INPUT_ROWS:-}" ]; then
	s3cp "$INPUT_ROWS" "$work/rows.json"
	awk -v columns=year,source,net_generation -f rows.awk "$work/rows.json" >"$work/rows.csv"
fi
awk -v since="$since" -v until="$until" -f mix.awk "$work/published.csv" "$work/rows.csv" >"$work/report.csv"
s3cp "$work/report.csv" "$OUTPUT_REPORT"

echo "generation-mix: $(($(wc -l <"$work/report.csv") - 1)) figures, $(wc -l <"$work/rows.csv" | tr -d ' ') of them reported, in $OUTPUT_REPORT"
