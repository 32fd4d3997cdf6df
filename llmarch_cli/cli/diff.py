"""`llmarch diff`: what differs between two models, and what each change does."""

from __future__ import annotations

from typing import Annotated

import typer

from llmarch_cli.cli import options, output

EXAMPLES = (
    "llmarch diff deepseek-v3 kimi-k2",
    "llmarch diff llama3.1-8b qwen3-8b --ctx 32k --format markdown",
    "llmarch diff deepseek-v3 deepseek-r1 --exit-code",
)


def diff(
    before: options.Model,
    after: Annotated[
        str,
        typer.Argument(
            metavar="OTHER", help="The other model.", autocompletion=options.complete_model, show_default=False
        ),
    ],
    context: options.Context = options.DEFAULT_CONTEXT,
    batch: options.Batch = 1,
    kv_dtype: options.KvDtype = "bf16",
    engine: options.Engine = None,
    file_format: options.Format = "table",
    exact: options.Exact = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 where the architectures differ, for scripts.")
    ] = False,
) -> None:
    """What differs between two models, and what each change does to parameters, KV cache and FLOPs.

    Variants are compared by what they are, not by name, and layouts layer by layer. The weightiest change comes first;
    all of them add up exactly to the whole difference.
    """
    output.check(file_format)
    n_tokens = options.tokens(context)
    from llmarch_cli import api
    from llmarch_cli.report.differences import differences

    difference = api.diff(before, after, n_tokens, batch, options.kv_dtype(kv_dtype), options.engine(engine))
    output.show(differences(difference), file_format, exact)
    if exit_code and difference:
        raise typer.Exit(1)
