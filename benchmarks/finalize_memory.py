"""How much memory does Finalize need for a 10 MB and for a 500 MB clip?

Runs the verb in a process of its own, with the real download, MP4 check and S3 client, against a
source and an S3 on this machine that keep nothing. Prints the peak above what the process held
before (VmHWM), for each size. Linux only. Usage: python benchmarks/finalize_memory.py [MB ...]
"""

from __future__ import annotations

import http.server
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

MB = 1024 * 1024
SIZES = [10, 500]


def peak_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])  # type: ignore[index]


def measure(source: str, s3: str) -> None:
    """The child: one warm-up copy, then the copy that counts."""
    import boto3
    from botocore.config import Config

    from videoconductor import inputs, planning, wiring, workflow
    from videoconductor.clip import Attempt, ClipRequest, Delivery, Render
    from videoconductor.download import Bounds, Downloads
    from videoconductor.library import Library

    client = boto3.client(
        "s3",
        endpoint_url=s3,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",  # noqa: S106
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    library = Library("library", client, "generated/videos")
    downloads = Downloads([inputs.origin(source)], Bounds(max_bytes=2**40, seconds=600))
    plan = planning.plan(
        ClipRequest(prompt="a lamp", duration=1), wiring.quality_modes(), wiring.models()
    )

    now = datetime.now(UTC)
    posted = Attempt(number=1, permitted_at=now, lease_until=now, outcome="accepted")

    def copy(megabytes: int) -> Render:
        render = Render(
            render_id=f"r{megabytes}",
            clip_id="c",
            pipeline_request_id="f",
            plan=plan,
            caller="benchmark",
            request_sha256="",
            created_at=datetime.now(UTC),
            status="rendered",
            attempts=(posted,),
            delivery=Delivery(url=f"{source}/{megabytes}.mp4"),
        )
        kept = {"render": render}

        def update(render_id: str, change: Any) -> Render:
            kept["render"] = change(kept["render"])
            return kept["render"]

        manifest: Any = SimpleNamespace(
            read=lambda render_id: kept["render"], update=update, publish=lambda entry, order: None
        )
        events: Any = SimpleNamespace(publish=lambda status, detail, beside: frozenset())
        watch: Any = SimpleNamespace(
            untold=lambda record: (), reason_to_stop=lambda record, drifts: None
        )
        return workflow.finalize(
            render,
            manifest,
            library,
            downloads,
            events,
            watch,
            workflow.Pace(),
            lambda: datetime.now(UTC),
        )

    copy(1)
    before = peak_kib()
    done = copy(int(os.environ["MEGABYTES"]))
    assert done.clip is not None
    print(json.dumps({"bytes": done.clip.bytes, "peakKiB": peak_kib() - before}))


class Source(http.server.BaseHTTPRequestHandler):
    """Serves `/N.mp4`: a real MP4, padded to N MB with a box that players skip."""

    clip = b""
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        padding = int(self.path.strip("/").removesuffix(".mp4")) * MB - len(self.clip) - 16
        self.send_response(200)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Content-Length", str(len(self.clip) + 16 + padding))
        self.end_headers()
        self.wfile.write(self.clip)
        self.wfile.write((1).to_bytes(4, "big") + b"free" + (16 + padding).to_bytes(8, "big"))
        zeros = bytes(MB)
        while padding:
            padding -= self.wfile.write(zeros[: min(MB, padding)])

    def log_message(self, *_: Any) -> None:
        pass


class Sink(http.server.BaseHTTPRequestHandler):
    """As much of S3 as an upload needs; what arrives is thrown away."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        left = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(MB, left)))
        self.answer(b"")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        name = "InitiateMultipartUpload" if "uploads" in self.path else "CompleteMultipartUpload"
        self.answer(f"<{name}Result><UploadId>u</UploadId></{name}Result>".encode())

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("ETag", '"e"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def serve(handler: type[http.server.BaseHTTPRequestHandler]) -> str:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


def sample_clip() -> bytes:
    """One real second of H.264."""
    import imageio_ffmpeg

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        make = ["-f", "lavfi", "-i", "testsrc=duration=1:size=320x180:rate=24"]
        options = ["-loglevel", "error", *make, "-pix_fmt", "yuv420p", str(path)]
        subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), *options], check=True)
        return path.read_bytes()


def main() -> None:
    if len(sys.argv) == 4 and sys.argv[1] == "--measure":
        measure(sys.argv[2], sys.argv[3])
        return
    Source.clip = sample_clip()
    source, s3 = serve(Source), serve(Sink)
    print(f"{'clip':>8}  {'peak above base':>16}")
    for size in [int(text) for text in sys.argv[1:]] or SIZES:
        done = subprocess.run(
            [sys.executable, __file__, "--measure", source, s3],
            env={**os.environ, "MEGABYTES": str(size)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        found = json.loads(done.stdout.strip().splitlines()[-1])
        assert found["bytes"] == size * MB
        print(f"{size:>5} MB  {found['peakKiB'] / 1024:>12.1f} MiB")


if __name__ == "__main__":
    main()
