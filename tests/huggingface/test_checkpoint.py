"""Checkpoints that transformers itself saves, and such as are published, load with every value in its place."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from families import FAMILIES
from pairs import Case, Pair, deviation, pair
from safetensors.torch import load_file, save_file
from torch import Tensor
from weights import UNNAMED

import llmarch_cli as llmarch
from llmarch_cli.components.ffn import MixtureOfExperts
from llmarch_cli.huggingface import checkpoint
from llmarch_cli.modules.builder import Model
from llmarch_cli.report.checkpoint import reconciled

SPARSE = Case("qwen3_moe", 0)
CASES = [Case(name, len(family.variants) - 1) for name, family in FAMILIES.items() if name not in UNNAMED]


def assert_same(loaded: Model, models: Pair) -> None:
    """Every value in its place, and hence the reference's logits."""
    assert_same_values(loaded, models)
    assert deviation(loaded(models.tokens), models.logits) < 1e-5


def assert_same_values(loaded: Model, models: Pair) -> None:
    expected = models.ours.state_dict()
    state = loaded.state_dict()
    assert state.keys() == expected.keys()
    for name, values in state.items():
        torch.testing.assert_close(values, expected[name], rtol=0, atol=0, msg=name)


@pytest.mark.parametrize("shards", ["single", "sharded"])
@pytest.mark.parametrize("case", CASES, ids=str)
@torch.no_grad()
def test_what_transformers_saves(case: Case, shards: str, tmp_path: Path) -> None:
    models = pair(case)
    models.theirs.save_pretrained(tmp_path, max_shard_size="5KB" if shards == "sharded" else "1GB")
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) == (shards == "sharded")
    assert_same(llmarch.load_checkpoint(models.ours.spec, tmp_path), models)
    found = llmarch.reconcile(models.ours.spec, tmp_path)
    assert found.ok, found.plan.faults


@cache
def _saved(case: Case) -> dict[str, Tensor]:
    with TemporaryDirectory() as directory:
        pair(case).theirs.save_pretrained(directory)
        return load_file(Path(directory) / "model.safetensors")


def published(case: Case) -> dict[str, Tensor]:
    """Their weights by the names that a checkpoint has."""
    return {name: values.clone() for name, values in _saved(case).items()}


def save(tensors: dict[str, Tensor], directory: Path) -> None:
    save_file({name: values.contiguous() for name, values in tensors.items()}, directory / "model.safetensors")


@torch.no_grad()
def test_experts_apart_as_mixtral_publishes_them(tmp_path: Path) -> None:
    models = pair(Case("mixtral", 0))
    tensors = published(Case("mixtral", 0))
    assert any(".block_sparse_moe.experts.1.w3.weight" in name for name in tensors)
    save(tensors, tmp_path)
    assert_same(llmarch.load_checkpoint(models.ours.spec, tmp_path), models)


@pytest.mark.parametrize("prefix", ["language_model.", "model.language_model.", "model.text_model."])
@torch.no_grad()
def test_the_text_decoder_of_a_multimodal_checkpoint(prefix: str, tmp_path: Path) -> None:
    models = pair(Case("gemma3_text", 0))
    tensors = {}
    for name, values in published(Case("gemma3_text", 0)).items():
        if name != "lm_head.weight":
            inner = name if prefix == "language_model." else name.removeprefix("model.")
            tensors[f"{prefix}{inner}"] = values
    tensors["vision_tower.vision_model.post_layernorm.weight"] = torch.ones(7)
    tensors["multi_modal_projector.mm_soft_emb_norm.weight"] = torch.ones(5)
    tensors["visual.blocks.0.norm1.weight"] = torch.ones(3)
    tensors["model.visual.merger.mlp.0.bias"] = torch.ones(2)
    tensors["model.connector.modality_projection.proj.weight"] = torch.ones(4)
    tensors["image_newline"] = torch.ones(6)
    tensors["model.audio_tower.conv1.bias"] = torch.ones(9)
    save(tensors, tmp_path)
    assert_same(llmarch.load_checkpoint(models.ours.spec, tmp_path), models)
    stored = llmarch.reconcile(models.ours.spec, tmp_path).stored
    assert stored["vision tower and projector"] == (27, 6)
    assert stored["audio tower"] == (9, 1)


