"""Serves the page, what it needs and its exchange with the command, to those who know the token.

Every address begins with the token; there is nothing else to be had. Responses isolate the page from other sites, which
gives it threads and a fine clock, and forbid it to talk to anyone but this server.
"""

from __future__ import annotations

import json
import secrets
import ssl
import sys
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from importlib import resources
from socketserver import ThreadingTCPServer
from threading import Thread
from typing import Any, Self, TypeVar
from urllib.parse import unquote

from pydantic import BaseModel, ValidationError

from pocketfit.devices.measure.browser.exchange import Exchange, Refused
from pocketfit.devices.measure.browser.messages import Done, Hello
from pocketfit.errors import OptionError

__all__ = ["Server"]

# A page asks again after this; below what networks and browsers cut off.
POLL_S = 15.0
TIMEOUT_S = 60.0
# Bytes of a refused request that are read nevertheless.
DISCARDED = 1 << 24
# Of what a page says in JSON: the times of 100,000 inferences.
MAX_JSON_BYTES = 2 << 20
KEY = "X-Pocketfit-Key"

_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    # The runtimes' loaders make code at run time and start threads from it.
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "worker-src 'self' blob:; img-src data:; connect-src 'self' blob: data:; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "wasm": "application/wasm",
    "json": "application/json",
    "bin": "application/octet-stream",
    "txt": "text/plain; charset=utf-8",
}

T = TypeVar("T", bound=BaseModel)


class Server:
    """Listens in threads of its own; leave it by `with`.

    Args:
        address: of this host, to listen on.
        port: likewise; 0 for any that is free.
        exchange: with the command.
        web: the runtimes' files, by package and path.
        secure: for HTTPS; None for HTTP.

    Raises:
        OptionError: this host cannot listen there.
    """

    def __init__(
        self, address: str, port: int, exchange: Exchange, web: Mapping[str, bytes], secure: ssl.SSLContext | None
    ) -> None:
        self.token = secrets.token_urlsafe(16)
        self.exchange = exchange
        self.files = {**_page(), **{f"web/{path}": content for path, content in web.items()}}
        try:
            self._http = _Listening((address, port), _Handler)
        except OSError as error:
            raise OptionError(
                f"This host cannot listen on {address}, port {port}: {error.strerror or error}. Name an address of "
                "this host with --address, and a free port with --port; 0 takes any."
            ) from error
        self._http.pocketfit = self
        if secure is not None:
            # The handshake is left to each connection's own thread: no stranger holds up the others with his.
            self._http.socket = secure.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
        scheme = "http" if secure is None else "https"
        self.url = f"{scheme}://{address}:{self._http.server_address[1]}/{self.token}/"

    def __enter__(self) -> Self:
        Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.exchange.close()
        self._http.shutdown()
        self._http.server_close()


class _Listening(ThreadingTCPServer):
    """Not `HTTPServer`, which asks the network for this host's name."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    pocketfit: Server

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that break: a phone that does not trust the certificate yet breaks several."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT_S
    server: _Listening

    def do_GET(self) -> None:
        """Called by the standard library."""
        self._respond(self._get)

    def do_POST(self) -> None:
        """Called by the standard library."""
        self._respond(self._post)

    def version_string(self) -> str:
        """Without the release of Python."""
        return "pocketfit"

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: the terminal belongs to the command."""

    def _respond(self, found: Callable[[str], tuple[bytes, str]]) -> None:
        length = self.headers.get("Content-Length", "")
        self.unread = int(length) if length.isascii() and length.isdecimal() else 0
        try:
            status, (content, kind) = 200, found(self._path_behind_token())
        except Refused as refusal:
            status, content, kind = refusal.status, f"{refusal}\n".encode(), "txt"
            self.close_connection = True  # what it sent may not have been read
            self._discard()
        self.send_response(status)
        ending = {"Connection": "close"} if self.close_connection else {}
        told = {"Content-Type": _TYPES[kind], "Content-Length": str(len(content))}
        for name, value in {**_HEADERS, **told, **ending}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _path_behind_token(self) -> str:
        path, prefix = unquote(self.path.partition("?")[0]), f"/{self.server.pocketfit.token}/"
        if not secrets.compare_digest(path[: len(prefix)].encode(), prefix.encode()):
            raise Refused(404, "there is nothing here")
        return path[len(prefix) :]

    def _get(self, path: str) -> tuple[bytes, str]:
        known = self.server.pocketfit
        match path.split("/"):
            case ["next"]:
                job = known.exchange.next_job(self._key(), POLL_S)
                return (b"null" if job is None else job.model_dump_json().encode()), "json"
            case ["artifact", number]:
                return known.exchange.model(_index(number)), "bin"
            case ["input", number]:
                return known.exchange.input(_index(number)), "bin"
        name = path or "index.html"
        if name not in known.files:
            raise Refused(404, "there is nothing here")
        return known.files[name], name.rpartition(".")[2]

    def _post(self, path: str) -> tuple[bytes, str]:
        exchange = self.server.pocketfit.exchange
        match path.split("/"):
            case ["hello"]:
                return json.dumps({"key": exchange.greet(self._key(), self._read(Hello))}).encode(), "json"
            case ["alive"]:
                exchange.hear(self._key())
            case ["answer", job, sample]:
                size = exchange.answer_bytes(self._key(), _index(job))
                exchange.answer(self._key(), _index(job), _index(sample), self._body(size))
            case ["done", job]:
                exchange.finish(self._key(), _index(job), self._read(Done))
            case _:
                raise Refused(404, "there is nothing here")
        return b"null", "json"

    def _key(self) -> str:
        return self.headers.get(KEY, "")

    def _read(self, kind: type[T]) -> T:
        try:
            return kind.model_validate_json(self._body(MAX_JSON_BYTES))
        except ValidationError as error:
            raise Refused(400, f"this is no {kind.__name__.lower()}") from error

    def _body(self, most: int) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()):
            raise Refused(411, "its length is not said")
        if int(length) > most:
            raise Refused(413, f"{length} bytes are too many: {most} at most")
        self.unread = 0
        return self.rfile.read(int(length))

    def _discard(self) -> None:
        """Read what was sent in vain, up to a limit: closed before that, a connection loses the answer on its way."""
        left = min(self.unread, DISCARDED)
        while left and (piece := self.rfile.read(min(left, 1 << 16))):
            left -= len(piece)


def _index(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise Refused(404, "there is nothing here")
    return int(text)


def _page() -> dict[str, bytes]:
    folder = resources.files("pocketfit.devices.measure.browser") / "page"
    return {file.name: file.read_bytes() for file in folder.iterdir()}
