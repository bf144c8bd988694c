"""The page called by hand: what a browser would not send, over plain HTTP."""

import http.client
import json
import os
import socket
import uuid
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from PIL import Image

pytest.importorskip("gradio", reason="the page needs gradio (extra page)")

import pmcm  # noqa: F401  (registers what mixes images)
from small_page import make_content, served
from vireid.page import FOLDER
from vireid.page.server import LOOPBACK

REFUSED_HOST = "the page does not answer to this host's name; call it localhost, or start it with this name"
META = {"_type": "gradio.FileData"}
REFUSED = "the page reads files that were uploaded to it, and no others; upload the image again"


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    return make_content(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def address(content):
    with served(content, names=["page.example", "10.1.2.3"]) as address:
        yield address


@pytest.fixture(scope="module")
def functions(address):
    """(number, kinds of its inputs) of each function of the page."""
    config = json.loads(ask(address, "GET", "/config")[1])
    kinds = {component["id"]: component["type"] for component in config["components"]}
    return [(f["id"], [kinds[number] for number in f["inputs"]]) for f in config["dependencies"]]


@pytest.fixture
def asked(monkeypatch):
    """Hosts whose address this process looks up, the loopback aside."""
    hosts, look_up = [], socket.getaddrinfo

    def recorded(host, *args, **options):
        if host == LOOPBACK:
            return look_up(host, *args, **options)
        hosts.append(host)
        raise OSError("no network")

    monkeypatch.setattr("socket.getaddrinfo", recorded)
    return hosts


def ask(address, method, route, body=None, headers=()):
    """(status, text, headers) of the answer."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    try:
        connection.request(method, route, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace"), answer.headers
    finally:
        connection.close()


def call(address, function, data, **more):
    """(status, text) of the answer to a call; that of the function where it is called."""
    session = uuid.uuid4().hex
    body = json.dumps({"data": data, "fn_index": function, "session_hash": session, **more})
    headers = {"Content-Type": "application/json"}
    status, text, _ = ask(address, "POST", "/gradio_api/queue/join", body, headers)
    if status != 200:
        return status, text
    return status, ask(address, "GET", f"/gradio_api/queue/data?session_hash={session}")[1]


def form(content, name):
    """(body, headers) of an upload."""
    part = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    return part.encode() + content + b"\r\n--x--\r\n", {"Content-Type": "multipart/form-data; boundary=x"}


def upload(address, content, name="query.png"):
    """The path of an uploaded file."""
    return json.loads(ask(address, "POST", "/gradio_api/upload", *form(content, name))[1])[0]


PLAIN = {
    "image": None,
    "file": None,
    "state": None,
    "slider": 1,
    "dropdown": [],
    "textbox": "",
    "radio": "visible",
}


FILTERS = ["slider", "dropdown", "textbox", "textbox", "radio", "radio", "radio", "radio"]
MIXED = ["image", "image", "slider", "state"]
VALUES = [5, [], "", "", "any", "auto", "image", "auto"]


def number_of(functions, kinds):
    """The number of a function whose inputs are of these kinds."""
    return next(number for number, found in functions if found == kinds)


def with_value(kinds, place, value):
    return [value if number == place else PLAIN[kind] for number, kind in enumerate(kinds)]


def test_no_function_opens_a_file_that_was_not_uploaded(address, functions, tmp_path, asked):
    """The answer is one, whether the file is there or not, and whatever it holds."""
    image, text, missing = (str(tmp_path / name) for name in ("a.png", "a.txt", "missing.png"))
    Image.new("RGB", (32, 64), (1, 200, 3)).save(image)
    (tmp_path / "a.txt").write_text("secret words")
    linked_file, linked_folder = FOLDER / "link.png", FOLDER / "link"
    linked_file.symlink_to(image)
    linked_folder.symlink_to(tmp_path)
    relative = os.path.relpath(image)
    url = "http://elsewhere.example/a.png"
    paths = [image, text, missing, str(tmp_path), str(FOLDER), "/proc/self/environ", relative, "", "\0", url]
    paths += [f"{FOLDER}/../../{image}", f"{FOLDER}/{os.path.relpath(image, FOLDER)}", f"file://{image}"]
    paths += [str(linked_file), f"{linked_folder}/a.png", "x" * 5000, "\ud800", 3, None, [image]]
    files = [{"path": path, "orig_name": "q.jpg"} for path in paths]
    files += [{**file, "meta": META} for file in files]
    files += [{"url": url}, {"url": "data:image/png;base64,AAAA", "path": None}, {"url": f"file://{image}"}]
    files += [{"path": image, "is_stream": True, "meta": META}, {"path": image, "url": url, "meta": META}]
    files += [{"value": {"path": image}}, {"image": {"path": image, "meta": META}, "caption": None}]
    images = [(number, kinds, kinds.index("image")) for number, kinds in functions if "image" in kinds]
    assert len(images) >= 10
    answers = {call(address, images[0][0], with_value(*images[0][1:], file)) for file in files}
    for number, kinds, place in images:
        answers |= {call(address, number, with_value(kinds, place, files[index])) for index in (0, 1, 2)}
    assert {(status, json.loads(line)["detail"]) for status, line in answers} == {(403, REFUSED)}
    assert asked == []


def test_no_input_of_any_kind_takes_a_file(address, functions, tmp_path, asked):
    """Gradio fetches an address for any input, a slider's too; a list may hide a file."""
    file = {"path": "http://example.com/a.png", "meta": META}
    for number, kinds in functions:
        for place in range(len(kinds)):
            for value in (file, [file], [[file]], {"value": [file]}):
                assert call(address, number, with_value(kinds, place, value))[0] in (400, 403)
    assert asked == []


def test_an_uploaded_file_is_searched_for_by_hand(address, functions, content):
    number = number_of(functions, ["image", "file", *FILTERS])
    file = {"path": upload(address, content.examples[0].read_bytes()), "orig_name": "q.png", "meta": META}
    assert "5 of 24 images, best first" in call(address, number, [file, None, *VALUES], event_data=None)[1]
    other = {**file, "path": upload(address, content.pair[0].read_bytes()), "size": 1}
    assert "5 of 24 images" in call(address, number, [None, [other], *VALUES])[1]
    assert "of two modalities" in call(address, number, [file, [other], *VALUES])[1]
    several = [None, [file] * 21, *VALUES]
    assert "a query has at most 20 images, and these are 21" in call(address, number, several)[1]
    for wrong, status in ((["x", file], 400), ([file, "x"], 400), ([file, {"path": "/etc/passwd"}], 403)):
        assert call(address, number, [None, wrong, *VALUES])[0] == status
    file["path"] = upload(address, b"no image", "a.txt")
    assert (
        "q.png: the image cannot be read (it is no image" in call(address, number, [file, None, *VALUES])[1]
    )


def test_what_else_a_call_holds_is_left_out(address, functions, tmp_path):
    """The index alone of what was clicked; neither a session's state nor Gradio's other fields."""
    Image.new("RGB", (32, 64), (1, 200, 3)).save(tmp_path / "a.png")
    path = str(tmp_path / "a.png")
    more = {"batched": True, "simple_format": True, "event_id": "x", "oauth_token": "x"}
    event = {"index": 0, "value": {"image": {"path": path, "meta": META}}}
    example = number_of(functions, FILTERS)
    found = call(address, example, VALUES, event_data=event, **more)[1]
    assert "5 of 24 images" in found and path not in found
    result = number_of(functions, ["state", *FILTERS])
    for wrong in (
        {"index": 0},
        {"index": -1},
        {"index": 99},
        {"index": "0"},
        {"index": [0]},
        {},
        [],
        "x",
        None,
    ):
        assert "5 of 24" not in call(address, result, [[path], *VALUES], event_data=wrong)[1]
    for wrong in ({"index": -1}, {"index": 99}, None):
        assert "5 of 24" not in call(address, example, VALUES, event_data=wrong)[1]


def test_values_that_no_input_offers_are_refused(address, functions, content):
    """Gradio does not check the values beside an upload; the answer is never a result."""
    path = upload(address, content.examples[0].read_bytes())
    file = {"path": path, "orig_name": "q.png", "meta": META}
    search, mix = (number_of(functions, kinds) for kinds in (["image", "file", *FILTERS], MIXED))
    for place, value in enumerate(["x", "' OR 1=1 --", *"xxxxxx"]):
        values = [*VALUES[:place], [value] if place == 1 else value, *VALUES[place + 1 :]]
        text = call(address, search, [file, None, *values])[1]
        assert "images, best first" not in text and "Traceback" not in text
    for share in (7, -1, "x", [], float("nan")):
        assert "of the patches" not in call(address, mix, [file, file, share, None])[1]
    assert "50% of the patches" in call(address, mix, [file, file, 0.5, None])[1]
    assert (
        "100 of 24" not in (text := call(address, search, [file, None, 1e9, *VALUES[1:]])[1])
        and "24 of 24" in text
    )


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"3", b'{"data": 3}', b'{"data": [{}]}', b"[" * 200_000, b"\xff\xfe{"]
)
def test_a_call_of_another_form_is_one_line(address, body):
    headers = {"Content-Type": "application/json"}
    status, text, _ = ask(address, "POST", "/gradio_api/queue/join", body, headers)
    assert status in (400, 403) and text.count("\n") == 0 and "Traceback" not in text


