"""What is being learnt of one request while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from fmd_otel.body import Body
from fmd_otel.profiler.credit import Look, Pace, Unplaced, credit, credit_unmeasured, leave_unplaced
from fmd_otel.profiler.streamed import ProfiledBody
from fmd_otel.profiler.trie import ELSEWHERE, ROOT, Trie

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import FrameType

    from fmd_otel.profiler.credit import Between
    from fmd_otel.profiler.place import Place
    from fmd_otel.profiler.sites import WaitingSites
    from fmd_otel.request_state import RequestState

SAMPLES_A_LIFE = 100
"""A request is looked at about so often however old it gets, and as often again each time it grows 2.7 times
older: an hour costs nine times what a second does."""

DUTY = 0.02
"""The largest share of one core that looking may take; beyond it, looks become rarer."""
STILL_NS = 12_000_000
"""A clock that stands still for longer than twice the interpreter's switch interval is that of a thread that
waits for something, and not for its turn to go on."""
MOST_HELPERS = 64
"""Threads that are looked at for one request; one that starts more of them shows the first ones."""


class Moment(NamedTuple):
    """One waking of the sampler."""

    now_ns: int
    is_prompt: bool
    """It got the GIL at once: no thread was interrupted for it."""
    frames: Callable[[], Mapping[int, FrameType]]
    sites: WaitingSites
    pace: Pace


class RequestProfile:
    """A request in flight."""

    __slots__ = (
        "deliver",
        "due_ns",
        "duty",
        "end_ns",
        "exact",
        "followed",
        "main",
        "period_ns",
        "pid",
        "price_ns",
        "samples",
        "seen_ns",
        "start_ns",
        "trie",
        "unplaced",
    )

    def __init__(self, main: Place, *, start_ns: int, period_ns: int, is_long: bool) -> None:
        """Begin with a request.

        Args:
            main: The thread it is served on.
            start_ns: When it came, by ``perf_counter_ns``.
            period_ns: Time between two looks.
            is_long: Requests like this one usually last longer than a period. If so, it is looked at from the
                beginning, else only once it has grown older than a period: then the beginnings of long
                requests are seen as often as their ends, and short requests are not looked at.
        """
        self.main = main
        self.pid = 0
        """The process in which it is looked at."""
        self.period_ns = period_ns
        self.start_ns = self.seen_ns = start_ns
        self.due_ns = start_ns if is_long else start_ns + period_ns
        self.end_ns = 0
        self.samples = 0
        self.followed: list[Place] = []
        """Other threads that work for it; they add themselves, the sampler takes out those that ended."""
        self.trie: Trie | None = None
        self.unplaced: Between = {}
        self.deliver: Callable[[Any], None] | None = None
        """Where it goes when it is complete."""
        self.exact = False
        """Somebody has ordered it."""
        self.price_ns = 0
        """What making it has taken so far: of the sampler's CPU, and of the request's own time."""
        self.duty = DUTY

    # On the request's own thread

    def stand_before(self, body: Iterable[bytes], state: RequestState) -> Iterable[bytes]:
        """Return the body, made such that its parts are looked at as well.

        One of announced length is there already, and the thread is the request's until all of it is sent.
        """
        self.main.is_sending = True
        return ProfiledBody(body, state) if state.streamed else Body(body, state)

    def leave(self) -> None:
        """Hand the thread back to the server: the rest of the body is made later."""
        if not self.end_ns:
            self.main.leave()

    def enter(self) -> None:
        """Go on with making the body."""
        if not self.end_ns:
            self.main.enter()

    def end(self, end_ns: int) -> None:
        """Note when the last byte had gone."""
        if self.trie is not None or self.main.keeps_a_clock:
            self.main.end()
        self.end_ns = end_ns

    # On any thread

    def can_be_helped(self) -> bool:
        """Tell whether a further thread that works for it would be looked at."""
        return not self.end_ns and len(self.followed) < MOST_HELPERS

    def add_helper(self, place: Place) -> None:
        """Have another thread looked at that works for it."""
        self.followed.append(place)

    # On the sampler's thread

    def look(self, moment: Moment) -> None:
        """Look at all threads of the request, and give them the time since the last look."""
        trie = self.trie
        if trie is None:
            trie = self.trie = Trie()
        end_ns = self.end_ns
        now_ns = end_ns or moment.now_ns
        wall_ns = now_ns - self.seen_ns
        if wall_ns <= 0:
            return
        self.seen_ns = now_ns
        main = self.main
        used_ns = min(main.read_clock(), wall_ns)
        helpers = self.followed
        if end_ns:
            self._close(trie, main, wall_ns, used_ns, moment.pace)
            return
        self.samples += 1
        if not helpers:
            self._look_at(trie, main, wall_ns, used_ns, ROOT, moment)
        else:
            # The request's own thread waits for the others: what it waits for is what they do.
            self._look_at(trie, main, used_ns, used_ns, ROOT, moment)
            self._look_at_helpers(trie, wall_ns - used_ns, moment)
        self.due_ns = now_ns + max(self.period_ns, (now_ns - self.start_ns) // SAMPLES_A_LIFE)

    def _look_at_helpers(self, trie: Trie, wall_ns: int, moment: Moment) -> None:
        helpers = tuple(self.followed)
        share_ns = wall_ns // len(helpers)
        for helper in helpers:
            start = self.main.look.node if helper.prefix is None else trie.leaf(helper.prefix)
            if helper.ended:
                self.followed.remove(helper)
                self._close(trie, helper, share_ns, min(helper.read_clock(), share_ns), moment.pace, start)
            else:
                self._look_at(trie, helper, share_ns, min(helper.read_clock(), share_ns), start, moment)
        trie.add(self.main.look.node, wall_ns - share_ns * len(helpers))

    def _look_at(  # noqa: PLR0913, PLR0917 # all that a look depends on
        self, trie: Trie, place: Place, wall_ns: int, used_ns: int, start: int, moment: Moment
    ) -> None:
        earlier = place.look
        knows = place.knows()
        if used_ns == 0 and knows and earlier.node != ROOT and earlier.is_of(place.thread_id):
            # The thread has not run since: it is where it was.
            node = earlier.node
            trie.add(node, wall_ns)
            code = trie.codes[node]
            if code is not None and wall_ns > STILL_NS and not earlier.waits:
                moment.sites.prove(code, trie.positions[node])
                place.look = Look(node, waits=True, thread_id=place.thread_id)
        else:
            stack = place.stack(moment.frames())
            node = trie.child(start, None, ELSEWHERE) if stack is None else trie.leaf(stack, start)
            waits = place.waits(stack, moment.sites, is_prompt=moment.is_prompt)
            later = place.look = Look(node, waits=waits, thread_id=place.thread_id)
            if knows:
                credit(trie, self.unplaced, (earlier, later), wall_ns, used_ns, moment.pace)
            else:
                credit_unmeasured(trie, (earlier, later), wall_ns)
        if wall_ns:
            trie.hits[node] += 1

    def _close(  # noqa: PLR0913, PLR0917 # all that it depends on
        self, trie: Trie, place: Place, wall_ns: int, used_ns: int, pace: Pace, start: int = ROOT
    ) -> None:
        """Give the time since the last look to what was seen then."""
        last = place.look
        node = last.node if last.node != ROOT else start
        if not place.measures:
            trie.add(node, wall_ns)  # what it used is of its whole life, not of this time
        elif last.waits:
            computed_ns = pace.time_for(used_ns, wall_ns)
            trie.add(node, wall_ns - computed_ns)
            leave_unplaced(self.unplaced, Unplaced(node, start), computed_ns, used_ns)
        else:
            trie.add(node, wall_ns, used_ns)

    @property
    def ended(self) -> bool:
        """Whether the request is over."""
        return self.end_ns != 0
