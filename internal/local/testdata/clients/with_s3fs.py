"""Puts a file with every method of s3fs, and reads it back. Arguments: bucket, file, folder for files."""

import sys

import s3fs
from steps import Steps

bucket, file, folder = sys.argv[1:]
with open(file, "rb") as f:
    content = f.read()
fs = s3fs.S3FileSystem()
steps = Steps(content)
block = 10 << 20


def path(key):
    return f"{bucket}/{key}"


def write_blocks(key):
    with fs.open(path(key), "wb", block_size=block) as f:
        for first in range(0, len(content), block):
            f.write(content[first : first + block])


def append(key):
    fs.pipe_file(path(key), content[:block])
    with fs.open(path(key), "ab") as f:
        f.write(content[block:])


steps.put("open for writing", write_blocks)
steps.put("open for appending", append)
steps.put("put_file", lambda key: fs.put_file(file, path(key)))
steps.put("pipe_file", lambda key: fs.pipe_file(path(key), content))
steps.put("cp_file", lambda key: fs.cp_file(path(steps.keys[0]), path(key)))

last = path(steps.keys[-1])


def get_file():
    fs.get_file(last, folder + "/got")
    with open(folder + "/got", "rb") as f:
        return f.read()


def cat_ranges():
    starts = range(0, len(content), block)
    ends = [min(start + block, len(content)) for start in starts]
    return b"".join(fs.cat_ranges([last] * len(starts), list(starts), ends))


def read_with_seeks():
    with fs.open(last, "rb") as f:
        f.seek(block)
        tail = f.read()
        f.seek(0)
        return f.read(block) + tail


steps.get_each("cat_file", lambda key: fs.cat_file(path(key)))
steps.get("get_file", get_file)
steps.get("cat_ranges", cat_ranges)
steps.get("open for reading", read_with_seeks)
steps.get("first object of find", lambda: fs.cat_file(fs.find(bucket)[0]))
