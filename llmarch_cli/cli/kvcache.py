"""`llmarch kvcache`: what models keep of every token in view."""

from __future__ import annotations

from llmarch_cli.cli import options, output, plots

EXAMPLES = (
    "llmarch kvcache",
    "llmarch kvcache gpt-oss-120b gemma3-27b --ctx 8k --ctx 128k",
    "llmarch kvcache gemma3-27b --set attention.variants.local.window=512 --ctx 8k --ctx 128k",
    "llmarch kvcache gpt-oss-120b gemma3-27b deepseek-v3 --plot",
    "llmarch kvcache --batch 16 --kv-dtype fp8 --sort=-kv_cache_bytes",
)


def kvcache(
    models: options.AnyModels = None,
    contexts: options.Contexts = None,
    batch: options.Batch = 1,
    kv_dtype: options.KvDtype = "bf16",
    engine: options.Engine = None,
    changes: options.Changes = None,
    sort: options.Sort = None,
    columns: options.Columns = None,
    file_format: options.Format = "table",
    exact: options.Exact = False,
    plot: plots.Plot = None,
) -> None:
    """KV-cache bytes of all models, or of some: the fixed part and what each token adds, the smallest first.

    With --set each model is there as it is, and as changed.
    """
    output.check(file_format)
    n_tokens = [options.tokens(context) for context in contexts or [options.DEFAULT_CONTEXT]]
    keys = options.keys(columns)
    assignments = options.changes(changes)
    from llmarch_cli import api
    from llmarch_cli.specs.loading import names

    plots.check(plot, file_format, "cache", len(set(models or names())) * (2 if assignments else 1))
    dtype = options.kv_dtype(kv_dtype)
    table = api.kv_cache(
        models or None,
        n_tokens,
        batch,
        dtype,
        options.engine(engine),
        keys,
        sort,
        assignments,
        output.tracking("profiling"),
    )
    output.show([table], file_format, exact)
    plots.show(plot, lambda: api.plot("cache", models or None, n_tokens, batch, dtype, assignments))
