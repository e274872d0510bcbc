"""Made-up code that made-up requests run through: a view that asks a database, a provider and a template."""

from __future__ import annotations

import random
from functools import lru_cache
from typing import NamedTuple

from fmd_otel_exporter.records import CodeLine, ProfileNode

_ROOM = 40
"""Lines between two functions of a made-up file."""


class Path(NamedTuple):
    """One way through the code, and how often time passes there."""

    lines: tuple[CodeLine, ...]
    """From the view to where time passes."""
    weight: float
    cpu_share: float
    """Of that time, the part on the CPU; the rest is waiting."""
    culprit: bool = False
    """Takes what a request took longer than usual."""


class Code(NamedTuple):
    """What the requests of an endpoint run through in one release."""

    paths: tuple[Path, ...]
    raises: tuple[str, str]
    """Type and message of what comes when it fails."""


def _library(file: str, function: str, line: int, source: str) -> CodeLine:
    return CodeLine(file, function, line, source, in_app=False)


_EXECUTE = (
    _library("sqlalchemy/orm/query.py", "Query.all", 2704, "return self._iter().all()"),
    _library("sqlalchemy/orm/query.py", "Query._iter", 2858, "result = self.session.execute("),
    _library("sqlalchemy/orm/session.py", "Session.execute", 2365, "return self._execute_internal("),
    _library("sqlalchemy/engine/base.py", "Connection.execute", 1419, "return meth("),
    _library(
        "sqlalchemy/engine/base.py", "Connection._execute_context", 1843, "return self._exec_single_context("
    ),
    _library(
        "sqlalchemy/engine/default.py",
        "DefaultDialect.do_execute",
        952,
        "cursor.execute(statement, parameters)",
    ),
)
_LOAD = (
    _EXECUTE[0],
    _library("sqlalchemy/engine/result.py", "Result._allrows", 548, "rows = self._fetchall_impl()"),
    _library("sqlalchemy/orm/loading.py", "_instance", 1047, "state = instance_state(instance)"),
)
_REQUEST = (
    _library("requests/api.py", "post", 115, 'return request("post", url, data=data, json=json, **kwargs)'),
    _library("requests/sessions.py", "Session.request", 589, "resp = self.send(prep, **send_kwargs)"),
    _library("requests/sessions.py", "Session.send", 703, "r = adapter.send(request, **kwargs)"),
    _library("requests/adapters.py", "HTTPAdapter.send", 667, "resp = conn.urlopen("),
    _library(
        "urllib3/connectionpool.py", "HTTPConnectionPool.urlopen", 787, "response = self._make_request("
    ),
    _library("http/client.py", "HTTPConnection.getresponse", 1378, "response.begin()"),
    _library("socket.py", "SocketIO.readinto", 706, "return self._sock.recv_into(b)"),
)
_RENDER = (
    _library("flask/templating.py", "render_template", 150, "return _render(app, template, context)"),
    _library("jinja2/environment.py", "Template.render", 1301, "return self.environment.concat("),
)
_DISPATCH = (
    _library("flask/app.py", "Flask.full_dispatch_request", 917, "rv = self.dispatch_request()"),
    _library("flask/app.py", "Flask.dispatch_request", 902, "return self.ensure_sync(...)(**view_args)"),
)
_FAILURES = (
    ("KeyError", "'currency'"),
    ("sqlalchemy.exc.OperationalError", "server closed the connection unexpectedly"),
    ("shop.payments.PaymentTimeoutError", "no answer to a charge of 4999 cents"),
    ("AttributeError", "'NoneType' object has no attribute 'price'"),
    ("requests.exceptions.ReadTimeout", "HTTPSConnectionPool: Read timed out. (read timeout=5)"),
)


