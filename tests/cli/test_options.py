import pytest

from llmarch_cli.cli import options
from llmarch_cli.errors import InputError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        ("131072", 131_072),
        ("131_072", 131_072),
        ("1_048_576", 1_048_576),
        ("128k", 131_072),
        ("128K", 131_072),
        ("1M", 1_048_576),
        ("10m", 10_485_760),
        ("1_024k", 1_048_576),
    ],
)
def test_tokens(text: str, expected: int) -> None:
    assert options.tokens(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0k",
        "-1",
        "+1",
        "12q",
        "1.5k",
        "1e6",
        "128 k",
        " 1",
        "k",
        "1kk",
        "1_0",
        "_1",
        "1,024",
        "128kb",
        "١",
        "9" * 99,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="131072, 131_072, 128k or 1M"):
        options.tokens(text)


def test_keys() -> None:
    assert options.keys(None) == []
    assert options.keys("params, kv_cache_bytes,") == ["params", "kv_cache_bytes"]
    with pytest.raises(InputError, match="is empty"):
        options.keys(" , ")


def test_several_contexts() -> None:
    assert options.several_tokens("8k, 32k") == [8192, 32_768]
    with pytest.raises(InputError, match="llmarch kvcache` takes several"):
        options.tokens("8k,32k")
    with pytest.raises(InputError, match="not ''"):
        options.several_tokens("8k,")


def test_completion() -> None:
    assert options.complete_model("deepseek-v2") == ["deepseek-v2", "deepseek-v2-lite"]
    assert options.complete_column("mtp") == ["mtp_params"]
    assert options.complete_column("params,mtp") == ["params,mtp_params"]