def test_an_upload_and_a_call_have_a_largest_size(address):
    body, headers = form(bytes(1_200_000), "a.png")
    assert ask(address, "POST", "/gradio_api/upload", body, headers)[0] == 413
    status, text, _ = ask(address, "POST", "/gradio_api/queue/join", b" " * (1 << 20) + b"{}")
    assert (status, json.loads(text)["detail"]) == (413, "a call has more than 1,048,576 bytes")


def test_files_and_addresses_are_not_served(address, content, tmp_path, asked):
    Image.new("RGB", (32, 64)).save(tmp_path / "a.png")
    link = FOLDER / "served.png"
    link.symlink_to(tmp_path / "a.png")
    outside = ["/etc/passwd", content.finder.gallery.entries()[0].path, __file__, str(tmp_path / "missing")]
    outside += [str(link), f"{FOLDER}/../../etc/passwd", "http://example.com/a.png", "file:///etc/passwd"]
    answers = {ask(address, "GET", f"/gradio_api/file={quote(path)}")[:2] for path in outside}
    assert {(status, json.loads(text)["detail"]) for status, text in answers} == {(403, REFUSED)}
    assert asked == []
    kept = upload(address, b"kept", "../../kept.txt")
    assert FOLDER in Path(kept).resolve().parents
    assert ask(address, "GET", f"/gradio_api/file={quote(kept)}")[:2] == (200, "kept")


