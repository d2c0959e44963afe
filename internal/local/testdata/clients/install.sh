#!/bin/sh
# Installs the clients of TestWithEveryClient into a folder, in less than a minute. It needs python3 with
# venv, node, npm, mvn, and a JDK of version 17 or later. The AWS CLI 2 runs on Linux on x86-64 only.
#
#   internal/local/testdata/clients/install.sh OUTDIR
#   MODELDISPATCH_CLIENTS=OUTDIR go test -run TestWithEveryClient ./internal/local
set -eu
if [ $# -ne 1 ]; then
    echo "usage: $0 OUTDIR" >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)

# aiobotocore, which s3fs uses, limits the version of boto3.
python3 -m venv "$out/python"
"$out/python/bin/pip" install -q --no-compile \
    awscli==1.46.3 awscrt==0.38.1 boto3==1.43.117 s3fs==2026.9.0 aiobotocore==3.10.0 pyarrow==26.0.1

npm install --silent --no-audit --no-fund --prefix "$out" \
    @aws-sdk/client-s3@3.1175.0 @aws-sdk/lib-storage@3.1175.0 @aws-sdk/s3-request-presigner@3.1169.0

# AWS publishes version 2 of its CLI in no package registry. This npm package contains it as a Lambda layer.
archive=$out/$(npm pack --silent --pack-destination "$out" @aws-cdk/asset-awscli-v2@2.0.186)
tar -xzf "$archive" -C "$out" package/lib/layer.zip
rm -rf "$out/layer"
python3 -m zipfile -e "$out/package/lib/layer.zip" "$out/layer"
ln -sfn "$out"/layer/awscli/v2/2.*/dist "$out/awscli2"
chmod +x "$out/awscli2/aws"
rm -r "$out/package" "$archive"

mvn --quiet --batch-mode --file "$here/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$out/java"
