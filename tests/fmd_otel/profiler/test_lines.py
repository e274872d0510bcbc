"""Lines are named the same on every machine, and whoever wrote them is told apart from libraries."""

from __future__ import annotations

import sys
import threading
from types import ModuleType

import flask
import pytest

from fmd_otel.profiler import lines
from fmd_otel.profiler.bases import BASES
from fmd_otel.profiler.frames import frame_dicts, frame_dicts_of_traceback
from fmd_otel.profiler.lines import LineResolver, function_name, line_number, project_root
from fmd_otel.profiler.walker import walk


def made(source, filename):
    names = {}
    exec(compile(source, filename, "exec"), names)  # noqa: S102 # that is the point
    return names["f"].__code__


def test_the_applications_files_are_named_from_its_root(tmp_path):
    resolver = LineResolver(tmp_path)
    assert resolver.place(str(tmp_path / "shop" / "views.py")) == ("shop/views.py", True)


@pytest.mark.parametrize("folder", [".venv/lib/python3.11/site-packages", "usr/lib/python3/dist-packages"])
def test_packages_are_libraries_also_below_the_applications_root(tmp_path, folder):
    resolver = LineResolver(tmp_path)
    assert resolver.place(str(tmp_path / folder / "flask" / "app.py")) == ("flask/app.py", False)


def test_the_standard_library_is_one():
    assert LineResolver("/").place(threading.__file__) == ("threading.py", False)
    assert LineResolver().place(flask.__file__) == ("flask/__init__.py", False)
    assert LineResolver().place("<frozen importlib._bootstrap>")[1] is False


def test_this_package_is_one():
    assert LineResolver("/").place(lines.__file__) == ("fmd_otel/profiler/lines.py", False)


def test_other_code_on_the_path_is_the_applications(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path / "more"))
    assert LineResolver(tmp_path / "app").place(str(tmp_path / "more" / "tools" / "x.py")) == (
        "tools/x.py",
        True,
    )


def test_the_root_is_above_the_package_that_makes_the_application(tmp_path, monkeypatch):
    package = ModuleType("shop.web")
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "shop.web", package)
    assert project_root(str(tmp_path / "shop" / "web"), "shop.web") == tmp_path
    assert project_root(str(tmp_path / "shop"), "shop.main") == tmp_path
    assert project_root(str(tmp_path), "app") == tmp_path
    assert project_root(str(tmp_path), "__main__") == tmp_path


def test_a_line_keeps_its_text_and_a_function_its_qualified_name(tmp_path):
    path = tmp_path / "m.py"
    path.write_text("class A:\n    def f(self):\n        return  1\nf = A.f\n")
    code = made(path.read_text(), str(path))
    line = LineResolver(tmp_path).line_at(code, len(code.co_code) - 2)
    assert line == ("m.py", function_name(code), 3, "return  1", True)
    if sys.version_info >= (3, 11):
        assert line.function == "A.f"


def test_code_that_has_no_source_has_a_line_all_the_same():
    code = made("def f():\n    pass\n", "<template>")
    assert LineResolver().line_at(code, 0) == ("<template>", "f", 1, None, True)


def test_code_without_line_numbers_is_where_it_is_defined():
    code = made("def f():\n    return 1\n", "x.py")
    assert line_number(code, -4) == code.co_firstlineno
    assert line_number(code, 10**6) == code.co_firstlineno
    bare = code.replace(**{"co_linetable" if hasattr(code, "co_linetable") else "co_lnotab": b""})
    assert line_number(bare, 2) == code.co_firstlineno


def test_code_that_is_made_again_and_again_fills_no_memory(monkeypatch):
    monkeypatch.setattr(lines, "MOST_LINES", 10)
    resolver = LineResolver()
    for number in range(100):
        code = made(f"def f():\n    return {number}\n", f"<made {number}>")
        assert resolver.line_at(code, 0).file == f"<made {number}>"
        assert len(resolver._known) <= 10
        assert len(resolver._files) <= 10


def test_a_source_file_is_read_once_for_each_line(tmp_path, monkeypatch):
    path = tmp_path / "m.py"
    path.write_text("def f():\n    return 1\n")
    code = made(path.read_text(), str(path))
    asked = []
    monkeypatch.setattr(lines.linecache, "getline", lambda *place: asked.append(place) or "x")
    resolver = LineResolver(tmp_path)
    for _ in range(5):
        resolver.line_at(code, 2)
    assert len(asked) == 1


def test_a_stack_as_documents_keep_it():
    def here():
        return walk(sys._getframe(), BASES)

    frames = frame_dicts(here(), LineResolver())
    assert frames[-1]["function"].endswith("here")
    assert frames[-1]["source"] == "return walk(sys._getframe(), BASES)"
    assert frames[-1]["context_before"][-1].strip() == "def here():"
    assert frames[-2]["source"] == "frames = frame_dicts(here(), LineResolver())"


def test_a_traceback_as_documents_keep_it():
    def fail():
        raise ValueError("x")

    try:
        fail()
    except ValueError as error:
        frames = frame_dicts_of_traceback([error.__traceback__], LineResolver(), context=0)
    assert [frame["source"] for frame in frames] == ["fail()"]
    assert "context_before" not in frames[0]