@torch.no_grad()
def test_names_without_a_prefix_and_stored_masks(tmp_path: Path) -> None:
    models = pair(Case("gpt2", 0))
    tensors = {
        name.removeprefix("transformer."): values
        for name, values in published(Case("gpt2", 0)).items()
        if name != "lm_head.weight"
    }
    tensors["h.0.attn.bias"] = torch.ones(1, 1, 6, 6)
    save(tensors, tmp_path)
    assert_same(llmarch.load_checkpoint(models.ours.spec, tmp_path), models)
    assert llmarch.reconcile(models.ours.spec, tmp_path).stored["causal masks"] == (36, 1)


@torch.no_grad()
def test_a_tied_head_that_is_stored_again(tmp_path: Path) -> None:
    case = next(case for case in CASES if pair(case).ours.spec.tie_embeddings)
    models, tensors = pair(case), published(case)
    tensors["lm_head.weight"] = next(v for k, v in tensors.items() if "embed_tokens" in k or "wte" in k).clone()
    save(tensors, tmp_path)
    assert_same(llmarch.load_checkpoint(models.ours.spec, tmp_path), models)
    head = models.ours.head.lm_head.weight.numel()
    assert llmarch.reconcile(models.ours.spec, tmp_path).stored["second copy of the tied head"] == (head, 1)


@torch.no_grad()
def test_convolutions_apart_as_published(tmp_path: Path) -> None:
    """transformers joins the three of OLMo Hybrid in this order, and saves thirds of them."""
    case = Case("olmo_hybrid", 0)
    models, tensors = pair(case), published(case)
    layers = [name for name in tensors if name.endswith("q_conv1d.weight")]
    assert layers
    for name in layers:
        names = [name.replace("q_conv1d", f"{part}_conv1d") for part in "qkv"]
        widths = [len(tensors[each.replace("_conv1d", "_proj")]) for each in names]
        assert len(set(widths)) > 1
        parts = torch.cat([tensors[each] for each in names]).split(widths)
        tensors |= dict(zip(names, parts, strict=True))
    save(tensors, tmp_path)
    assert_same(llmarch.load_checkpoint(models.ours.spec, tmp_path), models)
    spec, first = models.ours.spec, layers[0]
    save({name: values for name, values in tensors.items() if name != first}, tmp_path)
    conv = models.ours.state_dict()[f"layers.{first.split('.')[2]}.attention.conv.weight"]
    lacks = f"lacks {len(tensors[first])} of {len(conv)} rows"
    assert [line for line in llmarch.reconcile(spec, tmp_path).plan.faults if lacks in line]
    fused = torch.cat([tensors[first.replace("q_conv1d", f"{part}_conv1d")] for part in "qkv"])
    save({**tensors, first.replace("q_conv1d", "conv1d"): fused}, tmp_path)
    assert [line for line in llmarch.reconcile(spec, tmp_path).plan.faults if "stored more than once" in line]


@torch.no_grad()
def test_a_prediction_block_with_layers_of_its_own(tmp_path: Path) -> None:
    """As Qwen3-Next is published: `mtp.layers.0`, and four tensors around it."""
    case = Case("qwen3_next", 1)
    models, tensors = pair(case), published(case)
    data = models.ours.spec.model_dump(exclude_defaults=True)
    spec = llmarch.ModelSpec.model_validate({**data, "n_mtp_blocks": 1})
    last = f"model.layers.{spec.n_layers - 1}."
    tensors |= {f"mtp.layers.0.{n.removeprefix(last)}": v + 1 for n, v in tensors.items() if n.startswith(last)}
    generator = torch.Generator().manual_seed(0)
    for name in ("pre_fc_norm_embedding", "pre_fc_norm_hidden", "norm"):
        tensors[f"mtp.{name}.weight"] = torch.randn(spec.d_model, generator=generator)
    tensors["mtp.fc.weight"] = torch.randn(spec.d_model, 2 * spec.d_model, generator=generator)
    save(tensors, tmp_path)
    loaded = llmarch.load_checkpoint(spec, tmp_path)
    state = loaded.state_dict()
    for ours, theirs in (
        ("junction.embedding_norm", "pre_fc_norm_embedding"),
        ("junction.hidden_norm", "pre_fc_norm_hidden"),
        ("junction.final_norm", "norm"),
        ("junction.proj", "fc"),
    ):
        assert torch.equal(state[f"mtp.0.{ours}.weight"], tensors[f"mtp.{theirs}.weight"])
    above = f"layers.{spec.n_layers - 1}."
    for name in (name for name in state if name.startswith(above)):
        assert torch.equal(state[name.replace(above, "mtp.0.block.")], state[name] + 1), name
    assert llmarch.reconcile(spec, tmp_path).ok


