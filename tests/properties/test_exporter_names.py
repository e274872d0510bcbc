from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fmd_otel_exporter.names import storable

texts = st.text(st.characters(codec=None), max_size=80)


@given(texts, st.integers(20, 60))
def test_any_text_becomes_storable(text: str, length: int):
    clean = storable(text, length)
    assert len(clean) <= length
    assert "\0" not in clean
    clean.encode("utf-8")
    assert storable(clean, length) == clean


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufffd?"), max_size=80),
    st.integers(20, 60),
)
def test_two_texts_stay_two(text: str, length: int):
    assert storable(text + "a", length) != storable(text + "b", length)
