"""The benchmark's arithmetic: what is subtracted from what, and what is said of it."""

from __future__ import annotations

from benchmarks.cpu.report import findings, summarise, table

ROUNDS = {
    "bare": [100.0, 200.0, 100.0],
    "otel": [300.0, 400.0, 300.0],
    "fmd-otel-1": [310.0, 420.0, 320.0],
    "fmd-bare": [90.0, 90.0, 90.0],
    "fmd": [4490.0, 4490.0, 4490.0],
}


def test_added_cpu_is_measured_against_the_bare_application_of_the_same_environment_and_round() -> None:
    added = {each.variant: each.added_us for each in summarise(ROUNDS)}
    assert added == {"bare": None, "otel": 200, "fmd-otel-1": 220, "fmd-bare": None, "fmd": 4400}


def test_the_findings_name_both_ratios() -> None:
    said = " ".join(findings(summarise(ROUNDS)))
    assert "adds 1.10 × what stock" in said
    assert "adds 20.0 × what fmd-otel" in said


def test_a_variant_that_could_not_run_is_left_out() -> None:
    rounds = {name: ROUNDS[name] for name in ("bare", "otel")}
    summaries = summarise(rounds)
    assert [each.variant for each in summaries] == ["bare", "otel"]
    assert findings(summaries) == []
    assert table(summaries, {"otel": "3 of 3"}).count("\n") == 3


def test_one_single_round_has_a_summary_too() -> None:
    assert summarise({"bare": [1.0], "otel": [3.0]})[1].quartiles_us == (3.0, 3.0)
