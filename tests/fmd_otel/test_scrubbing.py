"""Secrets are told by their names and by their looks; everything else is left as it was."""

from __future__ import annotations

import json
import time

import pytest

from fmd_otel.scrubbing import SCRUBBED, TRUNCATED, Scrubber
from fmd_otel.scrubbing.names import SensitiveNames
from fmd_otel.scrubbing.scrubber import MOST_CHARACTERS, MOST_DEPTH


def scrubbed(value, path="json", **options):
    record = Scrubber(**options).record()
    return record.value(value, path), record


@pytest.mark.parametrize(
    "name",
    ["Authorization", "X-Api-Key", "HTTP_COOKIE", "refreshToken", "user[password]", "pass", "sid",
     "cardNumber", "X-Amz-Signature", "DB_PASSWORD",
     "client_secret", "authkey", "licenseKey", "code_verifier", "SAMLResponse", "X-Consumer-Key",
     "p%61ssword", "%2570assword", "x" * 300],
)  # fmt: skip
def test_names_that_promise_a_secret(name):
    assert name in SensitiveNames()


@pytest.mark.parametrize(
    "name",
    ["shipping", "author", "compass", "passenger", "key", "code", "opinion", "cc", "User-Agent", "q", ""],
)
def test_names_that_only_resemble_one(name):
    assert name not in SensitiveNames()


LOOKS = [
    "AIza" + "SyD-9tSrke72PouQMnMX-a7eZSW0jkFMBW", "ya29." + "a0AfH6SMBx1y2z3-abcdefghij",
    "sk-proj" + "-abcDEF123456ghiJKL789012mno", "sk-ant" + "-api03-abcDEF123456ghiJKL7890",
    "SG." + "ngeVfQFYQlKU0ufo8x5d1A.TwL2iGABf9DHoTf-09kqeF8tAmbihYzrnopKc-1s5cr",
    "npm_" + "abcdefghijklmnopqrstuvwxyz0123456789", "pypi-" + "AgEIcHlwaS5vcmcCJDQ1abcdefghijklmn",
    "AKIA" + "IOSFODNN7EXAMPLE", "xoxb-" + "123456789012-abcdefghij", "xapp-" + "1-A01B2C3D4E5-678",
    "ghp_" + "abcdefghijklmnopqrstuvwxyz0123456789", "glpat-" + "abcdefghij0123456789",
    "sk_live_" + "abcdefghij0123456789", "whsec_" + "abcdefghij0123456789", "hf_" + "a1" * 17,
    "eyJhbGciOi.eyJzdWIiOi.abc_def",
]  # fmt: skip
"""Put together only here: tools that look for secrets in files would find them."""


@pytest.mark.parametrize("secret", LOOKS)
@pytest.mark.parametrize("form", ["{}", "the key {} is refused", "/x?a=1&q={}", '{{"a": "{}"}}'])
def test_secrets_by_their_looks(secret, form):
    found, record = scrubbed(form.format(secret))
    assert secret not in str(found)
    assert secret[8:] not in str(found)
    assert SCRUBBED in str(found)
    assert record.scrubbed == ["json"]


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("key=AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBW", f"key={SCRUBBED}"),
        ("key=4f9dc2aa0b1e77c3d5e8&a=1", f"key={SCRUBBED}&a=1"),
        ("code=4/0AX4XfWh&state=xyz", f"code={SCRUBBED}&state=xyz"),
        ("a=1&code=SplxlOBeZQQYbYS6WxSbIA", f"a=1&code={SCRUBBED}"),
        ("grant_type=authorization_code&code=abc", f"grant_type=authorization_code&code={SCRUBBED}"),
        ("code=DE&key=name", "code=DE&key=name"),
        ("code=404&state=", f"code={SCRUBBED}&state="),
        ("key=shop.cart.total-of-all", "key=shop.cart.total-of-all"),
    ],
)
def test_names_that_mean_anything_are_told_by_their_value_or_by_what_stands_beside_them(query, kept):
    record = Scrubber().record()
    assert record.query(query, "args") == kept


def test_a_code_of_oauth_in_a_form_or_in_json():
    kept, _ = scrubbed({"grant_type": "authorization_code", "code": "abc", "key": "name"})
    assert kept == {"grant_type": "authorization_code", "code": SCRUBBED, "key": "name"}
    assert scrubbed({"code": "abc"})[0] == {"code": "abc"}
    assert scrubbed({"code": 7, "state": "x"})[0] == {"code": 7, "state": "x"}


def test_more_names_are_found_inside_names_in_any_spelling():
    names = SensitiveNames(["patient-id"])
    assert "PatientID" in names
    assert "x_patient_id_2" in names
    assert "patient" not in names


def test_what_was_scrubbed_is_marked_and_listed():
    record = Scrubber().record()
    kept = record.mapping({"Host": "shop", "Authorization": "Bearer abc", "X-Empty-Token": ""}, "headers")
    assert kept == {"Host": "shop", "Authorization": SCRUBBED, "X-Empty-Token": ""}
    assert record.scrubbed == ["headers.Authorization"]


