"""The server of `measure --browser` and its exchange with a page, which is played here by plain HTTP requests."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from typing import Any

import pytest

from pocketfit.devices.measure.browser.certificate import fingerprint_of, is_this_host_only, made_for
from pocketfit.devices.measure.browser.exchange import Exchange, Material
from pocketfit.devices.measure.browser.messages import MAX_TEXT, Done, Hello, Job
from pocketfit.devices.measure.browser.server import KEY, Server
from pocketfit.errors import OptionError, PocketfitError

HERE = "127.0.0.1"
HELLO = {"browser": "Test 1", "cores": 4, "threads": True, "battery": None}
DONE = {"times_ms": [1.0, 3.0, 2.0], "group": 2, "error": "", "battery": {"percent": 50, "charging": False}}
MATERIAL = Material(b"model", (b"one!", b"two!"), answer_bytes=8)


def job(number: int = 0) -> Job:
    return Job(id=number, kind="answer", artifact=3, title="x", runtime="litert", threads=1, inputs=(), outputs=())


@pytest.fixture
def server() -> Iterator[Server]:
    # A page that is silent for longer than a test may take is gone.
    with Server(HERE, 0, Exchange(silent_s=20, farewell_s=0), {"onnxruntime-web/a.wasm": b"wasm"}, None) as server:
        yield server


class Page:
    """What a browser would do."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.key = ""

    def ask(self, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, bytes, Any]:
        connection = HTTPConnection(HERE, int(self.server.url.split(":")[2].split("/")[0]), timeout=30)
        sent = json.dumps(body).encode() if isinstance(body, dict) else body
        named = {KEY: self.key} | (headers or {})
        connection.request("GET" if body is None else "POST", path, sent, named)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers

    def at(self, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        status, content, _ = self.ask(f"/{self.server.token}/{path}", body, headers)
        return status, content

    def enter(self) -> None:
        status, content = self.at("hello", HELLO)
        assert status == 200
        self.key = json.loads(content)["key"]


@pytest.fixture
def page(server: Server) -> Page:
    return Page(server)


@pytest.fixture
def asking(server: Server) -> Iterator[Callable[[], Any]]:
    """Ask the page to do a job, in a thread; call it for what came of it."""
    came: list[Any] = []

    def ask() -> None:
        try:
            came.append(server.exchange.ask(job(), MATERIAL))
        except PocketfitError as error:
            came.append(error)

    thread = threading.Thread(target=ask)

    def start() -> Callable[[], Any]:
        thread.start()

        def finish() -> Any:
            thread.join(30)
            return came[0]

        return finish

    yield start


@pytest.mark.parametrize("path", ["", "page.js", "page.css", "runner.html", "runner.js", "litert.js", "onnxruntime.js"])
def test_the_page_is_served_isolated(page: Page, path: str) -> None:
    status, content, headers = page.ask(f"/{page.server.token}/{path}")
    assert (status, bool(content)) == (200, True)
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"


def test_files_have_their_types(page: Page) -> None:
    status, content, headers = page.ask(f"/{page.server.token}/web/onnxruntime-web/a.wasm")
    assert (status, content, headers["Content-Type"]) == (200, b"wasm", "application/wasm")


@pytest.mark.parametrize("path", ["/", "/page.js", "/{t}", "/wrong/", "/{t}x/", "/{t}/../page.js", "/{t}/nothing"])
def test_without_the_token_there_is_nothing(page: Page, path: str) -> None:
    status, content, headers = page.ask(path.replace("{t}", page.server.token))
    assert (status, content) == (404, b"there is nothing here\n")
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"


def test_the_first_browser_is_the_only_one(server: Server, page: Page) -> None:
    page.enter()
    stranger = Page(server)
    assert stranger.at("hello", HELLO)[0] == 403
    assert stranger.at("next")[0] == 403
    stranger.key = "ü"  # compared as bytes
    assert stranger.at("alive", b"", {KEY: "%"})[0] == 403
    page.enter()  # loaded anew
    assert page.at("alive", b"")[0] == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (HELLO | {"cores": 0}, 400),
        (HELLO | {"cores": "4"}, 400),
        (HELLO | {"more": 1}, 400),
        (b"x" * ((2 << 20) + 1), 413),
    ],
)
def test_a_bad_hello_is_refused(page: Page, body: Any, status: int) -> None:
    assert page.at("hello", body)[0] == status
    page.enter()