@lru_cache(maxsize=4096)
def code_of(endpoint: str, version: str) -> Code:
    """Return the code of an endpoint in a release; some releases ask the database in a loop."""
    dice = random.Random(endpoint)  # noqa: S311 # no secret
    part, _, view = endpoint.rpartition(".")
    part = part or "app"
    in_a_loop = random.Random(f"{endpoint} {version}").random() < 0.2  # noqa: S311, PLR2004 # one in five
    first = 20 + dice.randrange(8) * _ROOM

    def app(file: str, function: str, line: int, source: str) -> CodeLine:
        return CodeLine(f"shop/{file}.py", function, line, source, in_app=True)

    def view_line(offset: int, source: str) -> tuple[CodeLine, ...]:
        return (*_DISPATCH, app(f"views/{part}", view, first + offset, source))

    template = CodeLine(
        f"shop/templates/{view}.html", "block 'content'", 12, "{% for row in rows %}", in_app=True
    )
    find = app(
        "repository", f"Repository.find_{view}", first + 5, "return query.filter_by(shop=self.shop).all()"
    )
    each = app("repository", "Repository.stock_of", 61, "return self.session.query(Stock).get(item.id)")
    paths = [
        Path((*view_line(2, f"rows = repository.find_{view}(limit)"), find, *_EXECUTE), 4, 0.1, culprit=True),
        Path((*view_line(2, f"rows = repository.find_{view}(limit)"), find, *_LOAD), 1.5, 0.95),
        Path(
            (*view_line(7, f'return render_template("{view}.html", rows=rows)'), *_RENDER, template), 2, 0.97
        ),
        Path(view_line(4, "rows.sort(key=relevance, reverse=True)"), 0.5, 1.0),
        Path(_DISPATCH[:1], 0.2, 1.0),
    ]
    if dice.random() < 0.4:  # noqa: PLR2004 # two of five ask somebody else
        charge = app(
            "payments", "Gateway.charge", 88, "answer = requests.post(self.url, json=body, timeout=5)"
        )
        paths.append(Path((*view_line(5, "gateway.charge(cart.total())"), charge, *_REQUEST), 5, 0.03))
    if dice.random() < 0.5:  # noqa: PLR2004 # every other one computes
        discount = app("pricing", "discount", 34, "best = max(best, rule.apply(basket))")
        total = app(
            "pricing", "total", 17, "return sum(price(item) - discount(item, basket) for item in basket)"
        )
        paths.append(Path((*view_line(3, "total = pricing.total(basket)"), total, discount), 2.5, 0.99))
    if in_a_loop:
        loop = view_line(3, "stock = [repository.stock_of(row) for row in rows]")
        paths.append(Path((*loop, each, *_EXECUTE), 4, 0.12, culprit=True))
    return Code(tuple(paths), dice.choice(_FAILURES))


def profile_of(
    code: Code, us: int, usual_us: int, samples: int, dice: random.Random
) -> tuple[tuple[CodeLine, ...], tuple[ProfileNode, ...]]:
    """Return where a request spent its time, as somebody sees it who looked so many times."""
    share = min(1.0, usual_us / max(us, 1))
    usual = sum(path.weight for path in code.paths)
    late = sum(path.weight for path in code.paths if path.culprit)
    weights = [
        share * path.weight / usual + (1 - share) * (path.weight / late if path.culprit else 0)
        for path in code.paths
    ]
    seen: dict[int, int] = {}
    for path in dice.choices(range(len(code.paths)), weights, k=samples):
        seen[path] = seen.get(path, 0) + 1
    lines: dict[CodeLine, int] = {}
    known: dict[tuple[int, int], int] = {}
    nodes: list[ProfileNode] = []
    left = us
    for number, hits in sorted(seen.items()):
        at = -1
        for line in code.paths[number].lines:
            key = (at, lines.setdefault(line, len(lines)))
            if key not in known:
                known[key] = len(nodes)
                nodes.append(ProfileNode(*key, 0, 0, 0))
            at = known[key]
        own = us * hits // samples
        left -= own
        cpu = int(own * code.paths[number].cpu_share)
        nodes[at] = nodes[at]._replace(
            self_us=nodes[at].self_us + own,
            self_cpu_us=nodes[at].self_cpu_us + cpu,
            hits=nodes[at].hits + hits,
        )
    if nodes:
        nodes[-1] = nodes[-1]._replace(self_us=nodes[-1].self_us + left)
    return tuple(lines), tuple(nodes)
