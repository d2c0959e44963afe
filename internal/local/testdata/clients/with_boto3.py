"""Puts a file with every method of boto3, and reads it back. Arguments: bucket, file, folder for files."""

import io
import sys
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from steps import Steps
from urllib3.filepost import encode_multipart_formdata

bucket, file, folder = sys.argv[1:]
with open(file, "rb") as f:
    content = f.read()
s3 = boto3.client("s3")
steps = Steps(content)


class Pipe(io.RawIOBase):
    """A stream of unknown length, without seek."""

    def __init__(self):
        self.source = open(file, "rb")

    def readable(self):
        return True

    def readinto(self, buffer):
        return self.source.readinto(buffer)


def put_object(key):
    s3.put_object(Bucket=bucket, Key=key, Body=content)


def put_open_file(key):
    with open(file, "rb") as f:
        s3.put_object(Bucket=bucket, Key=key, Body=f)


def put_presigned(key):
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": key})
    urllib.request.urlopen(urllib.request.Request(url, content, method="PUT")).close()


def post_form(key):
    form = s3.generate_presigned_post(bucket, key, Conditions=[["content-length-range", 0, len(content)]])
    body, kind = encode_multipart_formdata({**form["fields"], "file": ("file", content)})
    urllib.request.urlopen(urllib.request.Request(form["url"], body, {"Content-Type": kind})).close()


steps.put("put_object", put_object)
steps.put("put_object of a file", put_open_file)
for algorithm in ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]:
    steps.put(
        f"put_object {algorithm}",
        lambda key: s3.put_object(Bucket=bucket, Key=key, Body=content, ChecksumAlgorithm=algorithm),
    )
steps.put("upload_file", lambda key: s3.upload_file(file, bucket, key))
for algorithm in ["CRC64NVME", "SHA256"]:
    steps.put(
        f"upload_file {algorithm}",
        lambda key: s3.upload_file(file, bucket, key, ExtraArgs={"ChecksumAlgorithm": algorithm}),
    )
steps.put("upload_fileobj of a pipe", lambda key: s3.upload_fileobj(Pipe(), bucket, key))
steps.put("presigned PUT", put_presigned)
steps.put("presigned POST", post_form)

last = steps.keys[-1]
source = {"Bucket": bucket, "Key": last}
steps.put("copy", lambda key: s3.copy(source, bucket, key))
steps.put("copy by CopyObject", lambda key: s3.copy(source, bucket, key, Config=TransferConfig(multipart_threshold=1 << 30)))


def download_file():
    s3.download_file(bucket, last, folder + "/downloaded")
    with open(folder + "/downloaded", "rb") as f:
        return f.read()


def download_fileobj():
    into = io.BytesIO()
    s3.download_fileobj(bucket, steps.keys[0], into)
    return into.getvalue()


def get_presigned():
    with urllib.request.urlopen(s3.generate_presigned_url("get_object", Params=source)) as response:
        return response.read()


def get_range(first, last_byte):
    return s3.get_object(**source, Range=f"bytes={first}-{last_byte}")["Body"].read()


steps.get_each("get_object", lambda key: s3.get_object(Bucket=bucket, Key=key)["Body"].read())
steps.get("download_file", download_file)
steps.get("download_fileobj", download_fileobj)
steps.get("get_object by ranges", lambda: get_range(0, 9_999_999) + get_range(10_000_000, ""))
steps.get("iter_chunks", lambda: b"".join(s3.get_object(**source)["Body"].iter_chunks(1 << 20)))
steps.get("presigned GET", get_presigned)
