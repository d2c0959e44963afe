import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import software.amazon.awssdk.core.ResponseBytes;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.core.async.AsyncResponseTransformer;
import software.amazon.awssdk.core.async.BlockingInputStreamAsyncRequestBody;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.http.ContentStreamProvider;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.ChecksumAlgorithm;
import software.amazon.awssdk.services.s3.model.CompletedPart;
import software.amazon.awssdk.services.s3.model.S3Object;
import software.amazon.awssdk.transfer.s3.S3TransferManager;

/**
 * Puts a file with every method of the AWS SDK for Java v2, and reads it back. Arguments: bucket, file,
 * folder for files.
 */
final class Java {
    private static final String PREFIX = "a b+\u00fc%41/";
    private static final int PART = 8 << 20;

    private final String bucket;
    private final Path file;
    private final Path folder;
    private final byte[] content;
    private final List<String> keys = new ArrayList<>();

    private interface Put {
        void put(String key) throws Exception;
    }

    private interface Get {
        byte[] get() throws Exception;
    }

    private Java(String bucket, Path file, Path folder) throws IOException {
        this.bucket = bucket;
        this.file = file;
        this.folder = folder;
        this.content = Files.readAllBytes(file);
    }

    public static void main(String[] args) {
        try (S3Client s3 = S3Client.create();
                S3AsyncClient async = S3AsyncClient.builder().multipartEnabled(true).build();
                S3AsyncClient crt = S3AsyncClient.crtCreate()) {
            Java java = new Java(args[0], Path.of(args[1]), Path.of(args[2]));
            java.putBySync(s3);
            java.putByAsync("async client", async);
            java.putByAsync("CRT client", crt);
            java.getBySync(s3);
            java.getByAsync("async client", async);
            java.getByAsync("CRT client", crt);
        } catch (Exception e) {
            e.printStackTrace();
            System.exit(1);
        }
    }

    private void putBySync(S3Client s3) throws Exception {
        put("putObject of bytes", key -> s3.putObject(b -> b.bucket(bucket).key(key), RequestBody.fromBytes(content)));
        put("putObject of a file", key -> s3.putObject(b -> b.bucket(bucket).key(key), file));
        put("putObject of a stream", key -> s3.putObject(b -> b.bucket(bucket).key(key),
                RequestBody.fromInputStream(open(), content.length)));
        put("putObject of a stream of unknown length", key -> s3.putObject(b -> b.bucket(bucket).key(key),
                RequestBody.fromContentProvider(ContentStreamProvider.fromInputStreamSupplier(this::open), "application/octet-stream")));
        for (String algorithm : List.of("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")) {
            put("putObject " + algorithm, key -> s3.putObject(b -> b.bucket(bucket).key(key).checksumAlgorithm(algorithm), file));
        }
        put("parts CRC32", key -> putParts(s3, key));
        put("copyObject", key -> s3.copyObject(b -> b.sourceBucket(bucket).sourceKey(keys.get(0))
                .destinationBucket(bucket).destinationKey(key)));
    }

    private void putParts(S3Client s3, String key) {
        String id = s3.createMultipartUpload(b -> b.bucket(bucket).key(key).checksumAlgorithm(ChecksumAlgorithm.CRC32)).uploadId();
        List<CompletedPart> parts = new ArrayList<>();
        for (int first = 0; first < content.length; first += PART) {
            int number = parts.size() + 1;
            byte[] part = Arrays.copyOfRange(content, first, Math.min(first + PART, content.length));
            var answer = s3.uploadPart(b -> b.bucket(bucket).key(key).uploadId(id).partNumber(number)
                    .checksumAlgorithm(ChecksumAlgorithm.CRC32), RequestBody.fromBytes(part));
            parts.add(CompletedPart.builder().partNumber(number).eTag(answer.eTag()).checksumCRC32(answer.checksumCRC32()).build());
        }
        s3.completeMultipartUpload(b -> b.bucket(bucket).key(key).uploadId(id).multipartUpload(m -> m.parts(parts)));
    }

