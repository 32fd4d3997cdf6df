"""Check a spec's metrics against every independent source: `llmarch verify`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from llmarch_cli.errors import CheckError
from llmarch_cli.profilers.certificates import BATCHES, LONG_CONTEXT, contexts_of, items_by_context
from llmarch_cli.profilers.closed_form import component_cost
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import Engine, Profile, costs_of, forward_flops, profile
from llmarch_cli.specs.spec import ModelSpec

MOST_LISTED = 20  # contexts in a verdict
_ENGINES = "both engines"
_PROMPTS = "prompts"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of one check of one model; `agrees` is None if the check does not apply."""

    model: str
    check: str
    agrees: bool | None
    detail: str


def verify(spec: ModelSpec) -> Iterator[Verdict]:
    """Compare the two engines, and our numbers with the published ones, torch's FLOP counter and fvcore.

    Raises InputError for a spec with too many components for the two counters.
    """
    from llmarch_cli.profilers import witnesses

    witnesses.require_countable(spec)
    yield _engines(spec)
    yield _prompts(spec)
    yield from _published(spec)
    for check in ("torch", "fvcore"):
        yield _counter(spec, check)


def _engines(spec: ModelSpec) -> Verdict:
    items = items_by_context(spec)
    try:
        for batch in BATCHES:
            for context in sorted(items):
                costs_of(spec, items[context], Workload(context, batch), "measured")
    except CheckError as error:
        return Verdict(spec.id, _ENGINES, False, str(error))
    contexts = ", ".join(f"{context:,}" for context in sorted(items))
    if len(items) > MOST_LISTED:
        contexts = f"{min(items):,} to {max(items):,} ({len(items):,} of them)"
    return Verdict(spec.id, _ENGINES, True, f"equal at contexts {contexts}, each with batch 1 and 3")


def _prompts(spec: ModelSpec) -> Verdict:
    """Check the FLOPs of prompts that end on both sides of each window, alone and behind others."""
    edges = {edge for item in spec.inventory() for edge in contexts_of(item.component)}
    longest = max(edges, default=2)
    runs = sorted({(0, end) for end in (2, *edges, LONG_CONTEXT) if end > 1} | {(1, 3), (longest, 2 * longest + 3)})
    try:
        for start, end in runs:
            forward_flops(spec, start, end - start, "measured")
    except CheckError as error:
        return Verdict(spec.id, _PROMPTS, False, str(error))
    return Verdict(
        spec.id,
        _PROMPTS,
        True,
        f"both engines equal for {len(runs)} prompts of up to {max(end for _, end in runs):,} tokens",
    )


def held(spec: ModelSpec, workload: Workload, engine: Engine) -> tuple[Profile, list[Verdict]]:
    """A profile with the verdicts of the quick checks: the other engine and the published numbers.

    If the engines disagree, the verdict says so and the profile is the closed form's. Raises InputError as `profile`.
    """
    try:
        figures = profile(spec, workload, engine)
        said = []
        if figures.engine == "measured":
            said = [Verdict(spec.id, _ENGINES, True, f"equal at context {workload.context:,}")]
        elif figures.certificate is not None:
            said = [Verdict(spec.id, _ENGINES, True, f"equal on {figures.certificate.words}")]
    except CheckError as error:
        figures = profile(spec, workload, "closed-form")
        said = [Verdict(spec.id, _ENGINES, False, str(error))]
    return figures, [*said, *_published(spec)]


def _published(spec: ModelSpec) -> Iterator[Verdict]:
    """Check that our counts, by the authors' convention, are within one unit of their last printed digit."""
    stated = spec.published
    ours = profile(spec, Workload(1), "closed-form")
    if stated.params is not None:
        params = ours.params_by(stated.params_convention)
        yield _within_print(spec, "published params", params, stated.params, ours)
    if stated.active_params is not None:
        active = ours.active_by(stated.active_convention)
        yield _within_print(spec, "published active", active, stated.active_params, ours)
    if stated.params is None and stated.active_params is None:
        yield Verdict(spec.id, "published", None, "the authors publish no counts")


def _within_print(spec: ModelSpec, check: str, ours: int | None, stated: int, figures: Profile) -> Verdict:
    unit = 1
    while stated % (unit * 10) == 0:
        unit *= 10
    published = spec.published
    by = published.params_convention if check == "published params" else published.active_convention
    if ours is None:  # they count more than the text decoder
        agrees = figures.params < stated + unit
        detail = f"{figures.params:,} in the text decoder; published: {stated:,} {by.replace('_', ' ')}"
        return Verdict(spec.id, check, None if agrees else False, detail)
    detail = (
        f"{ours:,} is {100 * (ours - stated) / stated:+.2f} % from the published {stated:,} ({by.replace('_', ' ')})"
    )
    return Verdict(spec.id, check, abs(ours - stated) < unit, detail)


def _counter(spec: ModelSpec, check: str) -> Verdict:
    """Check the FLOPs of each component with an independent counter."""
    from llmarch_cli.profilers import witnesses

    name = "torch's counter" if check == "torch" else "fvcore"
    workload = Workload(LONG_CONTEXT)
    components, uncounted = 0, ""
    for item, module in witnesses.built_items(spec):
        ours = component_cost(item.component, spec, workload).flops_per_token
        try:
            if check == "torch":
                theirs = witnesses.torch_flops(module, spec, workload)
            else:
                theirs = sum(witnesses.fvcore_flops(module, spec, workload).values())
        except witnesses.CannotCountError as error:
            uncounted = f"; cannot count {item.label}: {error}"
            continue
        if ours != theirs:
            return Verdict(spec.id, name, False, f"{item.label}: {ours:,} FLOPs here, {theirs:,} by {name}")
        components += 1
    detail = f"equal FLOPs for {components} components at context {LONG_CONTEXT:,}{uncounted}"
    return Verdict(spec.id, name, True if components else None, detail)
