"""Nothing comes from elsewhere, and nothing may."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs_version

import fmd_otel_dash

ASSETS = Path(fmd_otel_dash.__file__).parent / "assets"
BUNDLE = ASSETS / "10-plotly-cartesian.min.js"


def test_plotly_js_is_the_one_that_plotly_py_speaks_to():
    head = BUNDLE.read_text(encoding="utf-8")[:300]
    assert f"v{get_plotlyjs_version()}" in head, (
        f"vendor plotly.js-cartesian-dist-min {get_plotlyjs_version()}: plotly.py has moved on"
    )


@pytest.mark.parametrize("licence", ["plotly.js.txt", "inter.txt"])
def test_what_is_vendored_comes_with_its_licence(licence):
    assert (ASSETS / "licenses" / licence).read_text(encoding="utf-8").strip()


@pytest.mark.parametrize("asset", sorted(path.name for path in ASSETS.glob("*.*") if path != BUNDLE))
def test_no_asset_of_ours_names_another_host(asset):
    text = (ASSETS / asset).read_bytes().decode("utf-8", "replace")
    found = set(re.findall(r"https?://[\w.-]+", text)) - {"http://www.w3.org"}
    assert not found


def test_every_icon_that_is_used_is_drawn():
    sources = "\n".join(path.read_text(encoding="utf-8") for path in ASSETS.parent.rglob("*.py"))
    used = set(re.findall(r'\bicon\("([\w-]+)"', sources)) | set(
        re.findall(r'\b(?:icon|symbol)="([\w-]+)"', sources)
    )
    drawn = set(re.findall(r"\.i-([\w-]+)\{", (ASSETS / "icons.css").read_text(encoding="utf-8")))
    assert used <= drawn


def test_the_policy_lets_nothing_in_from_elsewhere(admin, dashboard):
    for path in ("/overview", "/login", "/assets/style.css", "/_dash-layout", "/no/such"):
        policy = admin.follow(path).headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self' 'sha256-")
        assert policy.count("sha256-") == 1
        assert "unsafe-eval" not in policy
        assert "unsafe-inline" not in policy.split("style-src")[0]
        assert "http" not in policy.replace("'self'", "")
        assert "frame-ancestors 'none'" in policy


def test_no_page_loads_a_file_from_elsewhere(admin):
    for path in ("/overview", "/login"):
        page = admin.follow(path).text
        for address in re.findall(r'(?:src|href)="([^"]+)"', page):
            assert address.startswith("/dashboard/"), address


def test_every_script_and_style_that_a_page_loads_is_there(admin):
    page = admin.follow("/overview").text
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(addresses) > 10
    for address in addresses:
        assert admin.get(address).status_code == 200, address


def test_the_other_headers(admin):
    headers = admin.follow("/overview").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "Server-Timing" not in headers


def test_the_page_names_its_language_and_no_version_of_python(admin):
    page = admin.follow("/overview").text
    assert '<html lang="en">' in page
    assert '"python_version":""' in page


@pytest.mark.parametrize("encoding", ["br", "gzip", "zstd"])
def test_files_are_compressed_once_and_answers_each_time(admin, dashboard, encoding):
    path = "/assets/style.css"
    plain = admin.follow(path).data
    first, second = (admin.follow(path, headers={"Accept-Encoding": encoding}) for _ in range(2))
    assert first.headers["Content-Encoding"] == encoding
    assert first.data == second.data
    assert len(first.data) < len(plain) / 2
    layout = admin.follow("/_dash-layout", headers={"Accept-Encoding": encoding})
    assert layout.headers["Content-Encoding"] == encoding


def test_one_persons_answer_is_never_another_persons(admin, guest):
    layouts = [
        each.follow("/_dash-layout", headers={"Accept-Encoding": "gzip"}).data for each in (admin, guest)
    ]
    assert layouts[0] != layouts[1]


def test_titles_from_the_settings_are_text(make_dashboard, visitor, dashboard):
    made = make_dashboard(title_name="</title><script>alert(1)</script>", brand_name="<b>x")
    assert "<script>alert" not in made.dash.index()