@torch.no_grad()
def test_keys_that_no_layer_uses(tmp_path: Path) -> None:
    """Of layers that read those of another one: counted apart, and an error elsewhere."""
    case = Case("gemma4_text", 0)
    models, tensors = pair(case), published(case)
    own = {int(name.split(".")[2]) for name in tensors if name.endswith("k_proj.weight")}
    reader = next(layer for layer in range(models.ours.spec.n_layers) if layer not in own)
    for part in ("k_proj", "v_proj", "k_norm"):
        tensors[f"model.layers.{reader}.self_attn.{part}.weight"] = torch.ones(3)
    save(tensors, tmp_path)
    assert_same_values(llmarch.load_checkpoint(models.ours.spec, tmp_path), models)
    assert llmarch.reconcile(models.ours.spec, tmp_path).stored["keys and values that no layer uses"] == (9, 3)
    tensors[f"model.layers.{min(own)}.self_attn.v_norm.weight"] = torch.ones(3)
    save(tensors, tmp_path)
    assert not llmarch.reconcile(models.ours.spec, tmp_path).ok


@torch.no_grad()
def test_a_table_of_numbers_must_hold_whole_numbers(tmp_path: Path) -> None:
    case = Case("deepseek_v4", 0)
    models, tensors = pair(case), published(case)
    (table,) = (name for name in tensors if name.endswith("tid2eid"))
    save({**tensors, table: tensors[table].float()}, tmp_path)
    assert len(llmarch.reconcile(models.ours.spec, tmp_path).plan.unreadable) == 1
    save(tensors, tmp_path)
    stored = llmarch.reconcile(models.ours.spec, tmp_path).stored
    assert stored["stored factors and tables"] == (tensors[table].numel(), 1)


@torch.no_grad()
def test_prediction_blocks_and_their_copies(tmp_path: Path) -> None:
    """Stored as one more layer, with names of their own around it and the model's embedding and head once more."""
    models = pair(Case("deepseek_v3", 0))
    data = models.ours.spec.model_dump(exclude_defaults=True)
    spec = llmarch.ModelSpec.model_validate({**data, "n_mtp_blocks": 1})
    last = f"model.layers.{spec.n_layers - 1}."
    tensors = published(Case("deepseek_v3", 0))
    block = f"model.layers.{spec.n_layers}."
    tensors |= {block + name.removeprefix(last): values + 1 for name, values in tensors.items() if last in name}
    generator = torch.Generator().manual_seed(0)
    for name in ("enorm", "hnorm", "shared_head.norm"):
        tensors[f"{block}{name}.weight"] = torch.randn(spec.d_model, generator=generator)
    tensors[f"{block}eh_proj.weight"] = torch.randn(spec.d_model, 2 * spec.d_model, generator=generator)
    tensors[f"{block}embed_tokens.weight"] = tensors["model.embed_tokens.weight"].clone()
    tensors[f"{block}shared_head.head.weight"] = tensors["lm_head.weight"].clone()
    save(tensors, tmp_path)

    loaded = llmarch.load_checkpoint(spec, tmp_path)
    assert torch.equal(loaded.get_parameter("mtp.0.junction.proj.weight"), tensors[f"{block}eh_proj.weight"])
    assert torch.equal(loaded.get_parameter("mtp.0.junction.embedding_norm.weight"), tensors[f"{block}enorm.weight"])
    assert torch.equal(loaded.get_parameter("mtp.0.junction.hidden_norm.weight"), tensors[f"{block}hnorm.weight"])
    ours = f"layers.{spec.n_layers - 1}.attention.o_proj.weight"
    assert torch.equal(loaded.get_parameter("mtp.0.block.attention.o_proj.weight"), models.ours.get_parameter(ours) + 1)
    found = llmarch.reconcile(spec, tmp_path)
    assert found.ok
    assert found.stored["multi-token prediction"][0] == llmarch.profile(spec, engine="closed-form").mtp_params
    copies = 2 * spec.vocab_size * spec.d_model
    assert found.stored["copies of embedding and head in multi-token prediction"] == (copies, 2)


