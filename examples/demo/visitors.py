"""Live traffic: people who look around, buy, lose their way, and some who try the doors."""

from __future__ import annotations

import json
import math
import random
import threading
import time
from collections import Counter
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

from demo.workload import ADMIN, CLIENTS, VISITOR
from shop.database import CATEGORIES, PRODUCT_COUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_VISITORS = 6
_TIMEOUT_S = 15
LOST = "lost"
"""Counted in place of a status where no answer came."""
_DAY_S = 180
"""A day and a night of the live traffic."""
_SEARCHES = ("mountain", "ginger", "copper", "wild", "tea", "co", "no", "e")


class Step(NamedTuple):
    """One request."""

    path: str
    form: dict[str, str] | None = None
    json: dict[str, object] | None = None


def journey(dice: random.Random, username: str) -> Iterator[Step]:
    """Yield what one person does in one visit."""
    yield Step("/")
    yield Step("/static/style.css")
    if username != VISITOR:
        yield Step("/login")
        if dice.random() < 0.08:  # noqa: PLR2004 - shares of what people do need no names here and below
            yield Step("/login", {"username": username + "x"})
        yield Step("/login", {"username": username})
    for _ in range(dice.randrange(1, 5)):
        yield from _look_around(dice)
    if username != VISITOR:
        if dice.random() < 0.6:  # noqa: PLR2004
            for _ in range(dice.randrange(1, 4)):
                yield Step(f"/cart/add/{_product(dice)}", {})
            yield Step("/checkout", {})
        if dice.random() < 0.3:  # noqa: PLR2004
            yield Step("/orders")
            yield Step(f"/orders/{dice.randrange(1, 50)}")
    if username == ADMIN or dice.random() < 0.01:  # noqa: PLR2004
        yield Step("/admin/")
        yield Step("/admin/report.csv")


def _look_around(dice: random.Random) -> Iterator[Step]:
    product = _product(dice)
    yield from dice.choices(
        (
            [Step(f"/category/{dice.choice(list(CATEGORIES))}"), Step(f"/product/{product}")],
            [Step("/search?" + urlencode({"q": dice.choice(_SEARCHES)})), Step(f"/product/{product}")],
            [Step("/api/products"), Step(f"/api/products/{product}"), Step(f"/api/products/{product}/stock")],
            [Step("/api/recommendations"), Step(f"/product/{product}")],
            [Step(f"/api/products/{product}/reviews", json={"stars": dice.randrange(1, 7)})],
            [Step(f"/p/{product}")],
            [Step(dice.choice(("/wp-login.php", "/.env", "/favicon.ico", f"/product/{9_000 + product}")))],
        ),
        weights=(30, 16, 14, 12, 4, 3, 4),
    )[0]


def _product(dice: random.Random) -> int:
    """Return a product's number, the first ones far more often."""
    return min(int(dice.paretovariate(0.6)), PRODUCT_COUNT)


class Traffic:
    """Visitors that come and go until told to stop."""

    def __init__(self, base_url: str, *, rate: float, seed: int) -> None:
        """Get ready to send about ``rate`` requests a second to ``base_url``."""
        self._base_url = base_url
        self._rate = rate
        self._stopped = threading.Event()
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._answers: Counter[int | str] = Counter()
        self._threads = [
            threading.Thread(target=self._visit, args=(random.Random(f"{seed} {number}"),), daemon=True)
            for number in range(_VISITORS)
        ]

    def start(self) -> None:
        """Open the doors."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let everybody finish their request, and close."""
        self._stopped.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(_TIMEOUT_S)

    def answers(self) -> Counter[int | str]:
        """Return how often each status came back, and under ``LOST`` how many requests got no answer."""
        with self._lock:
            return Counter(self._answers)

    def _visit(self, dice: random.Random) -> None:
        while not self._stopped.is_set():
            client = dice.choices(CLIENTS, weights=[each.weight for each in CLIENTS])[0]
            opener = build_opener(HTTPCookieProcessor(CookieJar()))
            address = dice.choice(client.ips)
            for step in journey(dice, client.group_by):
                if self._stopped.wait(dice.expovariate(self._rate_now() / _VISITORS)):
                    return
                answer = self._send(opener.open, step, address)
                with self._lock:
                    self._answers[answer] += 1

    def _rate_now(self) -> float:
        into_day = (time.monotonic() - self._began) / _DAY_S
        return self._rate * (1 + 0.6 * math.sin(2 * math.pi * into_day))

    def _send(self, send: Callable[..., Any], step: Step, address: str) -> int | str:
        headers = {"X-Forwarded-For": address, "User-Agent": "Mozilla/5.0 (demo)"}
        body = None
        if step.form is not None:
            body = urlencode(step.form).encode()
        elif step.json is not None:
            body = json.dumps(step.json).encode()
            headers["Content-Type"] = "application/json"
        try:
            request = Request(self._base_url + step.path, body, headers)  # noqa: S310 - our own http:// address
            with send(request, timeout=_TIMEOUT_S) as response:
                response.read()
                status: int = response.status
                return status
        except HTTPError as error:
            with error:
                error.read()
            return error.code
        except OSError:
            return LOST
