"""What does it take to copy a clip from where xAI has it into S3?

Each copy runs in a process of its own, with TLS on both sides, between a source and an S3 on this
machine that keep nothing and run in processes of their own. Three ways to do it:

    naive   httpx reads it all, put_object sends it all
    relay   bytes from one socket to the other, in Python: nobody can do with less
    ours    as it is shipped, the hash and the check of the MP4 included

Prints CPU seconds a GB (user and system, of the copying process alone, the least of some rounds),
the peak of memory above what the process held after a first copy of 1 MB (VmHWM above VmRSS), and
the requests to S3. Linux only.

    python -m benchmarks.copying [--rounds 5] [--quick]
"""

from __future__ import annotations

import argparse
import http.server
import json
import os
import re
import resource
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from benchmarks.rows import Row, verdict

COMMAND = (sys.executable, "-m", "benchmarks.copying")
ROOT = Path(__file__).parents[1]
MB = 1024 * 1024
GB = 1e9
SIZES = (10, 100)  # MB
LARGE = 1000
ROUNDS = 5
MOST_CPU = 1.4  # times the relay
MOST_MIB = 6
AT_LEAST_MB = 100  # copied for one figure
HOST = "127.0.0.1"


# -- the servers ---------------------------------------------------------------------------------


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
    """As much of S3 as a PutObject needs; what arrives is counted and thrown away.

    GET tells how many requests and bytes there were.
    """

    protocol_version = "HTTP/1.1"
    seen = (0, 0)

    def do_GET(self) -> None:
        self.answer(json.dumps(Sink.seen).encode())

    def do_PUT(self) -> None:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            self.chunks()
            size = int(self.headers["X-Amz-Decoded-Content-Length"])
        else:
            size = int(self.headers["Content-Length"])
            self.skip(size)
        requests, taken = Sink.seen
        Sink.seen = requests + 1, taken + size
        self.answer(b"")

    def chunks(self) -> None:
        while size := int(self.rfile.readline(), 16):
            self.skip(size)
            self.rfile.readline()
        self.rfile.readline()

    def skip(self, size: int) -> None:
        while size:
            size -= len(self.rfile.read(min(MB, size)))

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("ETag", '"e"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def serve(name: str, folder: Path) -> None:
    """The process of a server: says its port, and ends with its standard input."""
    handler = {"source": Source, "sink": Sink}[name]
    Source.clip = (folder / "clip.mp4").read_bytes()
    server = http.server.ThreadingHTTPServer((HOST, 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


def make_certificate(folder: Path) -> None:
    """One of our own for this machine's address, and its key."""
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
        f"-subj /CN={HOST} -addext subjectAltName=IP:{HOST} "
        f"-keyout {folder}/key.pem -out {folder}/cert.pem"
    )
    subprocess.run(command.split(), check=True, capture_output=True)


def make_clip(folder: Path) -> None:
    """One real second of H.264."""
    import imageio_ffmpeg

    make = ["-f", "lavfi", "-i", "testsrc=duration=1:size=320x180:rate=24"]
    options = ["-loglevel", "error", *make, "-pix_fmt", "yuv420p", f"{folder}/clip.mp4"]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), *options], check=True)


class Ground(NamedTuple):
    """Where copies are made: the ports of the source and the sink, and who vouches for them."""

    folder: Path
    source: int
    sink: int


