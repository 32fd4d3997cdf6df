"""`llmarch compare`: models side by side."""

from __future__ import annotations

from llmarch_cli.cli import options, output, plots

EXAMPLES = (
    "llmarch compare deepseek-v3 llama4-maverick",
    "llmarch compare gemma3-27b qwen3-32b my-model.yaml --ctx 32k --batch 8",
    "llmarch compare gemma3-27b --set attention.variants.local.window=512",
    "llmarch compare glm-4.5 kimi-k2 --columns params,active_params --format csv",
    "llmarch compare glm-4.5 kimi-k2 --plot flops.svg --plot-kind flops",
)


def compare(
    models: options.Models,
    context: options.Context = options.DEFAULT_CONTEXT,
    batch: options.Batch = 1,
    kv_dtype: options.KvDtype = "bf16",
    engine: options.Engine = None,
    changes: options.Changes = None,
    sort: options.Sort = None,
    columns: options.Columns = None,
    file_format: options.Format = "table",
    exact: options.Exact = False,
    save: options.Save = None,
    plot: plots.Plot = None,
    plot_kind: plots.Kind = None,
) -> None:
    """Models side by side: shape, layout, parameters, KV cache and FLOPs. What is equal in all is dim.

    Up to three stand in columns, more in rows. With --set each model stands beside itself as changed, with the
    difference of every figure.
    """
    output.check(file_format)
    kind = plots.kind(plot_kind, "cache", plot)
    n_tokens = options.tokens(context)
    keys = options.keys(columns)
    assignments = options.changes(changes)
    plots.check(plot, file_format, kind, len(set(models)) * (2 if assignments else 1))
    options.check_save(save, assignments, len(models))
    from llmarch_cli import api

    dtype = options.kv_dtype(kv_dtype)
    table = api.compare(models, n_tokens, batch, dtype, options.engine(engine), keys, sort, assignments)
    if save is not None:
        from llmarch_cli.models import load
        from llmarch_cli.specs.changes import changed

        output.save(changed(load(models[0]), assignments), save)
    output.show([table], file_format, exact)
    plots.show(plot, lambda: api.plot(kind, models, [n_tokens], batch, dtype, assignments))