    private void putByAsync(String client, S3AsyncClient s3) throws Exception {
        S3TransferManager manager = S3TransferManager.builder().s3Client(s3).build();
        put(client + ", uploadFile", key -> manager.uploadFile(
                b -> b.source(file).putObjectRequest(r -> r.bucket(bucket).key(key))).completionFuture().join());
        put(client + ", stream of unknown length", key -> {
            BlockingInputStreamAsyncRequestBody body = AsyncRequestBody.forBlockingInputStream(null);
            var answer = s3.putObject(b -> b.bucket(bucket).key(key), body);
            body.writeInputStream(open());
            answer.join();
        });
        put(client + ", copy", key -> manager.copy(b -> b.copyObjectRequest(
                r -> r.sourceBucket(bucket).sourceKey(keys.get(0)).destinationBucket(bucket).destinationKey(key)))
                .completionFuture().join());
    }

    private void getBySync(S3Client s3) throws Exception {
        for (String key : keys) {
            compare("getObject of " + key, () -> s3.getObjectAsBytes(b -> b.bucket(bucket).key(key)).asByteArrayUnsafe());
        }
        System.out.println("get each by getObjectAsBytes");
        get("getObject to a file", () -> {
            s3.getObject(b -> b.bucket(bucket).key(keys.get(0)), folder.resolve("got"));
            return Files.readAllBytes(folder.resolve("got"));
        });
        get("getObject by ranges", () -> {
            byte[] first = s3.getObjectAsBytes(b -> b.bucket(bucket).key(keys.get(0)).range("bytes=0-9999999")).asByteArrayUnsafe();
            byte[] second = s3.getObjectAsBytes(b -> b.bucket(bucket).key(keys.get(0)).range("bytes=10000000-")).asByteArrayUnsafe();
            byte[] both = Arrays.copyOf(first, first.length + second.length);
            System.arraycopy(second, 0, both, first.length, second.length);
            return both;
        });
        get("first object of listObjectsV2", () -> {
            S3Object listed = s3.listObjectsV2(b -> b.bucket(bucket).prefix(PREFIX)).contents().get(0);
            return s3.getObjectAsBytes(b -> b.bucket(bucket).key(listed.key())).asByteArrayUnsafe();
        });
    }

    private void getByAsync(String client, S3AsyncClient s3) throws Exception {
        S3TransferManager manager = S3TransferManager.builder().s3Client(s3).build();
        get(client + ", downloadFile", () -> {
            Path to = folder.resolve(client);
            manager.downloadFile(b -> b.destination(to).getObjectRequest(r -> r.bucket(bucket).key(keys.get(0))))
                    .completionFuture().join();
            return Files.readAllBytes(to);
        });
        get(client + ", getObject", () -> {
            ResponseBytes<?> got = s3.getObject(b -> b.bucket(bucket).key(keys.get(0)), AsyncResponseTransformer.toBytes()).join();
            return got.asByteArrayUnsafe();
        });
    }

    private InputStream open() {
        try {
            return new FileInputStream(file.toFile());
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private void put(String name, Put action) throws Exception {
        try {
            action.put(PREFIX + name);
        } catch (Exception e) {
            throw new IllegalStateException("put " + name + ": failed", e);
        }
        keys.add(PREFIX + name);
        System.out.println("put " + name);
    }

    private void get(String name, Get action) throws Exception {
        compare(name, action);
        System.out.println("get " + name);
    }

    private void compare(String name, Get action) throws Exception {
        byte[] got;
        try {
            got = action.get();
        } catch (Exception e) {
            throw new IllegalStateException("get " + name + ": failed", e);
        }
        if (!Arrays.equals(got, content)) {
            throw new IllegalStateException(
                    "get %s: it read %d bytes, which differ from the %d bytes of the file".formatted(name, got.length, content.length));
        }
    }
}