CLOSED = """
GET /gradio_api/file/etc/passwd
GET /gradio_api/proxy=http://example.com/
GET /gradio_api/info
GET /gradio_api/startup-events
GET /gradio_api/openapi.json
GET /gradio_api/deep_link?session_hash=x
GET /gradio_api/runs
GET /gradio_api/custom_component/image/client/component/index.js
GET /static/../../etc/passwd
GET /docs
GET /openapi.json
GET /monitoring
POST /login
POST /gradio_api/run/predict
POST /gradio_api/api/search
POST /gradio_api/call/search
POST /gradio_api/call/v2/search
POST /gradio_api/component_server
POST /gradio_api/process_recording
POST /gradio_api/vibe-edit
POST /gradio_api/queue/join/
POST /gradio_api//queue/join
PUT /gradio_api/queue/join
OPTIONS /gradio_api/queue/join
DELETE /
"""


@pytest.mark.parametrize("route", CLOSED.split("\n")[1:-1])
def test_other_routes_are_closed(address, route):
    method, path = route.split()
    body = b'{"data": [], "fn_index": 0}' if method == "POST" else None
    assert ask(address, method, path, body, {"Content-Type": "application/json"})[0] in (403, 404)


ROUTES = [("GET", "/"), ("GET", "/config"), ("GET", "/assets/x.js"), ("GET", "/gradio_api/heartbeat/x")]
ROUTES += [("POST", "/gradio_api/upload"), ("POST", "/gradio_api/queue/join"), ("OPTIONS", "/config")]
ROUTES += [("GET", "/gradio_api/queue/data?session_hash=x")]


@pytest.mark.parametrize("method, route", ROUTES)
def test_another_name_of_a_host_is_refused(address, method, route):
    hosts = ["evil.example", "localhost.evil.example", "evil.example:7860", "127.0.0.1.nip.io", "0.0.0.0"]
    hosts += [
        "localhost@evil.example",
        "evil.example#localhost",
        "[::2]",
        "127.0.0.1:x",
        "localhost, evil",
        "",
    ]
    for headers in [{"Host": host} for host in hosts] + [{"X-Forwarded-Host": "localhost, evil.example"}]:
        status, text, answered = ask(address, method, route, None, headers)
        assert (status, text) == (421, json.dumps({"detail": REFUSED_HOST}, separators=(",", ":"))), headers
        assert "Access-Control-Allow-Origin" not in answered


@pytest.mark.parametrize("method, route", ROUTES)
def test_another_web_page_is_refused(address, method, route):
    for origin in (
        "http://evil.example",
        "null",
        "",
        "https://localhost.evil.example",
        "file://",
        "localhost",
    ):
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        status, text, answered = ask(address, method, route, None, headers)
        assert (status, text) == (403, '{"detail":"the page does not answer another web page"}'), origin
        assert "Access-Control-Allow-Origin" not in answered


def test_its_own_names_are_answered(address):
    port = urlsplit(address).port
    for name in ("localhost", "LOCALHOST", "127.0.0.1", "[::1]", "page.example", "10.1.2.3"):
        for host in (name, f"{name}:{port}"):
            headers = {"Host": host, "Origin": f"http://{host}"}
            status, text, answered = ask(address, "GET", "/", None, headers)
            assert status == 200 and "<gradio-app" in text
            assert "default-src 'self'" in answered["Content-Security-Policy"]