def test_paths_lead_through_lists():
    kept, record = scrubbed({"items": [{"a": 1}, {"password": "x"}]})
    assert kept == {"items": [{"a": 1}, {"password": SCRUBBED}]}
    assert record.scrubbed == ["json.items[1].password"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("postgresql://shop:hunter2@db/shop", f"postgresql://{SCRUBBED}@db/shop"),
        ("see https://ghp_abc@github.com/x", f"see https://{SCRUBBED}@github.com/x"),
        ("user=anna password=hunter2 port=5", f"user=anna password={SCRUBBED} port=5"),
        ("{'password': 'hunter two', 'a': 1}", f"{{'password': {SCRUBBED}, 'a': 1}}"),
        ("password: correct horse", f"password: {SCRUBBED}"),
        ('"api_key": "abc", "b": 1', f'"api_key": {SCRUBBED}, "b": 1'),
        ("Cookie: a=b; c=d", f"Cookie: {SCRUBBED}"),
        ("got Bearer abc.DEF-123 from", f"got Bearer {SCRUBBED} from"),
        ("token eyJhbGciOi.eyJzdWIiOi.abc_def!", f"token {SCRUBBED}!"),
        ("card 4111 1111 1111 1111.", f"card {SCRUBBED}."),
        ("AKIAIOSFODNN7EXAMPLE", SCRUBBED),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc", SCRUBBED),
        ("/login?next=/a&token=abc#x", f"/login?next=/a&token={SCRUBBED}#x"),
        ("next=%2Fx%3Ftoken%3Dabc&a=b", f"next=%2Fx%3Ftoken%3D{SCRUBBED}&a=b"),
    ],
)  # fmt: skip
def test_secrets_inside_texts(text, kept):
    found, record = scrubbed(text)
    assert found == kept
    assert record.scrubbed == ["json"]


@pytest.mark.parametrize(
    "text",
    ["basic understanding of things", "1763799999123456", "order 1234567890123", "a=b&c=d", "50% off? yes",
     "SELECT name FROM item WHERE id = 5", "http://localhost:5000/x?a=%20b", "[1, 2", "12:30:45",
     "ratio 3:4", "sk-learn-is-a-library-for-learning", "SG.1.2", "npm_config_cache",
     "desk-top-computer-number-1"],
)  # fmt: skip
def test_texts_without_secrets_stay(text):
    found, record = scrubbed(text)
    assert found == text
    assert record.scrubbed == []


def test_card_numbers_given_as_numbers():
    assert scrubbed(4111111111111111)[0] == SCRUBBED
    assert scrubbed(1763799999123456)[0] == 1763799999123456


def test_json_in_a_text_is_read():
    kept, _ = scrubbed(json.dumps({"a": 1, "inner": json.dumps({"token": "x"})}))
    assert json.loads(json.loads(kept)["inner"]) == {"token": SCRUBBED}


def test_a_name_that_stands_twice_hides_nothing():
    kept, _ = scrubbed('{"a": {"password": "x1y2"}, "a": 1}')
    assert "x1y2" not in kept


def test_what_is_too_deep_or_too_long_is_cut_and_listed():
    deep = "end"
    for _ in range(MOST_DEPTH + 2):
        deep = [deep]
    kept, record = scrubbed({"deep": deep, "long": "x" * 10_000, "cut": '{"a": ' + '"' + "x" * 100_000})
    assert TRUNCATED in json.dumps(kept["deep"])
    assert kept["long"] == "x" * MOST_CHARACTERS
    assert kept["cut"] == TRUNCATED
    assert {"json.long", "json.cut"} < set(record.truncated)


def test_the_users_function_has_the_last_word():
    seen = []

    def hook(path, value):
        seen.append(path)
        return value if path != "json.email" else value[:2] + "…"

    kept, record = scrubbed({"email": "anna@x", "b": 1, "password": "x"}, hook=hook)
    assert kept == {"email": "an…", "b": 1, "password": SCRUBBED}
    assert record.scrubbed == ["json.email", "json.password"]
    assert seen == ["json.email", "json.b"]


def test_where_the_users_function_fails_nothing_is_kept():
    failures = []

    def hook(_path, _value):
        raise RuntimeError

    kept, _ = scrubbed(
        {"a": "b"}, hook=hook, failed=lambda where, error: failures.append((where, type(error)))
    )
    assert kept == {"a": SCRUBBED}
    assert failures == [("scrub", RuntimeError)]


def test_objects_are_named_and_never_asked_for_their_text():
    class Hostile:
        def __repr__(self):
            raise RuntimeError

        __str__ = __repr__

    kept, _ = scrubbed({"a": Hostile()})
    assert kept["a"].endswith("Hostile>")


@pytest.mark.parametrize(
    "text",
    ["a" * 4096, "a=" * 2048, "x%" * 2048, "://" * 1365, "[" * 4096, "1 " * 2048, "password" * 512,
     'a"' * 2048, "cookie" * 680, "eyJaaaaa." * 400, "?" * 4096, "&=" * 2048],
)  # fmt: skip
def test_no_text_makes_it_slow(text):
    began = time.process_time()
    scrubbed(text)
    assert time.process_time() - began < 2
