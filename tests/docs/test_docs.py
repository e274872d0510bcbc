"""What the documentation says is so: keys, commands, addresses, links, and all code and SQL in it."""

from __future__ import annotations

import ast
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from fmd_otel.cli import main as command
from fmd_otel.composition import load_settings
from fmd_otel.configfile import read_config_file
from fmd_otel.group_by import group_text
from fmd_otel.keys import KEYS
from fmd_otel.synthetic import requests, zipf_workload
from fmd_otel.synthetic_details import SyntheticDetails
from fmd_otel_dash.pages import PAGES
from fmd_otel_exporter.detail_tables import build_detail_tables
from fmd_otel_exporter.schema import build_tables
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.writer import Writer

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#][^)]*)\)", document.read_text()):
        if target.startswith("http"):
            continue
        file, _, anchor = target.partition("#")
        found = document.parent / file
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", found.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", each).lower().replace(" ", "-") for each in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_piece_of_python_can_be_read(document: Path) -> None:
    for code in blocks(document.read_text(), "python"):
        ast.parse(code)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^    |`)make ([a-z]+)", document.read_text(), re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_option_of_the_command_exists(document: Path) -> None:
    for words, rest in re.findall(
        r"^    (?:\S+=\S+ )*fmd-otel ((?:[a-z]+ ?)+)([^\n#]*)", document.read_text(), re.MULTILINE
    ):
        shown = CliRunner().invoke(command, [*words.split(), "--help"])
        assert shown.exit_code == 0, words
        for option in re.findall(r"--[a-z-]+", rest):
            assert option in shown.output


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_every_key_is_documented_with_its_default(key: object) -> None:
    row = re.search(rf"^\| `{key.name}` \| (.+?) \|", CONFIGURATION, re.MULTILINE)
    assert row, f"{key.name} is missing"
    if key.default is None:
        assert row[1].startswith("(none")
    else:
        default = int(key.default) if key.default == 10.0 else key.default
        assert row[1] == f"`{default}`"


def test_no_key_is_documented_that_does_not_exist() -> None:
    named = set(re.findall(r"^\| `([A-Z_]+)` \|", CONFIGURATION, re.MULTILINE))
    assert {name for name in named if not name.startswith("OTEL_")} == {key.name for key in KEYS}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_configuration_file_shown_is_right(document: Path, tmp_path: Path) -> None:
    for number, content in enumerate(blocks(document.read_text(), "ini")):
        repository = tmp_path / ".git"
        repository.mkdir(exist_ok=True)
        file = tmp_path / f"{number}.cfg"
        file.write_text(content.replace("/path/to/project/.git/", f"{repository}/"))
        load_settings(file=read_config_file(file), environ={})


def test_every_page_is_documented_under_its_title_and_address() -> None:
    views = (ROOT / "docs" / "views.md").read_text()
    for page in PAGES:
        address = page.path.replace("<int:endpoint_id>", "<id>")
        assert f"`{address}`" in views, page.title
        if page.section:
            assert f"| {page.title} | `{address}` |" in views


def test_every_query_shown_runs_and_finds_something(tmp_path: Path) -> None:
    path = tmp_path / "monitoring.db"
    store = open_store(f"sqlite:///{path}")
    now_us = time.time_ns() // 1000
    made = list(requests(zipf_workload(), start_us=now_us - 3_600_000_000, end_us=now_us, count=500))
    Writer(store).write(made)
    details = SyntheticDetails.of(zipf_workload(), profiled=1.0)
    details.write(store, details.make(made))
    store.dispose()
    shown = blocks((ROOT / "docs" / "schema.md").read_text(), "sql")
    assert len(shown) == 4
    with closing(sqlite3.connect(path)) as database:
        for query in shown:
            assert database.execute(query).fetchall()


def test_every_column_is_documented() -> None:
    rows = re.findall(
        r"^\| `(fmd_\w+)`.*\| (`.*`) \|$", (ROOT / "docs" / "schema.md").read_text(), re.MULTILINE
    )
    documented = {name: set(re.findall(r"`(\w+)`", columns)) for name, columns in rows}
    tables = build_tables()
    for table in (
        *(tables.request, tables.hits, tables.lat_hist, tables.rollup_day),
        *(tables.endpoint, tables.version, tables.subject, tables.batch),
        *(tables.process, tables.storage_day, tables.job, tables.level_rule, tables.removed_endpoint),
        *vars(build_detail_tables(lambda name, *_, **__: getattr(tables, name))).values(),
    ):
        assert {column.name for column in table.columns} <= documented[table.name]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (3, "3"),
        (("User", 3), "(User,3)"),
        (lambda: 3, "3"),
        (("User", lambda: 3), "(User,3)"),
        ([("User", lambda: 3), ("User-name", lambda: "username")], "((User,3),(User-name,username))"),
    ],
)
def test_the_table_of_groups_is_right(given: object, kept: str) -> None:
    assert f"`{kept}`" in (ROOT / "docs" / "getting-started.md").read_text()
    assert group_text(given) == kept