def test_a_length_must_be_said(server: Server) -> None:
    with socket.create_connection((HERE, int(server.url.split(":")[2].split("/")[0])), timeout=30) as plain:
        plain.sendall(f"POST /{server.token}/hello HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert b" 411 " in plain.recv(100)


def test_what_a_browser_calls_itself_cannot_steer_a_terminal() -> None:
    said = Hello.model_validate_json(json.dumps(HELLO | {"browser": "\x1b[31mA\nB\u202e" + "x" * 1000}))
    assert said.browser.startswith("[31mA B x")
    assert len(said.browser) <= MAX_TEXT


@pytest.mark.parametrize("times", [[-1.0], [0.0], [float("nan")], ["1"], [1e9]])
def test_times_must_be_times(times: list[Any]) -> None:
    with pytest.raises(ValueError, match="times_ms"):
        Done.model_validate_json(json.dumps(DONE | {"times_ms": times}))


def test_a_job_is_done(server: Server, page: Page, asking: Callable[[], Any]) -> None:
    page.enter()
    finish = asking()
    assert json.loads(page.at("next")[1])["title"] == "x"
    assert json.loads(page.at("next")[1])["id"] == 0  # a page loaded anew begins again
    assert page.at("artifact/3")[1] == b"model"
    assert page.at("artifact/2")[0] == 404
    assert [page.at(f"input/{index}")[1] for index in range(2)] == [b"one!", b"two!"]
    assert page.at("input/2")[0] == 404
    assert page.at("answer/0/0", b"12345678")[0] == 200
    assert page.at("answer/0/1", b"abcdefgh")[0] == 200
    assert page.at("done/0", DONE)[0] == 200
    done, answers = finish()
    assert (done.times_ms, done.battery.percent) == ((1.0, 3.0, 2.0), 50)
    assert answers == [b"12345678", b"abcdefgh"]


def test_answers_that_nobody_asked_for_are_refused(page: Page, asking: Callable[[], Any]) -> None:
    page.enter()
    assert page.at("done/0", DONE)[0] == 409
    finish = asking()
    page.at("next")
    assert page.at("answer/0/0", b"123456789")[0] == 413
    assert page.at("answer/0/0", b"1234567")[0] == 400
    assert page.at("answer/0/7", b"12345678")[0] == 400
    assert page.at("answer/1/0", b"12345678")[0] == 409
    assert page.at("done/1", DONE)[0] == 409
    assert page.at("done/-1", DONE)[0] == 404
    stranger = Page(page.server)
    assert stranger.at("done/0", DONE)[0] == 403
    assert page.at("done/0", DONE)[0] == 200
    assert "0 of 2 golden samples" in str(finish())


def test_what_failed_in_the_browser_is_told(page: Page, asking: Callable[[], Any]) -> None:
    page.enter()
    finish = asking()
    page.at("next")
    page.at("done/0", DONE | {"error": "no such op\x07", "times_ms": []})
    assert str(finish()) == "in the browser: no such op"


def test_a_page_that_falls_silent_is_gone() -> None:
    exchange = Exchange(silent_s=0.2)
    exchange.greet("", Hello.model_validate(HELLO))
    with pytest.raises(PocketfitError, match=r"nothing for 0\.2 s"):
        exchange.ask(job(), MATERIAL)


def test_nobody_coming_is_told() -> None:
    left: list[float] = []
    with pytest.raises(PocketfitError, match=r"within 0\.005 minutes"):
        Exchange().wait_for_page(0.3, left.append, every=0.1)
    assert left == sorted(left, reverse=True)
    assert len(left) >= 2


def test_the_end_is_told() -> None:
    with Server(HERE, 0, Exchange(), {}, None) as server:
        page = Page(server)
        page.enter()
        heard: list[int] = []
        waiting = threading.Thread(target=lambda: heard.append(page.at("next")[0]))
        waiting.start()
        time.sleep(0.3)  # it is in the long poll
    waiting.join(10)
    assert heard == [410]


def test_an_address_of_another_host_is_refused() -> None:
    with pytest.raises(OptionError, match="--address"):
        Server("192.0.2.254", 0, Exchange(), {}, None)


def test_loopback_is_this_host_only() -> None:
    assert [is_this_host_only(address) for address in ("127.0.0.1", "localhost", "192.168.1.2", "name")] == [
        True,
        True,
        False,
        False,
    ]


def test_the_certificate_is_for_the_address_and_short_lived() -> None:
    pytest.importorskip("trustme", reason="trustme is not installed: pip install 'pocketfit[browser]'")
    from cryptography import x509

    secure, fingerprint = made_for("127.0.0.1")
    with Server(HERE, 0, Exchange(), {}, secure) as server:
        assert server.url.startswith("https://127.0.0.1:")
        port = int(server.url.split(":")[2].split("/")[0])
        with socket.create_connection((HERE, port)) as stranger:  # says nothing; the others do not wait for it
            served = ssl.get_server_certificate((HERE, port), timeout=20)
            del stranger
    assert fingerprint_of(served.encode()) == fingerprint
    found = x509.load_pem_x509_certificate(served.encode())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name) for name in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert (found.not_valid_after_utc - found.not_valid_before_utc).days <= 1
