"""What "copy as curl" copies, carried out by a real shell and a real curl."""

from __future__ import annotations

import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from fmd_otel_dash.curl import curl

pytestmark = pytest.mark.skipif(
    shutil.which("curl") is None, reason="needs curl. The remedy: apt-get install curl"
)


class Recorder(BaseHTTPRequestHandler):
    """Keeps what it is asked."""

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        self.server.found.append((self.command, self.path, dict(self.headers), body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = answer  # noqa: N815 # the names that the server calls

    def log_message(self, *_arguments):
        """Say nothing."""


@pytest.fixture
def server():
    with HTTPServer(("127.0.0.1", 0), Recorder) as made:
        made.found = []
        thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def send(server, tmp_path):
    """Carry a document out, and return what arrived: method, path, headers, body; and what is said beside."""

    def run(document):
        url = document.get("url", "/").replace("shop", f"127.0.0.1:{server.server_port}")
        command = curl({**document, "url": url})
        done = subprocess.run(
            ["sh", "-c", command], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False
        )
        assert (done.returncode, done.stderr.count("curl: (")) == (0, 0), (command, done.stderr)
        [found] = server.found
        return (*found, command.partition(" && : ")[2])

    return run


def request_of(method, headers, body):
    builder = EnvironBuilder(method=method, data=body, headers=headers)
    return Request(builder.get_environ())


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://shop/x?a=1&token=[scrubbed]&b=2", "/x?a=1&b=2"),
        ("http://shop/x?token=[scrubbed]", "/x"),
        ("http://shop/x?token=[scrubbed]&b=2", "/x?b=2"),
        ("http://shop/x?a=1;key=%5Bscrubbed%5D", "/x?a=1"),
        ("http://[scrubbed]@shop/x?a=1", "/x?a=1"),
        (
            "http://shop/{a,b}?ids[]=1&ids[]=2&of={3,4}&range=[1-3]",
            "/{a,b}?ids[]=1&ids[]=2&of={3,4}&range=[1-3]",
        ),
        ("http://shop/a/../b", "/a/../b"),
        ("http://shop/x?q=%26%3D%20&r=it's", "/x?q=%26%3D%20&r=it's"),
    ],
)
def test_one_request_goes_to_the_address_without_what_was_scrubbed(send, url, path):
    method, asked, headers, body, said = send({"url": url, "method": "GET", "scrubbed": ["url"]})
    assert (method, asked, body) == ("GET", path, b"")
    assert "Authorization" not in headers
    assert "url" in said


def test_json_is_sent_without_the_fields_that_were_scrubbed(send):
    sent = {
        "n": 1,
        "password": "[scrubbed]",
        "items": [{"card": "[scrubbed]", "id": 2}, "[scrubbed]"],
        "at": "@x",
    }
    method, _, headers, body, said = send(
        {
            "url": "http://shop/x", "method": "PUT", "json": sent, "payload_bytes": 100,
            "headers": {"Content-Type": "application/json", "X-Key": "[scrubbed]"},
            "scrubbed": ["json.password", "json.items[0].card", "json.items[1]"],
        }
    )  # fmt: skip
    assert (method, headers["Content-Type"]) == ("PUT", "application/json")
    assert request_of(method, headers, body).get_json() == {"n": 1, "items": [{"id": 2}], "at": "@x"}
    assert "X-Key" not in headers
    for name in ("json.password", "json.items[0].card", "headers.X-Key"):
        assert name in said


def test_a_form_is_sent_without_the_fields_that_were_scrubbed(send):
    form = {"name": "a&b=c", "tag": ["1", "2"], "pin": "[scrubbed]", "at": "@/etc/passwd"}
    method, _, headers, body, said = send(
        {
            "url": "http://shop/x", "method": "POST", "form": form,
            "headers": {"Content-Type": "application/x-www-form-urlencoded"}, "scrubbed": ["form.pin"],
        }
    )  # fmt: skip
    found = request_of(method, headers, body).form
    assert found.to_dict(flat=False) == {"name": ["a&b=c"], "tag": ["1", "2"], "at": ["@/etc/passwd"]}
    assert "form.pin" in said


def test_a_form_in_parts_is_sent_in_parts(send):
    form = {
        "name": "a;b",
        "tag": ["1", "2"],
        "pin": "[scrubbed]",
        "at": "@/etc/passwd",
        "less": "</etc/passwd",
    }
    method, _, headers, body, said = send(
        {
            "url": "http://shop/x", "method": "POST", "form": form, "scrubbed": ["form.pin"],
            "headers": {"Content-Type": "multipart/form-data; boundary=old"},
        }
    )  # fmt: skip
    assert "boundary=old" not in headers["Content-Type"]
    found = request_of(method, headers, body)
    assert found.form.to_dict(flat=False) == {
        "name": ["a;b"], "tag": ["1", "2"], "at": ["@/etc/passwd"], "less": ["</etc/passwd"],
    }  # fmt: skip
    assert not found.files
    assert "files" in said


def test_a_body_that_was_not_kept_is_said_to_be_missing(send):
    *_, said = send({"url": "http://shop/x", "method": "POST", "payload_bytes": 10})
    assert "body" in said


def test_only_the_head_is_asked_for_where_only_that_was(send):
    assert send({"url": "http://shop/x", "method": "HEAD"})[0] == "HEAD"


def test_nothing_that_a_request_held_is_carried_out(send, tmp_path):
    hostile = "'; touch broken; $(touch broken) `touch broken` # \n touch broken"
    send(
        {
            "url": "http://shop/x", "method": "POST", "json": {hostile: hostile},
            "headers": {"X-A": hostile, "@file": "x"}, "scrubbed": [f"json.{hostile}"],
        }
    )  # fmt: skip
    assert list(tmp_path.iterdir()) == []