@pytest.mark.parametrize("family", ["deepseek_v3", "glm4_moe"])
@pytest.mark.parametrize("n_blocks", [1, 2])
@torch.no_grad()
def test_absent_prediction_blocks(family: str, n_blocks: int, tmp_path: Path) -> None:
    """transformers saves none: the rest loads, and a note says so. A block that is there in part is an error."""
    models = pair(Case(family, 0))
    data = models.ours.spec.model_dump(exclude_defaults=True)
    spec = llmarch.ModelSpec.model_validate({**data, "n_mtp_blocks": n_blocks})
    tensors = published(Case(family, 0))
    save(tensors, tmp_path)
    loaded = llmarch.load_checkpoint(spec, tmp_path)
    assert loaded.spec.n_mtp_blocks == 0
    assert_same(loaded, models)
    found = llmarch.reconcile(spec, tmp_path)
    assert found.ok
    blocks = "block is" if n_blocks == 1 else "blocks (2) are"
    note = f"The multi-token-prediction {blocks} absent from the checkpoint and not loaded."
    assert found.plan.notes == (note,)
    assert reconciled(found)[0].notes[1:] == (note,)

    norm = f"model.layers.{spec.n_layers}.enorm.weight"
    save({**tensors, norm: torch.ones(spec.d_model)}, tmp_path)
    with pytest.raises(llmarch.InputError, match=r"mtp\.0\.junction\.proj\.weight .* is missing"):
        llmarch.load_checkpoint(spec, tmp_path)
    assert not llmarch.reconcile(spec, tmp_path).plan.notes
    del tensors["model.norm.weight"]
    save(tensors, tmp_path)
    with pytest.raises(llmarch.InputError, match=r"final_norm\.norm\.weight .* is missing\n  use"):
        llmarch.load_checkpoint(spec, tmp_path)


