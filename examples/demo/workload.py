"""The shop's past, in the numbers that its present shows when it is measured."""

from __future__ import annotations

from fmd_otel.synthetic import Client, Endpoint, Incident, Release, Workload
from shop.database import ADMIN, USERNAMES

SERVICE = "shop"
VISITOR = "visitor"


def _addresses(number: int, count: int) -> list[str]:
    """Return addresses out of the blocks that are set aside for examples (RFC 5737)."""
    blocks = ("192.0.2", "198.51.100", "203.0.113")
    return [f"{blocks[(number + n) % 3]}.{(number * 7 + n * 31) % 254 + 1}" for n in range(count)]


CLIENTS = (
    Client(VISITOR, weight=6.0, ips=_addresses(0, 60)),
    *(
        Client(name, weight=4 / number, ips=_addresses(number, 1 + number % 3))
        for number, name in enumerate(USERNAMES, start=1)
    ),
)
"""Who shops: many strangers from many places, and a few regulars."""

ENDPOINTS = (
    Endpoint("catalog.home", 26, 2_900, route="/", blueprint="catalog"),
    Endpoint(
        "catalog.product",
        24,
        3_600,
        other_statuses={404: 0.01},
        route="/product/<int:product_id>",
        blueprint="catalog",
    ),
    Endpoint("static", 18, 900, spread=0.5, other_statuses={304: 0.7}, route="/static/<path:filename>"),
    Endpoint(
        "catalog.category",
        13,
        3_100,
        other_statuses={404: 0.02},
        route="/category/<slug>",
        blueprint="catalog",
    ),
    Endpoint(
        "catalog.search",
        7,
        3_400,
        spread=0.5,
        slow_share=0.12,
        slow_factor=18,
        route="/search",
        blueprint="catalog",
    ),
    Endpoint("api.products", 7, 2_400, route="/api/products", blueprint="api"),
    Endpoint(
        "api.stock", 6, 33_000, spread=0.12, route="/api/products/<int:product_id>/stock", blueprint="api"
    ),
    Endpoint(
        "api.recommendations",
        5,
        36_000,
        spread=0.1,
        other_statuses={503: 0.015},
        route="/api/recommendations",
        blueprint="api",
    ),
    Endpoint(
        "cart.add", 5, 2_700, status=302, route="/cart/add/<int:product_id>", blueprint="cart", method="POST"
    ),
    Endpoint("cart.show", 5, 3_800, route="/cart", blueprint="cart"),
    Endpoint(
        "api.product",
        4,
        1_900,
        other_statuses={404: 0.03},
        route="/api/products/<int:product_id>",
        blueprint="api",
    ),
    Endpoint(
        "orders.checkout",
        2.4,
        56_000,
        spread=0.3,
        slow_share=0.03,
        slow_factor=4,
        status=302,
        other_statuses={402: 0.04, 400: 0.01},
        route="/checkout",
        blueprint="orders",
        method="POST",
    ),
    Endpoint(
        "accounts.login",
        2.2,
        2_800,
        status=302,
        other_statuses={401: 0.08},
        route="/login",
        blueprint="accounts",
        method="POST",
    ),
    Endpoint("accounts.login_form", 2.0, 2_400, route="/login", blueprint="accounts"),
    Endpoint("healthz", 2.0, 500, spread=0.2, slow_share=0, route="/healthz"),
    Endpoint("orders.history", 1.4, 3_000, route="/orders", blueprint="orders"),
    Endpoint(
        "orders.detail",
        1.6,
        2_800,
        other_statuses={404: 0.04},
        route="/orders/<int:number>",
        blueprint="orders",
    ),
    Endpoint("unmatched:4xx", 1.2, 700, status=404),
    Endpoint(
        "api.add_review",
        0.8,
        1_200,
        status=201,
        other_statuses={422: 0.1},
        route="/api/products/<int:product_id>/reviews",
        blueprint="api",
        method="POST",
    ),
    Endpoint(
        "catalog.old_product_link", 0.7, 600, status=301, route="/p/<int:product_id>", blueprint="catalog"
    ),
    Endpoint(
        "admin.report",
        0.15,
        24_000,
        spread=0.2,
        other_statuses={403: 0.3},
        route="/admin/report.csv",
        blueprint="admin",
        streamed=True,
    ),
    Endpoint("admin.dashboard", 0.2, 4_000, other_statuses={403: 0.3}, route="/admin/", blueprint="admin"),
)

RELEASES = (
    Release("1.6.0", since=0, slowdown={"catalog.search": 0.7}, failures={"orders.checkout": 0.005}),
    # Two mistakes in one release: a look-up for every review, and payments that are tried only once.
    Release("1.7.0", since=0.42, slowdown={"catalog.product": 6.5}, failures={"orders.checkout": 0.06}),
    Release("1.8.0", since=0.63, failures={"orders.checkout": 0.06}),
)
CURRENT = RELEASES[-1].name
NEXT = "1.8.1"
"""The release that is rolled out while the demo runs."""

WORKLOAD = Workload(
    service=SERVICE,
    endpoints=ENDPOINTS,
    releases=RELEASES,
    clients=CLIENTS,
    incidents=(Incident(since=0.805, length_s=5_400),),
)

__all__ = ["ADMIN", "CLIENTS", "CURRENT", "NEXT", "SERVICE", "VISITOR", "WORKLOAD"]
