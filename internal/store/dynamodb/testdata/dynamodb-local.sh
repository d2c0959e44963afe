#!/bin/sh
# dynamodb-local.sh OUTDIR: install DynamoDB Local, which AWS publishes, into a folder. The tests run against it.
# If the folder already holds this version, the script does nothing. It needs mvn. The tests need Java 17 or later.
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
# The script copies pom.xml last. So a folder with the same pom.xml holds this version completely.
if cmp -s "$here/pom.xml" "$out/pom.xml"; then
    exit 0
fi
rm -rf "$out/lib"
mvn --quiet --batch-mode --file "$here/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$out/lib"
cp "$here/pom.xml" "$out/pom.xml"
