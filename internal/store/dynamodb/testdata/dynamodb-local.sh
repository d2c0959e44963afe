#!/bin/sh
# Fetches DynamoDB Local, AWS's own, into a folder: the referee of TestDynamoDBLocal. Does nothing
# when the folder has it already. Needs mvn, with whatever settings this machine has; the tests
# then need java, of 17 or later.
#
#   internal/store/dynamodb/testdata/dynamodb-local.sh OUTDIR
#   MODELDISPATCH_DYNAMODB_LOCAL=OUTDIR go test ./internal/store/dynamodb
set -eu
if [ $# -ne 1 ]; then
    echo "usage: $0 OUTDIR" >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
# The pom is copied last, so it is there only when everything is, and of this version.
if cmp -s "$here/pom.xml" "$out/pom.xml"; then
    exit 0
fi
rm -rf "$out/lib"
mvn --quiet --batch-mode --file "$here/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$out/lib"
cp "$here/pom.xml" "$out/pom.xml"
