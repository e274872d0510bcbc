"""Files of code have the same name on every machine, and the application's own are told from libraries."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import flask
import pytest
from flask import Flask

from fmd_otel import recorder
from fmd_otel.places import Places

APP = "/srv/shop"


@pytest.fixture
def module(monkeypatch):
    """Make a module that an application may come from."""

    def make(name, file, *, package=False):
        found = ModuleType(name)
        found.__file__ = file
        if package:
            found.__path__ = [str(Path(file).parent)]
        monkeypatch.setitem(sys.modules, name, found)
        return found

    return make


def places(name, root):
    return Places(Flask(name, root_path=root))


def test_a_package(module):
    module("shop", f"{APP}/shop/__init__.py", package=True)
    found = places("shop.web", f"{APP}/shop")
    assert found.of(f"{APP}/shop/web/cart.py") == ("shop/web/cart.py", True)
    assert found.of(f"{APP}/jobs/mail.py") == ("jobs/mail.py", True)


def test_a_module(module):
    module("wsgi", f"{APP}/wsgi.py")
    found = places("wsgi", APP)
    assert found.of(f"{APP}/wsgi.py") == ("wsgi.py", True)
    assert found.of(f"{APP}/models.py") == ("models.py", True)


def test_an_application_that_is_installed_like_a_library(module):
    site = "/venv/lib/python3.11/site-packages"
    module("shop", f"{site}/shop/__init__.py", package=True)
    found = places("shop", f"{site}/shop")
    assert found.of(f"{site}/shop/cart.py") == ("shop/cart.py", True)
    assert found.of(f"{site}/shopping/cart.py") == ("shopping/cart.py", False)


def test_a_virtual_environment_inside_of_the_application(module):
    module("wsgi", f"{APP}/wsgi.py")
    found = places("wsgi", APP)
    assert found.of(f"{APP}/.venv/lib/python3.12/site-packages/sqlalchemy/orm/query.py") == (
        "sqlalchemy/orm/query.py",
        False,
    )


def test_libraries_the_standard_library_and_ourselves():
    found = Places(Flask("shop"))
    assert found.of(flask.app.__file__) == ("flask/app.py", False)
    assert found.of(json.decoder.__file__) == ("json/decoder.py", False)
    assert found.of(recorder.__file__) == ("fmd_otel/recorder.py", False)


@pytest.mark.parametrize("filename", ["<string>", "<frozen importlib._bootstrap>", ""])
def test_what_is_no_file_is_nobodys(filename):
    assert Places().of(filename) == (filename, False)


def test_where_it_stood_is_not_told_of_other_code():
    file, in_app = Places(Flask("shop", root_path=APP)).of("/home/anna/secret/project/lib/tool.py")
    assert (file, in_app) == ("project/lib/tool.py", True)


def test_made_up_names_are_forgotten_again(monkeypatch):
    monkeypatch.setattr("fmd_otel.places._MOST_REMEMBERED", 10)
    found = Places()
    for number in range(100):
        found.of(f"<made up {number}>")
    assert len(found._remembered) <= 10
