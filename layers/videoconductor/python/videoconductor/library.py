"""The S3 bucket of clips and frames, and the only code that names keys."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from videoconductor import aws
from videoconductor.clip import Incoming, Render
from videoconductor.errors import KeyTaken, LibraryUnavailable, NotAClip, NothingDelivered
from videoconductor.inputs import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

CHUNK_BYTES = 256 * 1024
PART_BYTES = 8 * 1024 * 1024
MAX_CLIP_BYTES = 2 * 1024**3
FRAMES_PREFIX = "generated/images"
PICTURES_PREFIX = "generated/thumbnails"
FILMS_PREFIX = "generated/films"
INCOMING_PREFIX = "incoming/"
INBOX_PREFIX = "inbox/"
OUTBOX_PREFIX = "outbox/"
INBOX_SUFFIX = ".json"
MAX_KEY_BYTES = 1024
# What arrives there for a clip; the id is a render's, which has no slash in it.
_WITNESS = re.compile(r"incoming/([^/]+)/([1-9][0-9]{0,5})\.mp4", re.ASCII)
_ALREADY_THERE = frozenset({"PreconditionFailed", "412"})
_ABSENT = frozenset({"NoSuchKey", "NotFound", "404"})
_NO_SUCH_VERSION = _ABSENT | _ALREADY_THERE | {"NoSuchVersion", "MethodNotAllowed"}
_WRITTEN_MEANWHILE = _ABSENT | _ALREADY_THERE | {"ConditionalRequestConflict", "409"}


class Library:
    """Clips, their sidecars and their frames. Nothing in it is ever overwritten.

    Under `incoming/` is what providers deliver: it stays untrusted, and goes after a time.
    """

    def __init__(
        self,
        bucket: str,
        s3: S3Client,
        prefix: str,
        max_clip_bytes: int = MAX_CLIP_BYTES,
        once: Callable[[], S3Client] | None = None,
    ) -> None:
        """`once` builds the client that tries nothing again: for what can be read only once."""
        self._bucket = bucket
        self._s3 = s3
        self._once = cache(once or (lambda: s3))
        self._prefix = prefix.strip("/")
        self._max_clip_bytes = max_clip_bytes

    def clip_key(self, render: Render) -> str:
        """Where a render's MP4 goes: each attempt has a place of its own, from the second on."""
        folder = f"{render.pipeline_request_id}/{render.clip_id}/{render.plan.quality_mode}"
        suffix = f"-{render.clip_number}" if render.clip_number > 1 else ""
        return f"{self._prefix}/{folder}/{render.render_id}{suffix}.mp4"

    def sidecar_key(self, render: Render) -> str:
        """Where a render's sidecar JSON goes: beside its MP4."""
        return self.clip_key(render).removesuffix("mp4") + "json"

    def conflict_key(self, render: Render, sha256: str) -> str:
        """Where an MP4 goes whose key another file holds."""
        return self.clip_key(render).removesuffix("mp4") + f"{sha256[:16]}.mp4"

    def put_frame(
        self, pipeline_request_id: str, clip_id: str, name: str, media_type: str, content: bytes
    ) -> str:
        """Keep an image under `name` and return its key; the same image again changes nothing."""
        key = f"{FRAMES_PREFIX}/{pipeline_request_id}/{clip_id}/{name}.{IMAGE_SUFFIXES[media_type]}"
        with suppress(KeyTaken):
            self._put(key, content, media_type)
        return key

    def still_key(self, render: Render, media_type: str, number: int) -> str:
        """Where the still of a render's attempt at one goes."""
        folder = f"{FRAMES_PREFIX}/{render.pipeline_request_id}/{render.clip_id}"
        return f"{folder}/{render.render_id}-still-{number}.{IMAGE_SUFFIXES[media_type]}"

    def put_still(self, render: Render, media_type: str, content: bytes, number: int) -> str:
        """Keep the still of a render's attempt at one and return its key."""
        key = self.still_key(render, media_type, number)
        with suppress(KeyTaken):
            self._put(key, content, media_type)
        return key

    def put_picture(self, render: Render, name: str, content: bytes) -> str:
        """Keep a JPEG made of a render's clip as `name` and return its key, which it shapes."""
        folder = f"{render.pipeline_request_id}/{render.clip_id}/{render.plan.quality_mode}"
        mark = hashlib.sha256(content).hexdigest()[:12]
        key = f"{PICTURES_PREFIX}/{folder}/{render.render_id}-{name}-{mark}.jpg"
        with suppress(KeyTaken):
            self._put(key, content, "image/jpeg")
        return key

    def film_key(self, film: str, run_id: str, name: str) -> str:
        """Where a document about a run of a film goes."""
        return f"{FILMS_PREFIX}/{film}/{run_id}/{name}.json"

    def put_document(self, key: str, content: bytes) -> None:
        """Write a JSON document once; a second time changes nothing."""
        with suppress(KeyTaken):
            self._put(key, content, "application/json")

    def replace_document(self, key: str, content: bytes) -> None:
        """Write a JSON document over what stands there, if anything does."""
        with _unavailable("PutObject"):
            self._s3.put_object(
                Bucket=self._bucket, Key=key, Body=content, ContentType="application/json"
            )

    def witness_key(self, render_id: str, number: int) -> str:
        """Where the provider is to deliver the clip of a render's attempt."""
        return f"{INCOMING_PREFIX}{render_id}/{number}.mp4"

    def still_witness_key(self, render_id: str, number: int) -> str:
        """The same for a still. Of what type it is, its bytes show."""
        return f"{INCOMING_PREFIX}{render_id}/still-{number}"

    def witnessed(self, bucket: str, key: str) -> tuple[str, int] | None:
        """The render and the attempt that an object would be the witness of; None for any other."""
        found = _WITNESS.fullmatch(key) if bucket == self._bucket else None
        return found and (found[1], int(found[2]))

    def witnesses(self, limit: int) -> list[tuple[str, tuple[str, int] | None]]:
        """Up to `limit` keys under `incoming/`, each with what it would be the witness of."""
        with _unavailable("ListObjectsV2"):
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=INCOMING_PREFIX, PaginationConfig={"MaxItems": limit}
            )
            keys = [found["Key"] for page in pages for found in page.get("Contents", ())]
        return [(key, self.witnessed(self._bucket, key)) for key in keys]

    @contextmanager
    def delivered(self, key: str, max_bytes: int | None = None) -> Iterator[Incoming]:
        """A file that a provider delivered.

        Raises NothingDelivered when none is there, NotAClip for one that is larger than a clip may
        be, or than `max_bytes`.
        """
        bound = self._max_clip_bytes if max_bytes is None else max_bytes
        with _unavailable("GetObject"):
            try:
                found = self._s3.get_object(Bucket=self._bucket, Key=key)
            except ClientError as problem:
                if aws.code(problem) in _ABSENT:
                    raise NothingDelivered(key) from problem
                raise
        body = found["Body"]
        try:
            if found["ContentLength"] > bound:
                raise NotAClip(f"the file is larger than {bound} bytes")
            yield Incoming(_read(body), found["ContentLength"])
        finally:
            body.close()

    def is_inbox(self, bucket: str, key: str) -> bool:
        """Whether an object is a file in this library's inbox."""
        is_file = key.startswith(INBOX_PREFIX) and key.endswith(INBOX_SUFFIX)
        return bucket == self._bucket and is_file

    def outbox_key(self, inbox_key: str, kind: str) -> str:
        """Where is told what became of an object of the inbox. Raises ValueError if it cannot be.

        No two keys of the inbox have one of the outbox in common.
        """
        name = inbox_key.removeprefix(INBOX_PREFIX).removesuffix(INBOX_SUFFIX)
        key = f"{OUTBOX_PREFIX}{name}.{kind}.json"
        if len(key.encode()) > MAX_KEY_BYTES:
            raise ValueError(f"is so long that {OUTBOX_PREFIX} has no room for an answer")
        if any(part in {".", ".."} for part in name.split("/")):
            raise ValueError("must not have a part that is '.' or '..'")
        return key

    def upload(
        self, key: str, version_id: str | None, etag: str | None, limit: int
    ) -> tuple[bytes, str | None] | None:
        """Up to `limit` bytes of one version of an object, and its id; None if it is gone.

        Where the version is not known, `etag` says which content is meant.
        """
        wanted: Any = {"Bucket": self._bucket, "Key": key}
        if version_id is not None:
            wanted["VersionId"] = version_id
        elif etag is not None:
            wanted["IfMatch"] = etag
        with _unavailable("GetObject"):
            try:
                found = self._s3.get_object(**wanted)
            except ClientError as problem:
                if aws.code(problem) in _NO_SUCH_VERSION:
                    return None
                raise
            return found["Body"].read(limit), found.get("VersionId")

    def document(self, key: str) -> tuple[bytes | None, str | None]:
        """The object under `key` and its etag, or None twice."""
        with _unavailable("GetObject"):
            try:
                found = self._s3.get_object(Bucket=self._bucket, Key=key)
            except ClientError as problem:
                if aws.code(problem) in _ABSENT:
                    return None, None
                raise
            return found["Body"].read(), found["ETag"]

    def swap_document(self, key: str, content: bytes, etag: str | None) -> None:
        """Write a JSON document over the one with `etag`, or where there is none.

        Raises KeyTaken when another one stands there by now.
        """
        condition: Any = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        with _unavailable("PutObject"):
            try:
                self._s3.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=content,
                    ContentType="application/json",
                    **condition,
                )
            except ClientError as problem:
                if aws.code(problem) in _WRITTEN_MEANWHILE:
                    raise KeyTaken from problem
                raise

    def put_clip(self, key: str, incoming: Incoming) -> None:
        """Write an MP4 as it arrives: in one request, or in parts where its length is not known.

        The object appears only when its chunks ended without an exception. Raises KeyTaken when
        one is there already, LibraryUnavailable when S3 fails; what the chunks raise passes
        through.
        """
        if incoming.length:
            self._put_passing(key, incoming.chunks, incoming.length)
        else:
            self._put_parts(key, incoming.chunks)

    def _put_passing(self, key: str, chunks: Iterator[bytes], length: int) -> None:
        body: Any = _Passing(chunks)
        try:
            with _unavailable("PutObject"):
                self._once().put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=body,
                    ContentLength=length,
                    ContentType="video/mp4",
                    IfNoneMatch="*",
                )
        except LibraryUnavailable:
            if body.problem is not None:
                raise body.problem from None
            raise

    def _put_parts(self, key: str, chunks: Iterator[bytes]) -> None:
        """The same in parts, of which PART_BYTES are held at a time."""
        parts = _parts(chunks)
        part = next(parts, b"")
        if len(part) < PART_BYTES:
            self._put(key, part, "video/mp4")
            return
        with self._upload(key) as add:
            while part:
                add(part)
                part = b""  # let go of this one before the next is gathered
                part = next(parts, b"")

    def put_sidecar(self, key: str, sidecar: dict[str, Any]) -> None:
        """Write a clip's sidecar once; a second time changes nothing."""
        text = json.dumps(sidecar, indent=2, ensure_ascii=False, default=str)
        with suppress(KeyTaken):
            self._put(key, text.encode(), "application/json")

    def exists(self, key: str) -> bool:
        """Whether an object stands under `key`."""
        with _unavailable("HeadObject"):
            try:
                self._s3.head_object(Bucket=self._bucket, Key=key)
            except ClientError as problem:
                if aws.code(problem) in _ABSENT:
                    return False
                raise
        return True

    def size(self, key: str) -> int | None:
        """How many bytes the object under `key` has; None where there is none."""
        with _unavailable("HeadObject"):
            try:
                return int(self._s3.head_object(Bucket=self._bucket, Key=key)["ContentLength"])
            except ClientError as problem:
                if aws.code(problem) in _ABSENT:
                    return None
                raise

    def clips(
        self, limit: int, after: str | None = None
    ) -> tuple[list[tuple[str, datetime]], str | None]:
        """Keys where clips and sidecars are and when each was written, `limit` at most, in the
        order of keys; and the key after which to go on, None at the end.
        """
        return self._keys(f"{self._prefix}/", limit, after)

    def deliveries(
        self, limit: int, after: str | None = None
    ) -> tuple[list[tuple[str, datetime]], str | None]:
        """The same of what providers delivered."""
        return self._keys(INCOMING_PREFIX, limit, after)

    def has_conflict(self, key: str) -> bool:
        """Whether another clip came for the key of this one, and is kept beside it."""
        found, _ = self._keys(key.removesuffix("mp4"), 1000, None)
        return any(name.endswith(".mp4") and name != key for name, _ in found)

    def _keys(
        self, prefix: str, limit: int, after: str | None
    ) -> tuple[list[tuple[str, datetime]], str | None]:
        more: Any = {} if after is None else {"StartAfter": after}
        with _unavailable("ListObjectsV2"):
            found = self._s3.list_objects_v2(
                Bucket=self._bucket, Prefix=prefix, MaxKeys=limit, **more
            )
        listed = [(one["Key"], one["LastModified"]) for one in found.get("Contents", ())]
        return listed, listed[-1][0] if listed and found.get("IsTruncated") else None

    def read(self, key: str) -> Iterator[bytes]:
        """The bytes of an object, in chunks."""
        with _unavailable("GetObject"):
            body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"]
        yield from _read(body)

    def presigned_url(self, key: str, seconds: int) -> str:
        """A url that lets anybody who has it read `key` for so many seconds: a secret."""
        return self._s3.generate_presigned_url(
            "get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=seconds
        )

    def upload_url(self, key: str, seconds: int) -> str:
        """A url that lets anybody who has it put a file at `key`: a secret.

        It is good for so many seconds, but no longer than the credentials it is signed with. The
        uploader may send any Content-Type: none is signed. Raises LibraryUnavailable.
        """
        with _unavailable("presign"):  # where the credentials are not to be had
            return self._s3.generate_presigned_url(
                "put_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=seconds
            )

    def uri(self, key: str) -> str:
        """`s3://bucket/key`."""
        return f"s3://{self._bucket}/{key}"

    def key_of(self, uri: str | None) -> str | None:
        """The key in an uri of this library; None for anything else."""
        start = f"s3://{self._bucket}/"
        return uri.removeprefix(start) if uri is not None and uri.startswith(start) else None

    def _put(self, key: str, content: bytes, media_type: str) -> None:
        with _unavailable("PutObject"):
            self._s3.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=content,
                ContentType=media_type,
                IfNoneMatch="*",
            )

    @contextmanager
    def _upload(self, key: str) -> Iterator[Callable[[bytes], None]]:
        """A multipart upload that is completed at the end of the block, or abandoned."""
        named: Any = {"Bucket": self._bucket, "Key": key}
        with _unavailable("CreateMultipartUpload"):
            started = self._s3.create_multipart_upload(**named, ContentType="video/mp4")
        named["UploadId"] = started["UploadId"]
        done: list[CompletedPartTypeDef] = []

        def add(part: bytes) -> None:
            number = len(done) + 1
            with _unavailable("UploadPart"):
                uploaded = self._s3.upload_part(**named, PartNumber=number, Body=part)
            done.append({"ETag": uploaded["ETag"], "PartNumber": number})

        with ExitStack() as undo:
            undo.callback(self._abandon, named)
            yield add
            with _unavailable("CompleteMultipartUpload"):
                self._s3.complete_multipart_upload(
                    **named, MultipartUpload={"Parts": done}, IfNoneMatch="*"
                )
            undo.pop_all()

    def _abandon(self, upload: Any) -> None:
        # What cannot be abandoned now, the bucket's lifecycle rule removes after a day.
        with suppress(BotoCoreError, ClientError):
            self._s3.abort_multipart_upload(**upload)


