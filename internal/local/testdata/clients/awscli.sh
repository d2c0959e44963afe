#!/bin/sh
# Puts a file with every command of an AWS CLI, and reads it back.
# Arguments: program, bucket, file, folder for files.
set -eu
aws=$1 bucket=$2 file=$3 folder=$4
step=start
trap '[ "$step" = end ] || echo "$step: failed" >&2' EXIT
did() { echo "$step"; }
same() { cmp "$file" "$1" >&2; }
prefix="a b+ü%41"
uri="s3://$bucket/$prefix"

step="put cp"
"$aws" s3 cp --quiet "$file" "$uri/cp"
did
step="put cp of stdin"
cat "$file" | "$aws" s3 cp --quiet - "$uri/cp of stdin"
did
step="put cp from S3"
"$aws" s3 cp --quiet "$uri/cp" "$uri/cp from S3"
did
step="put sync"
mkdir "$folder/up"
cp "$file" "$folder/up/sync"
"$aws" s3 sync --quiet "$folder/up" "$uri"
did
step="put put-object"
"$aws" s3api put-object --bucket "$bucket" --key "$prefix/put-object" --body "$file" >"$folder/answer"
did
for algorithm in CRC32 CRC32C CRC64NVME SHA1 SHA256; do
    step="put put-object $algorithm"
    "$aws" s3api put-object --bucket "$bucket" --key "$prefix/put-object $algorithm" --body "$file" \
        --checksum-algorithm "$algorithm" >"$folder/answer"
    did
done

step="get sync"
"$aws" s3 sync --quiet "$uri" "$folder/down"
for each in "$folder"/down/*; do
    same "$each"
done
did
step="get cp"
"$aws" s3 cp --quiet "$uri/cp of stdin" "$folder/got"
same "$folder/got"
did
step="get cp to stdout"
"$aws" s3 cp --quiet "$uri/cp" - | same -
did
step="get get-object by ranges"
"$aws" s3api get-object --bucket "$bucket" --key "$prefix/cp" --range bytes=0-9999999 "$folder/first" >"$folder/answer"
"$aws" s3api get-object --bucket "$bucket" --key "$prefix/cp" --range bytes=10000000- "$folder/second" >"$folder/answer"
cat "$folder/first" "$folder/second" | same -
did
step=end
