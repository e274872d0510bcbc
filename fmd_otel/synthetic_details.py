"""Made-up details of made-up requests: profiles, outliers with their traces, and exceptions."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from fmd_otel.synthetic_code import Code, code_of, profile_of
from fmd_otel_exporter.detail_writer import DetailWriter
from fmd_otel_exporter.documents import ChildSpan, Frame, encode_document
from fmd_otel_exporter.records import (
    UNHANDLED,
    CodeLine,
    DetailRecord,
    ExceptionRecord,
    OutlierRecord,
    ProfileRecord,
    RequestRecord,
    TraceRecord,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fmd_otel.synthetic import Workload
    from fmd_otel_exporter.store import Store

PERIOD_US = 10_000
LOOK_US = 200
CONSTANT = 2.5
"""How many times its usual time a request takes at least that is an outlier."""
_BATCH = 500
_DOCUMENTS = 3
"""Exceptions of a group in one part of the requests that come with all there is; the others are counted."""
_FAILED = 500
_MB = 1 << 20
_SCRUBBED = "[scrubbed]"
_MASK = 2**63 - 1


@dataclass(frozen=True)
class SyntheticDetails:
    """Makes them for a share of the requests; fits an order of :mod:`.bulk`."""

    usual_us: Mapping[str, int]
    """What each endpoint takes as a rule."""
    profiled: float = 0.05
    """The share of requests with a profile."""
    outliers: float = 0.2
    """The share of slow requests of which all is kept."""
    _writers: dict[int, DetailWriter] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, workload: Workload, *, profiled: float = 0.05, outliers: float = 0.2) -> SyntheticDetails:
        """Return those that fit an application."""
        usual = {endpoint.name: endpoint.median_us for endpoint in workload.endpoints}
        return cls(usual, profiled=profiled, outliers=outliers)

    def make(self, requests: Sequence[RequestRecord]) -> list[DetailRecord]:
        """Return what there is to tell of these requests; the same each time."""
        told: dict[int, int] = {}
        return [detail for request in requests for detail in self._details_of(request, told)]

    def write(self, store: Store, made: Any) -> None:
        """Write them; some may be there already."""
        writer = self._writers.get(id(store))
        if writer is None:
            writer = self._writers[id(store)] = DetailWriter(store)
        for start in range(0, len(made), _BATCH):
            writer.write(made[start : start + _BATCH])

    def _details_of(self, request: RequestRecord, told: dict[int, int]) -> Iterator[DetailRecord]:
        usual_us = self.usual_us.get(request.endpoint)
        if usual_us is None or request.level <= 0:
            return
        # A number of its own, from the request alone: whoever makes it again makes the same.
        dice = random.Random(request.span_id)  # noqa: S311 # no secret
        code = code_of(request.endpoint, request.version)
        late = request.duration_us > CONSTANT * usual_us and dice.random() < self.outliers
        if late or dice.random() < self.profiled:
            yield _profile(request, code, usual_us, dice)
        if late:
            yield _outlier(request, code, usual_us, dice)
            yield _trace(request, code, dice)
        if request.status >= _FAILED:
            yield _exception(request, code, told)


def _names(record: RequestRecord) -> tuple[str, str, str, int, bytes, bytes]:
    return record.service, record.endpoint, record.version, record.ts_us, record.span_id, record.trace_id


def _profile(request: RequestRecord, code: Code, usual_us: int, dice: random.Random) -> ProfileRecord:
    us = request.duration_us
    # One that is over soon is looked at once, or not at all.
    samples = us // PERIOD_US or int(dice.random() < us / PERIOD_US)
    lines, nodes = profile_of(code, us, usual_us, min(samples, 300), dice)
    return ProfileRecord(
        *_names(request),
        duration_us=us,
        cpu_us=sum(node.self_cpu_us for node in nodes),
        samples=samples,
        period_us=PERIOD_US,
        exact=False,
        truncated=False,
        lines=lines,
        nodes=nodes,
        price_us=samples * LOOK_US,
    )


def _outlier(request: RequestRecord, code: Code, usual_us: int, dice: random.Random) -> OutlierRecord:
    busy = dice.betavariate(4, 2) * 100
    rss = int(dice.uniform(90, 160) * _MB)
    threshold_us = int(CONSTANT * usual_us)
    path = next(path for path in code.paths if path.culprit)
    route = request.route or f"/{request.endpoint.replace('.', '/')}"
    document = encode_document(
        {
            "url": f"http://shop.example{route}?page={dice.randrange(1, 40)}&q=lamp",
            "route": route,
            "method": request.method,
            "args": {"page": [str(dice.randrange(1, 40))], "q": ["lamp"]},
            "form": {"quantity": ["2"], "card_number": [_SCRUBBED]} if request.method == "POST" else {},
            "headers": {
                "Host": "shop.example",
                "Accept": "text/html,application/xhtml+xml",
                "User-Agent": dice.choice(("Mozilla/5.0 (X11; Linux x86_64)", "okhttp/4.12.0")),
                "Authorization": _SCRUBBED,
                "Cookie": _SCRUBBED,
            },
            "environ": {"REMOTE_ADDR": request.ip or "", "SERVER_PROTOCOL": "HTTP/1.1"},
            "scrubbed": ["headers.Authorization", "headers.Cookie"]
            + (["form.card_number"] if request.method == "POST" else []),
            "truncated": [],
            "stack": [_frame(line) for line in path.lines],
            "stack_at_us": threshold_us,
            "cpu_percent_per_core": [round(min(100.0, max(0.0, dice.gauss(busy, 12))), 1) for _ in range(4)],
            "cpu_percent": round(busy, 1),
            "process_cpu_percent": round(busy * dice.uniform(0.2, 0.9), 1),
            "memory_host_used": int(dice.uniform(2_000, 7_000)) * _MB,
            "memory_host_total": 8_192 * _MB,
            "memory_process_rss": rss,
            "memory_samples": [
                [request.duration_us * step // 5, rss + int(step * dice.uniform(0, 3) * _MB)]
                for step in range(6)
            ],
            "load_average": [round(busy / 25, 2), round(busy / 30, 2), round(busy / 40, 2)],
            "thread_count": dice.randrange(6, 14),
            "worker_pid": 4_000 + dice.randrange(4),
            "hostname": f"shop-{dice.randrange(1, 4)}",
            "payload_bytes": dice.randrange(0, 4_000),
        }
    )
    return OutlierRecord(
        *_names(request),
        duration_us=request.duration_us,
        average_us=usual_us,
        threshold_us=threshold_us,
        status=request.status,
        group_by=request.group_by,
        ip=request.ip,
        cpu_percent=round(busy, 1),
        process_memory_bytes=rss,
        document=document,
    )


def _trace(request: RequestRecord, code: Code, dice: random.Random) -> TraceRecord:
    spans: list[ChildSpan] = []
    at = 500
    root = request.span_id.hex()
    steps = dice.randrange(2, 9)
    rest_us = max(request.duration_us - 2 * at, steps)
    for step in range(steps):
        query = step or not any("payments" in line.file for path in code.paths for line in path.lines)
        us = rest_us // steps
        spans.append(
            {
                "span_id": blake2b(request.span_id + bytes([step]), digest_size=8).hexdigest(),
                "parent_id": root,
                "name": "SELECT product" if query else "POST",
                "kind": "client",
                "start_us": at,
                "duration_us": int(us * 0.9),
                "status": "unset",
                "attributes": {
                    "db.system": "postgresql",
                    "db.statement": "SELECT * FROM product WHERE id = ?",
                }
                if query
                else {"http.request.method": "POST", "url.full": "https://pay.example/charge"},
                "events": [],
            }
        )
        at += us
    said = {
        "http.request.method": request.method,
        "http.response.status_code": request.status,
        "http.route": request.route or "",
        "url.scheme": "https",
        "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64)",
        "fmd.version": request.version,
        "fmd.endpoint": request.endpoint,
    }
    document = encode_document({"spans": spans, "truncated": 0, "attributes": said, "scrubbed": []})
    return TraceRecord(*_names(request), document=document)


def _exception(request: RequestRecord, code: Code, told: dict[int, int]) -> ExceptionRecord:
    kind, message = code.raises
    path = next(path for path in code.paths if path.culprit)
    place = [line for line in path.lines if line.in_app][-1]
    digest = blake2b(
        f"{request.service} {kind} {place.file} {place.function}".encode(), digest_size=8
    ).digest()
    group = int.from_bytes(digest, "big") & _MASK or 1
    told[group] = told.get(group, 0) + 1
    document = None
    if told[group] <= _DOCUMENTS:
        frames = [_frame(line) for line in path.lines]
        cause = {
            "type": "TimeoutError",
            "message": "timed out",
            "relation": "cause",
            "parent": 0,
            "frames": frames[-2:],
        }
        first = {"type": kind, "message": message, "relation": None, "parent": None, "frames": frames}
        document = encode_document(
            {
                "chain": [first, cause] if "imeout" in kind else [first],  # type: ignore[list-item]  # of that shape
                "url": f"http://shop.example{request.route or '/'}",
                "method": request.method,
                "status": request.status,
                "scrubbed": [],
            }
        )
    return ExceptionRecord(
        *_names(request)[:3],
        request.ts_us + request.duration_us,
        request.span_id,
        request.trace_id,
        group_id=group,
        kind=UNHANDLED,
        type=kind,
        message=message,
        group_by=request.group_by,
        document=document,
        place=f"{place.file} in {place.function}",
    )


def _frame(line: CodeLine) -> Frame:
    return {
        "file": line.file,
        "function": line.function,
        "line": line.line,
        "source": line.source,
        "in_app": line.in_app,
        "context_before": ["    basket = session.basket", ""] if line.in_app else [],
        "context_after": ["    log.debug('done')"] if line.in_app else [],
    }