@torch.no_grad()
def test_8_bit_blocks(tmp_path: Path) -> None:
    """Matrices in float8 with a scale for each block load as the products; what is not packed stays as it is."""
    models = pair(Case("deepseek_v3", 0))
    tensors, expected = {}, {}
    for name, values in published(Case("deepseek_v3", 0)).items():
        if name.endswith("proj.weight") and values.dim() == 2:
            scales = torch.full([-(-width // 128) for width in values.shape], 0.03)
            tensors[name] = (values / 0.03).to(torch.float8_e4m3fn)
            tensors[f"{name}_scale_inv"] = scales
            expected[name] = tensors[name].float() * 0.03
        else:
            tensors[name] = values
    save(tensors, tmp_path)
    loaded = llmarch.load_checkpoint(models.ours.spec, tmp_path)
    name = "model.layers.0.self_attn.o_proj.weight"
    torch.testing.assert_close(loaded.get_parameter("layers.0.attention.o_proj.weight"), expected[name])
    assert llmarch.reconcile(models.ours.spec, tmp_path).ok


@torch.no_grad()
def test_a_dtype_may_be_chosen_and_is_else_the_stored_one(tmp_path: Path) -> None:
    models = pair(Case("llama", 0))
    save({name: values.to(torch.bfloat16) for name, values in published(Case("llama", 0)).items()}, tmp_path)
    assert {p.dtype for p in llmarch.load_checkpoint(models.ours.spec, tmp_path).parameters()} == {torch.bfloat16}
    wide = llmarch.load_checkpoint(models.ours.spec, tmp_path, dtype=torch.float32)
    assert {p.dtype for p in wide.parameters()} == {torch.float32}


class TestRefusals:
    """Nothing is half-loaded: every fault is found before a weight is read, and says what to do."""

    @pytest.fixture
    def models(self) -> Pair:
        return pair(SPARSE)

    def refusal(self, models: Pair, tensors: dict[str, Tensor], directory: Path) -> str:
        save(tensors, directory)
        with pytest.raises(llmarch.InputError) as error:
            llmarch.load_checkpoint(models.ours.spec, directory)
        assert not llmarch.reconcile(models.ours.spec, directory).ok
        return str(error.value)

    def test_a_missing_tensor(self, models: Pair, tmp_path: Path) -> None:
        tensors = published(SPARSE)
        del tensors["model.norm.weight"]
        assert "final_norm.norm.weight" in self.refusal(models, tensors, tmp_path)

    def test_one_left_over(self, models: Pair, tmp_path: Path) -> None:
        tensors = {**published(SPARSE), "model.layers.0.self_attn.o_proj.bias": torch.ones(models.ours.spec.d_model)}
        assert "'model.layers.0.self_attn.o_proj.bias'" in self.refusal(models, tensors, tmp_path)

    def test_a_layer_too_many(self, models: Pair, tmp_path: Path) -> None:
        tensors = {**published(SPARSE), "model.layers.99.self_attn.q_norm.weight": torch.ones(4)}
        assert "does not belong to" in self.refusal(models, tensors, tmp_path)

    def test_another_shape(self, models: Pair, tmp_path: Path) -> None:
        tensors = published(SPARSE)
        tensors["model.norm.weight"] = torch.ones(3)
        expected = f"[3] should be [{models.ours.spec.d_model}], to fill final_norm.norm.weight"
        assert expected in self.refusal(models, tensors, tmp_path)

    def test_a_missing_expert(self, models: Pair, tmp_path: Path) -> None:
        tensors = published(SPARSE)
        dropped = next(name for name in tensors if ".experts.1.down_proj" in name)
        del tensors[dropped]
        moe = models.ours.spec.ffn
        assert isinstance(moe, MixtureOfExperts)
        expected = f"lacks 1 of {moe.n_experts} experts, the first is expert 1"
        assert expected in self.refusal(models, tensors, tmp_path)

    def test_pickles(self, models: Pair, tmp_path: Path) -> None:
        (tmp_path / "pytorch_model.bin").write_bytes(b"anything")
        with pytest.raises(llmarch.InputError, match="is a pickle"):
            llmarch.load_checkpoint(models.ours.spec, tmp_path)

    def test_headers_without_data(self, models: Pair, tmp_path: Path) -> None:
        save(published(SPARSE), tmp_path)
        file = tmp_path / "model.safetensors"
        content = file.read_bytes()
        file.write_bytes(content[: 8 + int.from_bytes(content[:8], "little")])
        with pytest.raises(llmarch.InputError, match="no data"):
            llmarch.load_checkpoint(models.ours.spec, tmp_path)
        assert llmarch.reconcile(models.ours.spec, tmp_path).ok


PEAK = """
import resource, sys
import llmarch_cli as llmarch
spec = llmarch.load(sys.argv[1])
model = llmarch.load_checkpoint(spec, sys.argv[2]) if sys.argv[2:] else llmarch.build(spec)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_kib(*arguments: Path) -> int:
    run = subprocess.run([sys.executable, "-c", PEAK, *map(str, arguments)], capture_output=True, text=True, check=True)
    return int(run.stdout) // (1024 if sys.platform == "darwin" else 1)


def test_memory_is_that_of_the_model_and_one_tensor(tmp_path: Path) -> None:
    """Loading peaks little higher than building, though the whole file passes through the memory it is mapped to."""
    spec_file = tmp_path / "wide.yaml"
    spec_file.write_text(
        """
        name: wide
        d_model: 1024
        n_layers: 5
        vocab_size: 1000
        attention: {kind: gqa, n_heads: 8, n_kv_heads: 8, head_dim: 128, rope_theta: 10_000}
        ffn: {kind: dense, d_ff: 2816}
        """
    )
    model: Any = llmarch.build(llmarch.load(spec_file), device="meta")
    names = {"attention.": "self_attn.", "ffn.": "mlp.", "norms.attention_pre": "input_layernorm"}
    names |= {"norms.ffn_pre": "post_attention_layernorm", "embedding.tokens": "embed_tokens"}
    names |= {"final_norm.norm": "norm", "head.lm_head": "lm_head"}
    tensors = {}
    for name, values in model.state_dict().items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        tensors[name] = torch.ones(values.shape)
    save(tensors, tmp_path)
    model_kib = sum(values.nbytes for values in tensors.values()) // 1024
    assert model_kib > 230 * 1024
    extra = peak_kib(spec_file, tmp_path) - peak_kib(spec_file)
    assert extra < (checkpoint.MAX_MAPPED_BYTES >> 10) + 0.2 * model_kib
