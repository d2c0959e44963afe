#!/bin/sh
# generation-mix.sh [--since=YEAR] [--until=YEAR]: write a report on the energy mix. Needs only POSIX sh and awk.
#
# INPUT_FILE      S3 URI of the published figures (CSV)
# INPUT_ROWS      S3 URI of figures that were reported after the publication (JSON); empty or unset if there are none
# OUTPUT_REPORT   S3 URI of the report (CSV)
set -eu

command -v s3cp >/dev/null || s3cp() { go run ../s3cp "$@"; } # the image contains s3cp; on a laptop Go runs it

since='' until=''
for argument; do
	case $argument in
	--since=*) since=${argument#*=} ;;
	--until=*) until=${argument#*=} ;;
	*) echo "generation-mix: unknown argument $argument; the arguments are --since=YEAR and --until=YEAR" >&2 && exit 2 ;;
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

figures=$(($(wc -l <"$work/report.csv") - 1))
reported=$(($(wc -l <"$work/rows.csv")))
echo "generation-mix: wrote $figures figures to $OUTPUT_REPORT; the request reported $reported"
