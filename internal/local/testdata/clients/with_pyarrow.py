"""Puts a file with every method of pyarrow, and reads it back. Arguments: bucket, file, folder for files."""

import sys

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs
import pyarrow.parquet as pq
from steps import Steps

bucket, file, folder = sys.argv[1:]
with open(file, "rb") as f:
    content = f.read()
fs, _ = pyarrow.fs.FileSystem.from_uri(f"s3://{bucket}")  # S3FileSystem() ignores AWS_ENDPOINT_URL
steps = Steps(content)
row = 1000
rows = [content[first : first + row] for first in range(0, len(content), row)]
names = ["a b+c", "ü%41/x"]
table = pa.table({"part": [names[n % 2] for n in range(len(rows))], "n": range(len(rows)), "row": rows})


def path(key):
    return f"{bucket}/{key}"


def write_stream(key, **options):
    with fs.open_output_stream(path(key), **options) as f:
        for first in range(0, len(content), 1 << 20):
            f.write(content[first : first + (1 << 20)])


def copy_up(key):
    pyarrow.fs.copy_files(file, path(key), source_filesystem=pyarrow.fs.LocalFileSystem(), destination_filesystem=fs)


steps.put("open_output_stream", write_stream)
steps.put("open_output_stream without buffer", lambda key: write_stream(key, buffer_size=0))
steps.put("copy_files", copy_up)
steps.put("copy_file", lambda key: fs.copy_file(path(steps.keys[0]), path(key)))

last = path(steps.keys[-1])


def joined(got):
    return b"".join(got.sort_by("n")["row"].to_pylist())


def read_stream(key):
    with fs.open_input_stream(path(key)) as f:
        return f.read()


def read_at():
    with fs.open_input_file(last) as f:
        return f.read_at(10_000_000, 0) + f.read_at(f.size() - 10_000_000, 10_000_000)


def copy_down():
    pyarrow.fs.copy_files(last, folder + "/got", source_filesystem=fs, destination_filesystem=pyarrow.fs.LocalFileSystem())
    with open(folder + "/got", "rb") as f:
        return f.read()


def parquet():
    pq.write_table(table, f"{bucket}/table.parquet", filesystem=fs)
    return joined(pq.read_table(f"{bucket}/table.parquet", filesystem=fs))


def dataset():
    ds.write_dataset(
        table, f"{bucket}/data set", filesystem=fs, format="parquet", partitioning=["part"], partitioning_flavor="hive"
    )
    read = ds.dataset(f"{bucket}/data set", filesystem=fs, partitioning="hive")
    return joined(pa.concat_tables(read.to_table(filter=ds.field("part") == name) for name in names))


steps.get_each("open_input_stream", lambda key: read_stream(key))
steps.get("open_input_file by ranges", read_at)
steps.get("copy_files", copy_down)
steps.get("write_table and read_table", parquet)
steps.get("write_dataset and dataset", dataset)
