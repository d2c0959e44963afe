#!/bin/sh
# Builds the reference implementation for TestRuler in a folder: event-ruler with its dependencies from
# Maven Central, and the compiled class Reference. Needs mvn and JDK 17 or later.
#
#   internal/pattern/testdata/ruler/build.sh OUTDIR
#   MODELDISPATCH_RULER=OUTDIR go test -run TestRuler ./internal/pattern
set -eu
if [ $# -ne 1 ]; then
    echo "usage: $0 OUTDIR" >&2
    exit 2
fi
mkdir -p "$1"
out=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
mvn --quiet --batch-mode --file "$here/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$out"
javac -cp "$out/*" -d "$out" "$here/Reference.java"
