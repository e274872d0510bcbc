"""No secret under a sensitive name survives, whatever the nesting, case and encoding."""

from __future__ import annotations

import json
from urllib.parse import quote, quote_plus, urlencode

from hypothesis import given, settings
from hypothesis import strategies as st

from fmd_otel.scrubbing import Scrubber
from fmd_otel.scrubbing.scrubber import MOST_CHARACTERS, MOST_ITEMS, MOST_TOTAL

SECRET = "Zq7xhunter2Zq7x"
SENSITIVE = [
    "password", "passwd", "pwd", "authorization", "Proxy-Authorization", "cookie", "Set-Cookie", "token",
    "access_token", "refreshToken", "csrf_token", "apiKey", "x-api-key", "api key", "client_secret",
    "session_id", "JSESSIONID", "PHPSESSID", "connect.sid", "creditCardNumber", "card_number", "cvv", "pin",
    "user[password]", "private-key", "AWS_SECRET_ACCESS_KEY", "auth", "otp", "pass", "my.secret.thing",
    "\uff50assword",
]  # fmt: skip
harmless_names = st.text(alphabet="abcdefgh_", min_size=1, max_size=8).map(lambda text: f"q{text}")


@st.composite
def spellings(draw, name):
    letters = [draw(st.sampled_from([letter.lower(), letter.upper()])) for letter in name]
    # A word in the middle is told by its capitals, so it keeps them.
    text = "".join(letters) if len(name) > 4 else draw(st.sampled_from([name, name.upper(), name.title()]))
    return draw(st.sampled_from(["", "x-", "my_"])) + text


names = st.sampled_from(SENSITIVE).flatmap(spellings)


def every_letter_encoded(text):
    return "".join(f"%{byte:02x}" for byte in text.encode())


encodings = st.sampled_from([str, quote, quote_plus, every_letter_encoded, lambda text: quote(quote(text))])
encoded_names = st.builds(lambda name, encode: encode(name), names, encodings)
secrets = st.one_of(
    st.just(SECRET),
    st.just([SECRET, {"x": SECRET}]),
    st.just({"value": SECRET, "more": [{"deep": SECRET}]}),
    st.just(SECRET.encode()),
)
plain_secrets = st.just(SECRET)


def _as_fields(pair):
    return [{"name": pair[0], "value": pair[1]}, {"name": "harmless", "value": "1"}]


structures = st.one_of(
    st.tuples(encoded_names, secrets).map(lambda pair: {pair[0]: pair[1]}),
    st.tuples(names, secrets).map(_as_fields),
    st.tuples(names, secrets).map(lambda pair: [["harmless", "1"], list(pair)]),
)
queries = st.tuples(encoded_names, plain_secrets).map(
    lambda pair: f"a=1&{quote_plus(pair[0], safe='%')}={pair[1]}&b=2"
)


def _texts(value):
    return value if isinstance(value, str) else json.dumps(value, default=lambda found: found.decode())


def _wrap(inner):
    return st.one_of(
        st.tuples(harmless_names, inner).map(lambda pair: {pair[0]: pair[1]}),
        inner.map(lambda value: ["first", value]),
        inner.map(lambda value: {"name": "profile", "rows": (value, 1, None)}),
        inner.map(_texts),
        inner.map(lambda value: json.dumps(_texts(value))),
        inner.map(lambda value: {"next": f"/somewhere?q={quote(_texts(value))}#top"}),
        inner.map(lambda value: urlencode({"form": _texts(value), "x": "1"})),
        inner.map(lambda value: quote(_texts(value), safe="")),
    )


nested = st.recursive(st.one_of(structures, queries.map(lambda query: {"q": query})), _wrap, max_leaves=4)


@settings(max_examples=600, deadline=None)
@given(nested)
def test_no_secret_under_a_sensitive_name_survives(value):
    record = Scrubber().record()
    kept = record.mapping({"payload": value}, "json")
    told = json.dumps([kept, record.scrubbed, record.truncated])
    assert SECRET not in told
    assert record.scrubbed or record.truncated


@settings(max_examples=200, deadline=None)
@given(queries)
def test_no_secret_parameter_of_a_url_survives(query):
    record = Scrubber().record()
    assert SECRET not in record.url(f"https://anna:{SECRET}@shop.example/path?{query}", "url")
    assert SECRET not in record.url(f"https://shop.example/cb#{query}", "fragment")
    assert SECRET not in record.query(query, "query")
    assert record.scrubbed == ["url", "fragment", "query"]


json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-1000, 10**9), st.floats(allow_nan=False, allow_infinity=False),
        st.text(alphabet="abc xyz-", max_size=20),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(harmless_names, inner, max_size=4)),
    max_leaves=12,
)  # fmt: skip


@settings(deadline=None)
@given(json_values)
def test_what_is_no_secret_stays_as_it_is(value):
    record = Scrubber().record()
    assert record.mapping({"q": value}, "json") == {"q": value}
    assert record.scrubbed == record.truncated == []


anything = st.recursive(
    st.one_of(
        st.text(max_size=50), st.binary(max_size=50), st.integers(), st.floats(), st.none(),
        st.just(object()), st.just(4000).map(lambda bits: 10**bits),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(st.one_of(st.text(max_size=5), st.integers()), inner, max_size=5),
    ),
    max_leaves=40,
)  # fmt: skip


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=10), anything, max_size=5))
def test_what_comes_out_is_json_whatever_goes_in(values):
    json.dumps(Scrubber().record().mapping(values, "json"))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 400), st.integers(0, 20_000), st.integers(0, 60))
def test_what_comes_out_is_bounded_whatever_goes_in(items, characters, depth):
    value = {"q" + str(number): "x" * characters for number in range(items)}
    for _ in range(depth):
        value = {"q": [value]}
    record = Scrubber().record()
    kept = json.dumps(record.mapping(value, "json"))
    assert len(kept) <= MOST_TOTAL + MOST_CHARACTERS + MOST_ITEMS * 60
    if items > MOST_ITEMS or characters > MOST_CHARACTERS or depth > 12:
        assert record.truncated
