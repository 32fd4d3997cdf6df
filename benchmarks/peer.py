"""The same two models built and counted by transformers with torch's FlopCounterMode: what one does without this tool.

Prints parameters and FLOPs of one token, as JSON. Run in a process of its own, so that its imports are timed too.
"""

import json

import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

# Looping over experts reads values, which meta has not; Llama 4's class runs all experts in one product instead.
EXPERTS = {"deepseek-v3": {"experts_implementation": "grouped_mm"}}


def configs() -> dict[str, transformers.PreTrainedConfig]:
    """Both architectures, in transformers' own terms."""
    return {
        "deepseek-v3": transformers.DeepseekV3Config(),
        "llama4-maverick": transformers.Llama4TextConfig(
            hidden_size=5120,
            intermediate_size=8192,
            intermediate_size_mlp=16384,
            interleave_moe_layer_step=2,
            num_attention_heads=40,
            num_key_value_heads=8,
            num_hidden_layers=48,
            num_local_experts=128,
            use_qk_norm=False,
            vocab_size=202048,
        ),
    }


def main() -> None:
    counted = {}
    for name, config in configs().items():
        with torch.device("meta"):
            model = transformers.AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
                config, dtype=torch.bfloat16, attn_implementation="eager", **EXPERTS.get(name, {})
            )
            tokens = torch.zeros((1, 1), dtype=torch.int64)
            mask = torch.zeros(
                (1, 1, 1, 1), dtype=torch.bfloat16
            )  # ready-made: making one reads values, which meta lacks
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                model(tokens, attention_mask=mask, use_cache=False)
        params = sum(parameter.numel() for parameter in model.parameters())
        counted[name] = {"params": params, "flops_per_token": counter.get_total_flops()}
    print(json.dumps(counted))


if __name__ == "__main__":
    main()
