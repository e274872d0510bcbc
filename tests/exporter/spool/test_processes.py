"""What only real processes, real kills and a real full disk can show."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.mark.integration
def test_killing_any_process_at_any_moment_loses_nothing_and_doubles_nothing(run_script, tmp_path) -> None:
    result = json.loads(run_script("kill_campaign.py", tmp_path, 80, 20, "toy"))
    check_campaign(result, kills=80)
    assert result["replays"] > 0  # the ledger had something to recognise: batches came again, unchanged


@pytest.mark.integration
def test_the_same_holds_for_rows_and_rollups_of_the_product_s_own_writer(run_script, tmp_path) -> None:
    result = json.loads(run_script("kill_campaign.py", tmp_path, 70, 21, "product", timeout_s=900))
    check_campaign(result, kills=70)
    # Some of them at the moments that matter most to a transaction.
    assert {"before", "inside", "after"} <= result["points"].keys()


@pytest.mark.integration
def test_the_same_holds_for_details_of_requests_and_their_sums(run_script, tmp_path) -> None:
    check_campaign(
        json.loads(run_script("kill_campaign.py", tmp_path, 40, 22, "details", timeout_s=900)), kills=40
    )


def check_campaign(result: dict[str, Any], *, kills: int, accepted: int = 100) -> None:
    assert result["kills"] >= kills
    assert result["unexpected"] == 0  # every process ended by its kill, none by an error of its own
    assert result["accepted"] > accepted, result
    assert result["missing"] == 0
    assert result["doubled"] == 0
    assert result["sum"] == result["rows"]
    assert result["unacknowledged"] <= 2 * result["kills"]  # killed between accepting and saying so
    assert result["damaged"] == 0
    assert result["left"] == []


@pytest.mark.integration
def test_of_many_racing_adopters_each_segment_gets_one(run_script, tmp_path) -> None:
    result = json.loads(run_script("racing_adopters.py", tmp_path, 25, 4))
    assert result == {"exact": True, "found": 25 * 40, "left": 0}


@pytest.mark.integration
@pytest.mark.parametrize("case", ["both", "in-c"])
def test_a_forked_child_begins_anew_and_its_parent_goes_on(run_script, tmp_path, case) -> None:
    result = json.loads(run_script("forking.py", case, tmp_path / "spool"))
    assert result["child"] == {"before": 0, "found": [100, 101, 102, 103, 104, 105], "accepted": 6} or (
        # Without the hooks it does not know before its first call that it is a child.
        case == "in-c" and result["child"]["found"] == [100, 101, 102, 103, 104, 105]
    )
    assert result["parent"] == [0, 1, 2, 3, 4, 5, 6]
    assert result["same_batch"]
    assert result["alive"] == [True]  # the child has released nothing of its parent's


@pytest.mark.integration
def test_a_child_that_lives_on_does_not_lock_up_what_its_dead_parent_left(run_script, tmp_path) -> None:
    assert json.loads(run_script("forking.py", "outlive", tmp_path / "spool")) == {
        "found": [0, 1, 2, 3, 4, 5]
    }


@pytest.mark.integration
def test_forking_while_other_threads_append_hangs_no_child(run_script, tmp_path) -> None:
    result = json.loads(run_script("forking.py", "busy", tmp_path / "spool"))
    assert result == {"statuses": [0] * 20, "exact": True, "left": []}


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A directory on a tiny file system; where none may be mounted, a limit on every file's size."""
    mounted = (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(tmp_path)],
            check=False,
            capture_output=True,
        ).returncode
        == 0
    )
    yield tmp_path / "spool", "filesystem" if mounted else "limit"
    if mounted:
        subprocess.run(["umount", str(tmp_path)], check=True)


def check_full_disk(result: dict[str, object]) -> None:
    warnings = result.pop("warnings")
    assert result == {
        "was_in_memory": True,
        "exact": True,
        "torn": [],
        "dropped": 0,
        "rejected": 0,
        "on_disk_again": True,
    }
    assert isinstance(warnings, list)
    assert len(warnings) == 1
    assert "Free some space" in warnings[0]


@pytest.mark.integration
def test_a_full_disk_degrades_to_memory_and_recovers(run_script, full_disk) -> None:
    directory, mode = full_disk
    check_full_disk(json.loads(run_script("full_disk.py", directory, mode)))


@pytest.mark.integration
def test_a_file_that_may_not_grow_degrades_to_memory_and_recovers(run_script, tmp_path) -> None:
    check_full_disk(json.loads(run_script("full_disk.py", tmp_path / "spool", "limit")))