class _Passing:
    """Chunks as a file that is sent while it is read, and can be read once.

    The last chunk is handed out when the end of all has come without an exception. Before that the
    request is short of its length, so that S3 commits nothing.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._held: list[bytes] = []
        self._rest = memoryview(b"")
        self.problem: Exception | None = None

    def read(self, size: int = -1) -> bytes | memoryview:
        """Some bytes, no more than `size`; none at the end."""
        if not self._rest:
            self._rest = memoryview(self._next())
        size = len(self._rest) if size < 0 else size
        some, self._rest = self._rest[:size], self._rest[size:]
        return some

    def _next(self) -> bytes:
        try:
            self._held += islice(self._chunks, 2 - len(self._held))
        except Exception as problem:
            self.problem = problem  # the client makes an error of its own of it
            raise
        return self._held.pop(0) if self._held else b""


def _read(body: StreamingBody) -> Iterator[bytes]:
    with _unavailable("GetObject"):
        yield from body.iter_chunks(CHUNK_BYTES)


def _parts(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces of PART_BYTES or little more; S3 wants 5 MiB at least of all but the last."""
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size >= PART_BYTES:
            part, held, size = b"".join(held), [], 0
            yield part
    if held:
        yield b"".join(held)


@contextmanager
def _unavailable(call: str) -> Iterator[None]:
    with aws.raising(LibraryUnavailable, f"S3 {call}"):
        try:
            yield
        except ClientError as problem:
            if aws.code(problem) in _ALREADY_THERE:
                raise KeyTaken from problem
            raise
