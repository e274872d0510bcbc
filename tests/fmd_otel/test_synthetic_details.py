from __future__ import annotations

import pickle
from collections import Counter

import pytest
from click.testing import CliRunner

from fmd_otel.cli import main
from fmd_otel.synthetic import requests, zipf_workload
from fmd_otel.synthetic_code import code_of
from fmd_otel.synthetic_details import CONSTANT, SyntheticDetails
from fmd_otel_dash.queries.profiles import grouped
from fmd_otel_exporter.documents import decode_document
from fmd_otel_exporter.records import (
    ExceptionRecord,
    OutlierRecord,
    ProfileRecord,
    RequestRecord,
    TraceRecord,
)
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.writer import Writer

DAY_US = 86_400_000_000
UNTIL_US = 20_000 * DAY_US
WORKLOAD = zipf_workload(users=20, ips=40)


@pytest.fixture(scope="module")
def made_up() -> list[RequestRecord]:
    return list(requests(WORKLOAD, start_us=UNTIL_US - 3 * DAY_US, end_us=UNTIL_US, count=4_000))


def test_the_same_requests_have_the_same_details_in_every_process(made_up):
    details = SyntheticDetails.of(WORKLOAD)
    elsewhere = pickle.loads(pickle.dumps(details))  # noqa: S301 # our own
    assert elsewhere.make(made_up) == details.make(made_up)


def test_some_requests_have_each_kind_and_all_that_fail_are_counted(made_up):
    found = SyntheticDetails.of(WORKLOAD).make(made_up)
    kinds = Counter(type(detail) for detail in found)
    assert 0.03 < kinds[ProfileRecord] / len(made_up) < 0.1
    assert kinds[OutlierRecord] == kinds[TraceRecord] > 10
    assert kinds[ExceptionRecord] == sum(request.status >= 500 for request in made_up) > 10


def test_profiles_hold_together(made_up):
    by_span = {request.span_id: request for request in made_up}
    profiles = [
        each for each in SyntheticDetails.of(WORKLOAD).make(made_up) if isinstance(each, ProfileRecord)
    ]
    for profile in profiles:
        request = by_span[profile.span_id]
        assert (profile.ts_us, profile.duration_us) == (request.ts_us, request.duration_us)
        assert sum(node.self_us for node in profile.nodes) in {0, profile.duration_us}
        assert all(node.parent < index for index, node in enumerate(profile.nodes))
        assert all(node.self_cpu_us <= node.self_us for node in profile.nodes)
    assert any(len(profile.nodes) > 10 for profile in profiles)


def test_outliers_are_above_their_threshold_and_scrubbed(made_up):
    for detail in SyntheticDetails.of(WORKLOAD).make(made_up):
        if isinstance(detail, OutlierRecord):
            assert detail.duration_us > detail.threshold_us >= CONSTANT * detail.average_us - 1
            document = decode_document(detail.document)
            assert document["headers"]["Authorization"] == document["headers"]["Cookie"] == "[scrubbed]"
            assert document["stack"]


def test_a_release_may_ask_in_a_loop_what_another_asks_at_once():
    endpoint = WORKLOAD.endpoints[0].name
    codes = [code_of(endpoint, f"1.{number}.0") for number in range(30)]
    assert {len(code.paths) for code in codes} == {
        min(len(c.paths) for c in codes) + extra for extra in (0, 1)
    }
    assert len({code.raises for code in codes}) == 1


def test_written_twice_they_are_there_once(tmp_path, made_up):
    store = open_store(f"sqlite:///{tmp_path / 'made.db'}")
    Writer(store).write(made_up[:1000])
    details = SyntheticDetails.of(WORKLOAD, profiled=1.0)
    made = details.make(made_up[:1000])
    details.write(store, made)
    details.write(store, made)
    tree = grouped(store, None, 0, UNTIL_US // 1_000_000)
    assert tree.n == sum(isinstance(each, ProfileRecord) for each in made) == 1000
    store.dispose()


@pytest.mark.parametrize(("option", "some"), [("--details", True), ("--no-details", False)])
def test_generate_writes_them_unless_told_not_to(tmp_path, option, some):
    url = f"sqlite:///{tmp_path / 'made.db'}"
    arguments = ["generate", "--database", url, "--requests", "2k", "--days", "1", "--processes", "1", option]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    store = open_store(url)
    assert (grouped(store, None, 0, 1 << 40).n > 0) == some
    store.dispose()
