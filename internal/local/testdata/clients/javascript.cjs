// Puts a file with every method of the AWS SDK for JavaScript v3, and reads it back.
// Arguments: bucket, file, folder for files. NODE_PATH names the folder of the npm packages.
const fs = require("node:fs");
const http = require("node:http");
const { Readable } = require("node:stream");
const { pipeline } = require("node:stream/promises");
const { S3Client, PutObjectCommand, GetObjectCommand, CopyObjectCommand, ListObjectsV2Command } = require("@aws-sdk/client-s3");
const { Upload } = require("@aws-sdk/lib-storage");
const { getSignedUrl } = require("@aws-sdk/s3-request-presigner");

const [Bucket, file, folder] = process.argv.slice(2);
const content = fs.readFileSync(file);
const prefix = "a b+ü%41/";
const keys = [];
let step = "start";

async function put(name, action) {
  step = `put ${name}`;
  await action(prefix + name);
  keys.push(prefix + name);
  console.log(step);
}

async function get(name, action) {
  step = `get ${name}`;
  compare(await action());
  console.log(step);
}

function compare(got) {
  if (!content.equals(got)) throw new Error(`it read ${got.length} bytes, which differ from the ${content.length} bytes of the file`);
}

// loopback resolves each name below localhost to this machine, as browsers and some systems do.
const loopback = (name, options, found) => (options.all ? found(null, [{ address: "127.0.0.1", family: 4 }]) : found(null, "127.0.0.1", 4));

async function* pieces(size) {
  for (let first = 0; first < content.length; first += size) yield content.subarray(first, first + size);
}

async function main() {
  const s3 = new S3Client({ forcePathStyle: true });
  const virtual = new S3Client({
    endpoint: process.env.AWS_ENDPOINT_URL.replace("127.0.0.1", "localhost"),
    requestHandler: { httpAgent: new http.Agent({ lookup: loopback }) },
  });
  const whole = async (client, Key) => (await client.send(new GetObjectCommand({ Bucket, Key }))).Body.transformToByteArray();
  const upload = (client, Key, Body, options) => new Upload({ client, params: { Bucket, Key, Body, ...options } }).done();

  await put("PutObject", (Key) => s3.send(new PutObjectCommand({ Bucket, Key, Body: content })));
  for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]) {
    await put(`PutObject ${ChecksumAlgorithm}`, (Key) => s3.send(new PutObjectCommand({ Bucket, Key, Body: content, ChecksumAlgorithm })));
  }
  await put("PutObject of a file stream", (Key) => s3.send(new PutObjectCommand({ Bucket, Key, Body: fs.createReadStream(file) })));
  await put("PutObject of a stream", (Key) =>
    s3.send(new PutObjectCommand({ Bucket, Key, Body: Readable.from(pieces(100_000)), ContentLength: content.length })));
  await put("Upload", (Key) => upload(s3, Key, content));
  await put("Upload of a stream", (Key) => upload(s3, Key, Readable.from(pieces(1_000_000))));
  await put("Upload SHA256", (Key) => upload(s3, Key, content, { ChecksumAlgorithm: "SHA256" }));
  await put("presigned PUT", async (Key) => {
    const answer = await fetch(await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key })), { method: "PUT", body: content });
    if (!answer.ok) throw new Error(await answer.text());
  });
  await put("CopyObject", (Key) => s3.send(new CopyObjectCommand({ Bucket, Key, CopySource: encodeURIComponent(`${Bucket}/${keys[0]}`) })));
  await put("PutObject by a virtual host", (Key) => virtual.send(new PutObjectCommand({ Bucket, Key, Body: content })));
  await put("Upload by a virtual host", (Key) => upload(virtual, Key, Readable.from(pieces(1_000_000))));

  for (const key of keys) {
    step = `get GetObject of ${key}`;
    compare(await whole(s3, key));
  }
  console.log("get each by GetObject");
  await get("GetObject by ranges", async () => {
    const range = async (Range) => (await s3.send(new GetObjectCommand({ Bucket, Key: keys[0], Range }))).Body.transformToByteArray();
    return Buffer.concat(await Promise.all([range("bytes=0-9999999"), range("bytes=10000000-")]));
  });
  await get("GetObject to a file", async () => {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key: keys[0] }));
    await pipeline(Body, fs.createWriteStream(`${folder}/got`));
    return fs.readFileSync(`${folder}/got`);
  });
  await get("presigned GET", async () => {
    const answer = await fetch(await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: keys[0] })));
    return Buffer.from(await answer.arrayBuffer());
  });
  await get("GetObject by a virtual host", () => whole(virtual, keys[0]));
  await get("first object of a virtual host", async () => {
    const { Contents } = await virtual.send(new ListObjectsV2Command({ Bucket, Prefix: prefix }));
    return whole(virtual, Contents[0].Key);
  });
}

main().catch((err) => {
  console.error(`${step}: failed`);
  console.error(err);
  process.exitCode = 1;
});