@contextmanager
def ground() -> Iterator[Ground]:
    """Both servers, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="copy-") as name:
        folder = Path(name)
        make_certificate(folder)
        make_clip(folder)
        servers = [
            subprocess.Popen(
                [*COMMAND, "--serve", which, name],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for which in ("source", "sink")
        ]
        try:
            ports = [int(server.stdout.readline()) for server in servers if server.stdout]
            yield Ground(folder, *ports)
        finally:
            for server in servers:
                server.communicate("")


# -- the ways ------------------------------------------------------------------------------------

Copy = Callable[[int], None]


def naive(at: Ground) -> Copy:
    """What one writes first."""
    import boto3
    import httpx

    s3 = boto3.client("s3", endpoint_url=f"https://{HOST}:{at.sink}")
    http = httpx.Client(verify=ssl.create_default_context(cafile=at.folder / "cert.pem"))

    def copy(megabytes: int) -> None:
        clip = http.get(f"https://{HOST}:{at.source}/{megabytes}.mp4")
        s3.put_object(Bucket="library", Key="a.mp4", Body=clip.content, IfNoneMatch="*")

    return copy


def relay(at: Ground) -> Copy:
    """What nobody can do without: receive, send."""
    trusted = ssl.create_default_context(cafile=at.folder / "cert.pem")

    def connected(port: int) -> ssl.SSLSocket:
        plain = socket.create_connection((HOST, port))
        return trusted.wrap_socket(plain, server_hostname=HOST)

    def received(connection: ssl.SSLSocket) -> bytes:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError("hung up")
        return piece

    source, sink = connected(at.source), connected(at.sink)

    def copy(megabytes: int) -> None:
        source.sendall(b"GET /%d.mp4 HTTP/1.1\r\nHost: x\r\n\r\n" % megabytes)
        head, end, first = received(source).partition(b"\r\n\r\n")
        while not end:
            head, end, first = (head + first + received(source)).partition(b"\r\n\r\n")
        left = megabytes * MB - len(first)
        put = b"PUT /library/a.mp4 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
        sink.sendall(put % (megabytes * MB) + first)
        while left:
            piece = received(source)
            left -= len(piece)
            sink.sendall(piece)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += received(sink)

    return copy


def ours(at: Ground) -> Copy:
    """What Finalize does."""
    from videoconductor import addresses, copying, wiring
    from videoconductor.download import Bounds, Downloads

    trusted = ssl.create_default_context(cafile=at.folder / "cert.pem")
    origin = f"https://{HOST}:{at.source}"
    wire = addresses.Direct(lambda: trusted)
    downloads = Downloads([origin], Bounds(max_bytes=2**40, seconds=600), wire=wire)
    library = wiring.library()

    def copy(megabytes: int) -> None:
        record: Any = SimpleNamespace(
            pipeline_request_id="f",
            clip_id="c",
            render_id=f"r{megabytes}",
            clip_number=1,
            plan=SimpleNamespace(quality_mode="draft"),
        )
        clip = copying.copy(record, library, lambda: downloads.open(f"{origin}/{megabytes}.mp4"))
        assert clip.bytes == megabytes * MB

    return copy


WAYS = {"naive": naive, "relay": relay, "ours": ours}


# -- measuring -----------------------------------------------------------------------------------


class Figures(NamedTuple):
    """Of one process: CPU seconds a GB, MiB of one copy above what it held before, and requests to
    S3 for each.
    """

    cpu: float
    mib: float
    requests: float = 0


def measure(way: str, megabytes: int, at: Ground) -> Figures:
    """The process that copies: once to warm up, then what counts."""
    copy = WAYS[way](at)
    copy(1)
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = _kib("VmRSS")
    copy(megabytes)
    # Of one copy: what a garbage collector leaves of the others would count as well.
    peak = _kib("VmHWM") - before
    began = _cpu()
    for _ in range(_times(megabytes)):
        copy(megabytes)
    spent = _cpu() - began
    return Figures(spent / (_times(megabytes) * megabytes * MB) * GB, peak / 1024)


def _kib(name: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", status)[1])  # type: ignore[index]


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measured(way: str, megabytes: int, at: Ground) -> Figures:
    """The figures of one process."""
    place = [str(at.folder), str(at.source), str(at.sink)]
    before, _ = seen(at)
    done = subprocess.run(
        [*COMMAND, "--measure", way, str(megabytes), *place],
        env={
            **os.environ,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_S3": f"https://{HOST}:{at.sink}",
            "AWS_CA_BUNDLE": f"{at.folder}/cert.pem",
            "BUCKET_NAME": "library",
        },
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found, (after, _) = Figures(*json.loads(done.stdout)), seen(at)
    copies = 2 + _times(megabytes)  # one to warm up, and one for memory
    return found._replace(requests=(after - before) / copies)


def rows(rounds: int = ROUNDS, sizes: tuple[int, ...] = SIZES, large: int = LARGE) -> list[Row]:
    """CPU and memory for each of some sizes in MB, memory for a large one, and requests."""
    with ground() as at:
        bests = {size: _bests(size, rounds, at) for size in sizes}
        largest = measured("ours", large, at)
    found = [row for size, best in bests.items() for row in _rows_of(size, best)]
    naive = max(best["naive"].requests for best in bests.values())
    ours = max(largest.requests, *(best["ours"].requests for best in bests.values()))
    return [
        *found,
        _memory_row(large, None, largest.mib),
        Row("copy: S3 requests a clip", "", naive, ours, "1", ours == 1),
    ]


def _bests(megabytes: int, rounds: int, at: Ground) -> dict[str, Figures]:
    """Of each way the least CPU that a round took, and the most memory and requests."""
    least: dict[str, Figures] = {}
    for _ in range(rounds):
        for way in WAYS:
            found = measured(way, megabytes, at)
            known = least.get(way, found)
            least[way] = Figures(
                min(known.cpu, found.cpu),
                max(known.mib, found.mib),
                max(known.requests, found.requests),
            )
    return least


def _rows_of(megabytes: int, least: dict[str, Figures]) -> list[Row]:
    goal = MOST_CPU * least["relay"].cpu
    cpu = Row(
        f"copy: CPU a GB, {megabytes} MB",
        "s",
        least["naive"].cpu,
        least["ours"].cpu,
        f"at most {goal:.1f}, {MOST_CPU} x the relay's {least['relay'].cpu:.1f}",
        least["ours"].cpu <= goal,
    )
    return [cpu, _memory_row(megabytes, least["naive"].mib, least["ours"].mib)]


def _memory_row(megabytes: int, naive: float | None, ours: float) -> Row:
    name, goal = f"copy: peak memory, {megabytes} MB", f"at most {MOST_MIB}"
    return Row(name, "MiB", naive, ours, goal, ours <= MOST_MIB)


def _times(megabytes: int) -> int:
    """How often a clip of a size is copied for one figure."""
    return max(1, -(-AT_LEAST_MB // megabytes))


def seen(at: Ground) -> tuple[int, int]:
    """Requests that the sink has had, and their bytes."""
    import httpx

    trusted = ssl.create_default_context(cafile=at.folder / "cert.pem")
    answer = httpx.get(f"https://{HOST}:{at.sink}/", verify=trusted).json()
    return answer[0], answer[1]


def main() -> int:
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], Path(sys.argv[3]))
        return 0
    if sys.argv[1:2] == ["--measure"]:
        way, megabytes, folder, source, sink = sys.argv[2:]
        at = Ground(Path(folder), int(source), int(sink))
        print(json.dumps(measure(way, int(megabytes), at)))
        return 0
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--quick", action="store_true", help="small ones only, once")
    chosen = parser.parse_args()
    return verdict(rows(1, (2,), 4) if chosen.quick else rows(chosen.rounds))


if __name__ == "__main__":
    sys.exit(main())
