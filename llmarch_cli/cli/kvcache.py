"""`llmarch kvcache`: the KV caches of models."""

from __future__ import annotations

from llmarch_cli.cli import options, output, plots

EXAMPLES = (
    "llmarch kvcache",
    "llmarch kvcache gpt-oss-120b gemma3-27b --ctx 8k --ctx 128k",
    "llmarch kvcache gemma3-27b --set attention.variants.local.window=512 --ctx 8k --ctx 128k",
    "llmarch kvcache gpt-oss-120b gemma3-27b deepseek-v3 --plot",
    "llmarch kvcache --batch 16 --kv-dtype fp8 --sort=-kv_cache_bytes",
)


@options.workload(context="contexts")
def kvcache(
    asked: options.AskedAt,
    models: options.AnyModels = None,
    changes: options.Changes = None,
    sort: options.Sort = None,
    columns: options.Columns = None,
    file_format: options.Format = "table",
    exact: options.Exact = False,
    plot: plots.Plot = None,
    highlight: plots.Highlight = None,
) -> None:
    """Compare the KV caches of models, the smallest first.

    Shows bytes, the fixed part, and bytes per token. With --set, each model is followed by its changed copy.
    """
    keys = options.keys(columns)
    assignments = options.changes(changes)
    from llmarch_cli import api
    from llmarch_cli.report.columns import require
    from llmarch_cli.report.comparison import kv_caches

    plots.require(plot, file_format, "cache")
    require(keys, sort)
    profiles = api.profiles(models or None, changes=assignments, track=output.tracking("profiling"), **asked)
    output.show([kv_caches(profiles, keys, sort)], file_format, exact)
    plots.show(plot, "cache", profiles, highlight)
