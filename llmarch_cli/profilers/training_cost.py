"""What training a model takes in all, in closed form and, if asked for, measured."""

from __future__ import annotations

from dataclasses import dataclass

from llmarch_cli.profilers.profile import BACKWARD, Source, forward_flops
from llmarch_cli.profilers.training import Activations, Stored, Training, TrainingFlops, stored, trained_params
from llmarch_cli.specs.spec import ModelSpec


@dataclass(frozen=True)
class TrainingCost:
    """What training `spec` takes.

    Attributes:
        engine: "measured" if the modules were run; then they train the same tensors as the closed form says.
        params: the model's own parameters.
        trained_params: the values that are trained.
        stored: bytes of parameters, gradients and optimizer states.
        activations: None if the modules were not run.
        flops: of one sequence; None if it is not counted.
    """

    spec: ModelSpec
    training: Training
    engine: Source
    params: int
    trained_params: int
    stored: tuple[Stored, ...]
    activations: Activations | None
    flops: TrainingFlops | None

    @property
    def stored_bytes(self) -> int:
        """Bytes that one device stores for the whole training."""
        return sum(each.per_device for each in self.stored)

    @property
    def all_params(self) -> int:
        """All parameters, those of adapters too."""
        return self.params + (0 if self.training.lora is None else self.trained_params)


def training_cost(spec: ModelSpec, training: Training, engine: Source) -> TrainingCost:
    """Price a training. Only "measured" counts activations.

    Raises InputError for an impossible training, and CheckError if the engines disagree on what is trained.
    """
    kept = stored(spec, training)
    activations = None
    if engine == "measured":
        from llmarch_cli.profilers import activations as measuring

        activations = measuring.activations(spec, training)
    return TrainingCost(
        spec,
        training,
        engine,
        trained_params(spec, None),
        trained_params(spec, training.lora),
        tuple(kept),
        activations,
        _flops(spec, training, engine),
    )


def _flops(spec: ModelSpec, training: Training, engine: Source) -> TrainingFlops | None:
    """FLOPs of one sequence; None for adapters, which need fewer."""
    if training.lora is not None:
        return None
    forward = forward_flops(spec, 0, training.n_tokens, engine, all_logits=True)
    return TrainingFlops(forward, BACKWARD * forward)
