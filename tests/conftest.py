"""Settings and fixtures of all tests: hypothesis draws the same examples in every run; `llmarch` runs a command."""

import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from runs import Result, Run

from llmarch_cli.api import report
from llmarch_cli.cli.app import run

settings.register_profile(
    "llmarch",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("llmarch")


@pytest.fixture(autouse=True, scope="session")
def _no_certificates_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMARCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def llmarch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`llmarch("show", "gpt2")`: its status and output, 100 columns wide, in closed form unless told otherwise."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LLMARCH_ENGINE", "closed-form")

    def command(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["llmarch", *arguments])
        try:
            status = run()
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 0
        return Result(status, *capsys.readouterr())

    return command


@pytest.fixture(scope="session")
def whole_page() -> str:
    """The report of all bundled models with all pictures: made once, since that takes as long as many tests."""
    return report(engine="closed-form")
