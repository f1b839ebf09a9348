"""The shipped presets, real MP4s, and a server on a real socket that answers with raw bytes."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest

from videoconductor import intake, planning
from videoconductor.clip import RenderPlan
from videoconductor.models import ModelCatalog
from videoconductor.quality import QualityModes

PRESETS = Path(__file__).parents[2] / "presets"


@pytest.fixture(scope="session")
def modes() -> QualityModes:
    return QualityModes.from_json((PRESETS / "video-presets.json").read_text())


@pytest.fixture(scope="session")
def models() -> ModelCatalog:
    return ModelCatalog.from_json((PRESETS / "models.json").read_text())


@pytest.fixture(scope="session")
def plan(modes: QualityModes, models: ModelCatalog) -> Callable[..., RenderPlan]:
    """A plan from a request's fields as they are on the wire."""

    def planned(**fields: Any) -> RenderPlan:
        return planning.plan(intake.clip_request(json.dumps(fields)), modes, models)

    return planned


MUXINGS = {
    "moov_last": "",
    "moov_first": "+faststart",
    "fragmented": "+frag_keyframe+empty_moov",
    "hybrid": "+frag_keyframe",
    "endless": "+frag_keyframe+empty_moov+default_base_moof+skip_trailer",
}


@pytest.fixture(scope="session")
def mp4s(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Real MP4s of two seconds, 64x36 pixels, by how their boxes are laid out."""
    folder = tmp_path_factory.mktemp("mp4s")
    sources = ["-f", "lavfi", "-i", "testsrc=size=64x36:rate=10:duration=2"]
    tone = ["-f", "lavfi", "-i", "sine=duration=2", "-c:a", "aac", "-b:a", "32k"]
    codec = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "5", "-pix_fmt", "yuv420p"]
    rows = {
        name: [*sources, *tone, *codec, "-movflags", flags or "0"]
        for name, flags in MUXINGS.items()
    }
    rows["silent"] = [*sources, *codec]
    rows["rotated"] = [*sources, *codec, "-metadata:s:v:0", "rotate=90"]
    rows["sound_only"] = tone
    made = {}
    for name, arguments in rows.items():
        target = folder / f"{name}.mp4"
        exe = imageio_ffmpeg.get_ffmpeg_exe()
        subprocess.run([exe, "-v", "error", *arguments, str(target)], check=True)
        made[name] = target.read_bytes()
    return made


Answer = Callable[[socket.socket], None]


@dataclass
class RawServer:
    """Takes each connection, reads one request, and hands the socket to `answer`.

    An answer that raises ConnectionResetError cuts the connection with a reset.
    """

    answer: Answer
    context: ssl.SSLContext | None = None
    requests: list[bytes] = field(default_factory=list)
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    @property
    def origin(self) -> str:
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"

    def serve(self) -> None:
        while True:
            try:
                opened, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(opened,), daemon=True).start()

    def _one(self, opened: socket.socket) -> None:
        opened.settimeout(10)
        with suppress(OSError), opened:
            if self.context is not None:
                opened = self.context.wrap_socket(opened, server_side=True)
            self.requests.append(_request(opened))
            try:
                self.answer(opened)
            except ConnectionResetError:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            opened.close()


def _request(opened: socket.socket) -> bytes:
    came = b""
    while b"\r\n\r\n" not in came:
        piece = opened.recv(65536)
        if not piece:
            return came
        came += piece
    head, _, body = came.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        piece = opened.recv(65536)
        if not piece:
            break
        body += piece
    return head + b"\r\n\r\n" + body


@pytest.fixture
def serve() -> Iterator[Callable[..., RawServer]]:
    """Start a server that answers every request with raw bytes, or by a function of the socket."""
    started: list[RawServer] = []

    def start(answer: bytes | Answer, context: ssl.SSLContext | None = None) -> RawServer:
        raw = answer if callable(answer) else (lambda opened: opened.sendall(answer))
        server = RawServer(raw, context)
        threading.Thread(target=server.serve, daemon=True).start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.listener.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Path]]:
    """A self-signed certificate and its key, for a host name."""
    folder = tmp_path_factory.mktemp("certificates")

    def make(host: str) -> tuple[Path, Path]:
        cert, key = folder / f"{host}.pem", folder / f"{host}.key"
        if not cert.exists():
            command = (
                "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
                f"-subj /CN={host} -addext subjectAltName=DNS:{host} -keyout {key} -out {cert}"
            )
            subprocess.run(command.split(), check=True, capture_output=True)
        return cert, key

    return make
