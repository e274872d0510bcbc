"""The demo's command line."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Options:
    """What the user asked for."""

    days: int
    requests: int
    live: bool
    rate: float
    deploy_after: float
    stop_after: float | None
    host: str
    shop_port: int
    dashboard_port: int
    folder: Path
    seed: int


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line; wrong ones end the program with a hint."""
    parser = argparse.ArgumentParser(
        prog='make demo ARGS="..."',
        description="Run the example shop under load, with a month of history and the dashboard.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--days", type=_whole(1, 400), default=30, help="days of history")
    parser.add_argument("--requests", type=_whole(0, 20_000_000), default=250_000, help="requests of history")
    parser.add_argument(
        "--live",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="run the shop and send it visitors",
    )
    parser.add_argument("--rate", type=float, default=4, help="live requests a second, on average")
    parser.add_argument(
        "--deploy-after",
        type=float,
        default=60,
        metavar="S",
        help="seconds until the next release is rolled out",
    )
    parser.add_argument(
        "--stop-after", type=float, default=None, metavar="S", help="seconds until all is stopped"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; the demo has a password")
    parser.add_argument(
        "--shop-port", type=_whole(0, 65_535), default=5000, help="a free one if this is taken"
    )
    parser.add_argument(
        "--dashboard-port", type=_whole(0, 65_535), default=8050, help="a free one if this is taken"
    )
    parser.add_argument(
        "--folder", type=Path, default=_ROOT / "var" / "demo", help="database and logs; emptied first"
    )
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same history")
    return Options(**vars(parser.parse_args(arguments)))


def _whole(low: int, high: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low} and {high}")
        return int(text)

    number.__name__ = "whole number"  # argparse names it when the text is no number at all
    return number
