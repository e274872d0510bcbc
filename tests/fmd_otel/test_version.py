"""Which version a request is counted under."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib import metadata
from types import ModuleType

import pytest

from fmd_otel.version import app_version, git_commit, package_version

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def repository(tmp_path):
    """A .git as git leaves it after one commit."""
    git = tmp_path / "project" / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "refs" / "heads" / "main").write_text(f"{COMMIT}\n")
    return git


@pytest.mark.parametrize("where", ["", ".."])
def test_the_commit_of_a_branch(repository, where):
    assert git_commit(repository / where) == COMMIT


def test_a_packed_ref(repository):
    (repository / "refs" / "heads" / "main").unlink()
    (repository / "packed-refs").write_text(
        f"# pack-refs with: peeled\n{'f' * 40} refs/heads/other\n{COMMIT} refs/heads/main\n^{'e' * 40}\n"
    )
    assert git_commit(repository) == COMMIT


def test_a_detached_head(repository):
    (repository / "HEAD").write_text(f"{COMMIT}\n")
    assert git_commit(repository) == COMMIT


def test_a_symbolic_branch(repository):
    (repository / "refs" / "heads" / "alias").write_text("ref: refs/heads/main\n")
    (repository / "HEAD").write_text("ref: refs/heads/alias\n")
    assert git_commit(repository) == COMMIT


def test_a_worktree(repository, tmp_path):
    private = repository / "worktrees" / "tree"
    private.mkdir(parents=True)
    (private / "HEAD").write_text("ref: refs/heads/main\n")
    (private / "commondir").write_text("../..\n")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / ".git").write_text(f"gitdir: {private}\n")
    assert git_commit(tree) == COMMIT
    assert git_commit(tree / ".git") == COMMIT


def test_sha256_repositories(repository):
    (repository / "refs" / "heads" / "main").write_text("ab" * 32)
    assert git_commit(repository) == "ab" * 32


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("HEAD", ""),
        ("HEAD", "ref: refs/heads/nowhere"),
        ("HEAD", "ref: HEAD"),
        ("refs/heads/main", "not a commit"),
        ("refs/heads/main", "0123"),
    ],
)
def test_what_git_did_not_write_is_an_error(repository, file, content):
    (repository / file).write_text(content)
    with pytest.raises(ValueError, match=r"commit|repository"):
        git_commit(repository)


def test_no_repository_at_all(tmp_path):
    with pytest.raises(ValueError, match="no git repository"):
        git_commit(tmp_path)
    (tmp_path / "file").write_text("text")
    with pytest.raises(ValueError, match="no git repository"):
        git_commit(tmp_path / "file")


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git. The remedy, as root: apt-get install git")
def test_a_repository_and_worktree_that_git_made(tmp_path):
    def git(*arguments, cwd=tmp_path):
        done = subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *arguments],
            cwd=cwd,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    git("init", "-q", ".")
    git("commit", "-q", "--allow-empty", "-m", "first")
    head = git("rev-parse", "HEAD")
    assert git_commit(tmp_path) == head
    git("worktree", "add", "-q", "--detach", "tree")
    git("commit", "-q", "--allow-empty", "-m", "second", cwd=tmp_path / "tree")
    assert git_commit(tmp_path / "tree") == git("rev-parse", "HEAD", cwd=tmp_path / "tree")
    git("pack-refs", "--all")
    assert git_commit(tmp_path) == head


def test_stronger_wins(repository):
    assert app_version("2.0", repository, "3.0", "flask") == "2.0"
    assert app_version(None, repository, "3.0", "flask") == COMMIT[:7]
    assert app_version(None, None, "3.0", "flask") == "3.0"
    assert app_version(None, None, None, "flask") == package_version("flask")
    assert app_version(None, None, None, "__main__") == "1.0"


def test_a_repository_that_is_not_there_is_told_and_passed_over(tmp_path, caplog):
    assert app_version(None, tmp_path / "nowhere", "3.0", "flask") == "3.0"
    assert "set APP_VERSION instead" in caplog.text


def test_the_package_an_installed_application_came_in():
    assert package_version("flask.app") == metadata.version("flask")


def test_a_module_of_the_same_name_as_somebody_elses_package_is_not_it(monkeypatch, tmp_path):
    stranger = ModuleType("flask")
    stranger.__file__ = str(tmp_path / "flask.py")
    monkeypatch.setitem(sys.modules, "flask", stranger)
    assert package_version("flask") is None


def test_a_module_that_belongs_to_no_package():
    assert package_version("no_such_module") is None
    assert package_version("__main__") is None
