"""The bundled specs: complete, and right to the last digit.

Parameter totals are those of the published checkpoints (what a checkpoint stores beyond the model taken off: see
`docs/checkpoints.md`) and, for the families that transformers has, of its modules on the meta device; active parameters
and cache bytes at 131,072 tokens were worked out from the configs apart from this code.
"""

from typing import NamedTuple

import pytest

import llmarch_cli as llmarch
from llmarch_cli.profilers import certificates
from llmarch_cli.profilers.cost import Workload
from llmarch_cli.profilers.profile import certify
from llmarch_cli.specs.loading import specs_directory


class Figures(NamedTuple):
    params: int
    active_params: int
    active_params_without_input_embedding: int
    kv_cache_bytes: int
    mtp_params: int
    buffers: int


FIGURES = {
    "bloom-176b": Figures(176_247_271_424, 176_247_271_424, 176_247_271_424, 526_133_493_760, 0, 0),
    "apertus-8b": Figures(8_053_338_176, 8_053_338_176, 7_516_467_264, 17_179_869_184, 0, 0),
    "deepseek-r1": Figures(671_026_404_352, 37_552_282_624, 36_625_603_584, 9_210_691_584, 11_610_068_224, 14_848),
    "deepseek-v2": Figures(235_741_434_880, 21_375_800_320, 20_851_512_320, 9_059_696_640, 0, 0),
    "deepseek-v2-lite": Figures(15_706_484_224, 2_661_150_208, 2_451_435_008, 4_076_863_488, 0, 0),
    "deepseek-v3": Figures(671_026_404_352, 37_552_282_624, 36_625_603_584, 9_210_691_584, 11_610_068_224, 14_848),
    "deepseek-v3.1": Figures(671_026_404_352, 37_552_282_624, 36_625_603_584, 9_210_691_584, 11_610_068_224, 14_848),
    "deepseek-v3.2": Figures(671_877_929_216, 38_403_807_488, 37_477_128_448, 11_257_511_936, 11_624_027_648, 14_848),
    "deepseek-v4-flash": Figures(284_332_230_231, 13_799_622_231, 13_270_091_351, 907_411_456, 0, 2_337_280),
    "falcon-180b": Figures(178_557_088_768, 178_557_088_768, 178_557_088_768, 21_474_836_480, 0, 0),
    "falcon-40b": Figures(41_303_293_952, 41_303_293_952, 41_303_293_952, 16_106_127_360, 0, 0),
    "falcon-7b": Figures(6_921_720_704, 6_921_720_704, 6_921_720_704, 1_073_741_824, 0, 0),
    "deepseek-v4-pro": Figures(1_572_997_179_491, 49_779_058_787, 48_852_379_747, 1_298_792_448, 0, 2_349_312),
    "devstral-2-123b": Figures(125_025_988_608, 125_025_988_608, 123_415_375_872, 47_244_640_256, 0, 0),
    "exaone-4.0-32b": Figures(32_003_216_384, 32_003_216_384, 31_478_928_384, 9_395_240_960, 0, 0),
    "falcon-h1-0.5b": Figures(521_411_104, 521_411_104, 487_840_288, 2_415_919_104, 0, 0),
    "gemma-3n-e2b": Figures(4_435_182_688, 4_435_182_688, 2_421_916_768, 1_090_519_040, 0, 0),
    "gemma-3n-e4b": Figures(6_835_235_568, 6_835_235_568, 4_486_425_328, 1_090_519_040, 0, 0),
    "gemma-4-26b-a4b": Figures(25_233_141_760, 3_822_530_560, 3_822_530_560, 2_894_069_760, 0, 30),
    "gemma-4-31b": Figures(30_697_345_280, 30_697_345_280, 30_697_345_280, 11_576_279_040, 0, 60),
    "gemma-4-e2b": Figures(4_628_569_344, 4_628_569_344, 2_279_759_104, 811_597_824, 0, 35),
    "gemma-7b": Figures(8_537_680_896, 8_537_680_896, 8_537_680_896, 60_129_542_144, 0, 0),
    "gemma2-27b": Figures(27_227_128_320, 27_227_128_320, 27_227_128_320, 25_467_813_888, 0, 0),
    "gemma2-9b": Figures(9_241_705_984, 9_241_705_984, 9_241_705_984, 23_253_221_376, 0, 0),
    "gemma-4-e4b": Figures(7_463_013_376, 7_463_013_376, 4_644_441_088, 2_168_455_168, 0, 42),
    "gemma3-12b": Figures(11_766_034_176, 11_766_034_176, 11_766_034_176, 8_925_478_912, 0, 0),
    "gemma3-1b": Figures(999_885_952, 999_885_952, 999_885_952, 548_405_248, 0, 0),
    "gemma3-270m": Figures(268_098_176, 268_098_176, 268_098_176, 410_517_504, 0, 0),
    "gemma3-27b": Figures(27_009_346_304, 27_009_346_304, 27_009_346_304, 11_173_625_856, 0, 0),
    "gemma3-4b": Figures(3_880_263_168, 3_880_263_168, 3_880_263_168, 2_805_989_376, 0, 0),
    "glm-4.5": Figures(352_797_814_784, 33_632_251_904, 32_856_305_664, 49_392_123_904, 3_988_069_792, 14_240),
    "glm-4.5-air": Figures(106_852_245_504, 13_424_123_904, 12_803_366_912, 24_696_061_952, 2_375_059_584, 5_760),
    "glm-4.6": Figures(352_797_814_784, 33_632_251_904, 32_856_305_664, 49_392_123_904, 3_988_069_792, 14_240),
    "glm-4.7": Figures(352_797_814_784, 33_632_251_904, 32_856_305_664, 49_392_123_904, 3_988_069_792, 14_240),
    "glm-4.7-flash": Figures(29_943_390_976, 3_896_763_136, 3_579_568_896, 7_096_762_368, 643_706_176, 2_944),
    "glm-5": Figures(743_911_199_232, 41_784_709_632, 40_833_126_912, 14_394_851_328, 9_952_920_576, 19_200),
    "gpt-j-6b": Figures(6_050_882_784, 6_050_882_784, 5_844_444_384, 60_129_542_144, 0, 0),
    "gpt-neox-20b": Figures(20_554_567_680, 20_554_567_680, 20_244_713_472, 141_733_920_768, 0, 0),
    "glm-5.2": Figures(743_377_000_704, 41_250_511_104, 40_298_928_384, 12_482_248_704, 0, 19_200),
    "gpt-oss-120b": Figures(116_829_156_672, 5_711_982_912, 5_132_849_472, 4_836_556_800, 0, 0),
    "gpt-oss-20b": Figures(20_914_757_184, 4_187_440_704, 3_608_307_264, 3_224_371_200, 0, 0),
    "gpt2": Figures(124_439_808, 124_439_808, 123_653_376, 4_831_838_208, 0, 0),
    "gpt2-large": Figures(774_030_080, 774_030_080, 772_719_360, 24_159_191_040, 0, 0),
    "gpt2-medium": Figures(354_823_168, 354_823_168, 353_774_592, 12_884_901_888, 0, 0),
    "gpt2-xl": Figures(1_557_611_200, 1_557_611_200, 1_555_972_800, 40_265_318_400, 0, 0),
    "granite-3.3-8b": Figures(8_170_864_640, 8_170_864_640, 8_170_864_640, 21_474_836_480, 0, 0),
    "granite-4.0-h-small": Figures(32_207_337_984, 8_803_121_664, 8_803_121_664, 2_147_483_648, 0, 0),
    "granite-4.0-h-tiny": Figures(6_939_037_248, 1_465_470_528, 1_465_470_528, 1_073_741_824, 0, 0),
    "grok-2.5": Figures(269_515_497_472, 114_896_674_816, 113_822_932_992, 34_359_738_368, 0, 0),
    "hy3-295b-a21b": Figures(295_033_528_320, 20_675_715_072, 20_180_787_200, 42_949_672_960, 3_752_612_288, 15_168),
    "jamba-v0.1": Figures(51_570_323_328, 12_110_311_296, 11_841_875_840, 2_147_483_648, 0, 0),
    "k-exaone-236b-a23b": Figures(236_571_150_336, 23_668_279_296, 22_724_560_896, 6_461_325_312, 0, 6_016),
    "kimi-k2": Figures(1_026_408_209_408, 32_861_477_888, 31_687_072_768, 9_210_691_584, 0, 23_040),
    "kimi-k2.5": Figures(1_026_408_209_408, 32_861_477_888, 31_687_072_768, 9_210_691_584, 0, 23_040),
    "kimi-linear-48b-a3b": Figures(49_122_675_072, 3_484_453_248, 3_106_965_888, 1_056_964_608, 0, 6_656),
    "laguna-xs.2": Figures(33_442_607_104, 3_017_125_888, 2_811_604_992, 5_431_623_680, 0, 9_984),
    "lfm2-1.2b": Figures(1_170_340_608, 1_170_340_608, 1_170_340_608, 1_610_612_736, 0, 0),
    "llama-65b": Figures(65_285_660_672, 65_285_660_672, 65_023_516_672, 343_597_383_680, 0, 0),
    "llama-7b": Figures(6_738_415_616, 6_738_415_616, 6_607_343_616, 68_719_476_736, 0, 0),
    "llama2-70b": Figures(68_976_648_192, 68_976_648_192, 68_714_504_192, 42_949_672_960, 0, 0),
    "llama2-7b": Figures(6_738_415_616, 6_738_415_616, 6_607_343_616, 68_719_476_736, 0, 0),
    "lfm2-8b-a1b": Figures(8_339_929_856, 1_557_740_288, 1_557_740_288, 1_610_612_736, 0, 704),
    "ling-mini-2.0": Figures(16_255_638_528, 1_432_968_192, 1_111_055_360, 5_368_709_120, 0, 4_864),
    "llama3-8b": Figures(8_030_261_248, 8_030_261_248, 7_504_924_672, 17_179_869_184, 0, 0),
    "llama3.1-405b": Figures(405_853_388_800, 405_853_388_800, 403_752_042_496, 67_645_734_912, 0, 0),
    "llama3.1-70b": Figures(70_553_706_496, 70_553_706_496, 69_503_033_344, 42_949_672_960, 0, 0),
    "llama3.1-8b": Figures(8_030_261_248, 8_030_261_248, 7_504_924_672, 17_179_869_184, 0, 0),
    "llama3.2-1b": Figures(1_235_814_400, 1_235_814_400, 1_235_814_400, 4_294_967_296, 0, 0),
    "llama3.2-3b": Figures(3_212_749_824, 3_212_749_824, 3_212_749_824, 15_032_385_536, 0, 0),
    "llama3.3-70b": Figures(70_553_706_496, 70_553_706_496, 69_503_033_344, 42_949_672_960, 0, 0),
    "llama4-maverick": Figures(400_711_848_960, 17_184_691_200, 16_150_205_440, 7_650_410_496, 0, 0),
    "llama4-scout": Figures(107_769_861_120, 17_172_894_720, 16_138_408_960, 7_650_410_496, 0, 0),
    "longcat-flash": Figures(560_664_958_976, 32_182_654_976, 31_377_348_608, 8_455_716_864, 0, 21_504),
    "mamba2-2.7b": Figures(2_702_599_680, 2_702_599_680, 2_702_599_680, 0, 0, 0),
    "mimo-v2-flash": Figures(308_778_768_832, 15_445_924_288, 14_820_972_992, 3_045_657_600, 0, 12_032),
    "minimax-m1": Figures(456_089_655_296, 48_403_306_496, 47_174_113_280, 5_368_709_120, 0, 0),
    "minimax-m2": Figures(228_689_748_992, 11_030_537_216, 10_415_940_608, 33_285_996_544, 0, 15_872),
    "minimax-text-01": Figures(456_089_655_296, 48_403_306_496, 47_174_113_280, 5_368_709_120, 0, 0),
    "minimax-m3": Figures(426_174_565_632, 25_962_466_560, 24_733_273_344, 18_018_729_984, 0, 7_296),
    "mistral-7b-v0.1": Figures(7_241_732_096, 7_241_732_096, 7_110_660_096, 536_870_912, 0, 0),
    "mistral-large-2": Figures(122_610_069_504, 122_610_069_504, 122_207_416_320, 47_244_640_256, 0, 0),
    "mistral-nemo-12b": Figures(12_247_782_400, 12_247_782_400, 11_576_693_760, 21_474_836_480, 0, 0),
    "mistral-large-3": Figures(673_421_089_792, 39_946_968_064, 39_007_443_968, 9_210_691_584, 0, 0),
    "mistral-small-3.1-24b": Figures(23_572_403_200, 23_572_403_200, 22_901_314_560, 21_474_836_480, 0, 0),
    "mixtral-8x22b": Figures(140_620_634_112, 39_152_031_744, 38_955_423_744, 30_064_771_072, 0, 0),
    "mixtral-8x7b": Figures(46_702_792_704, 12_879_925_248, 12_748_853_248, 17_179_869_184, 0, 0),
    "nemotron-3-nano-30b-a3b": Figures(31_577_937_344, 3_580_073_408, 3_227_751_872, 805_306_368, 0, 2_944),
    "nemotron-3-super-120b-a12b": Figures(120_668_687_360, 12_770_216_960, 12_233_346_048, 1_073_741_824, 0, 20_480),
    "nemotron-h-56b": Figures(56_324_350_464, 56_324_350_464, 55_250_608_640, 5_368_709_120, 0, 0),
    "nemotron-nano-9b-v2": Figures(8_888_227_328, 8_888_227_328, 8_301_024_768, 2_147_483_648, 0, 0),
    "nemotron-super-49b": Figures(49_867_145_216, 49_867_145_216, 48_816_472_064, 26_306_674_688, 0, 0),
    "olmo2-13b": Figures(13_716_198_400, 13_716_198_400, 13_202_396_160, 107_374_182_400, 0, 0),
    "olmo2-1b": Figures(1_484_916_736, 1_484_916_736, 1_279_395_840, 17_179_869_184, 0, 0),
    "olmo2-32b": Figures(32_234_279_936, 32_234_279_936, 31_720_477_696, 34_359_738_368, 0, 0),
    "olmo2-7b": Figures(7_298_617_344, 7_298_617_344, 6_887_575_552, 68_719_476_736, 0, 0),
    "olmo3-32b": Figures(32_233_522_176, 32_233_522_176, 31_720_098_816, 9_395_240_960, 0, 0),
    "olmo3-7b": Figures(7_298_011_136, 7_298_011_136, 6_887_272_448, 18_790_481_920, 0, 0),
    "olmoe-1b-7b": Figures(6_919_161_856, 1_282_017_280, 1_178_994_688, 17_179_869_184, 0, 0),
    "opt-66b": Figures(65_719_701_504, 65_719_701_504, 65_700_808_704, 309_237_645_312, 0, 0),
    "phi-3-mini": Figures(3_821_079_552, 3_821_079_552, 3_722_578_944, 804_913_152, 0, 0),
    "phi-4": Figures(14_659_507_200, 14_659_507_200, 14_145_704_960, 26_843_545_600, 0, 0),
    "pythia-6.9b": Figures(6_857_302_016, 6_857_302_016, 6_650_732_544, 68_719_476_736, 0, 0),
    "qwen2-72b": Figures(72_706_203_648, 72_706_203_648, 71_460_495_360, 42_949_672_960, 0, 0),
    "qwen2.5-72b": Figures(72_706_203_648, 72_706_203_648, 71_460_495_360, 42_949_672_960, 0, 0),
    "qwen2.5-7b": Figures(7_615_616_512, 7_615_616_512, 7_070_619_136, 7_516_192_768, 0, 0),
    "qwen3-0.6b": Figures(596_049_920, 596_049_920, 596_049_920, 15_032_385_536, 0, 0),
    "qwen3-1.7b": Figures(1_720_574_976, 1_720_574_976, 1_720_574_976, 15_032_385_536, 0, 0),
    "qwen3-14b": Figures(14_768_307_200, 14_768_307_200, 13_990_394_880, 21_474_836_480, 0, 0),
    "qwen3-235b-a22b": Figures(235_093_634_560, 22_190_763_520, 21_568_433_664, 25_232_932_864, 0, 0),
    "qwen3-30b-a3b": Figures(30_532_122_624, 3_353_032_704, 3_041_867_776, 12_884_901_888, 0, 0),
    "qwen3-32b": Figures(32_762_123_264, 32_762_123_264, 31_984_210_944, 34_359_738_368, 0, 0),
    "qwen3-4b": Figures(4_022_468_096, 4_022_468_096, 4_022_468_096, 19_327_352_832, 0, 0),
    "qwen3-8b": Figures(8_190_735_360, 8_190_735_360, 7_568_405_504, 19_327_352_832, 0, 0),
    "qwen3-coder-480b-a35b": Figures(480_154_875_392, 35_474_765_312, 34_541_270_528, 33_285_996_544, 0, 0),
    "qwen3-next-80b-a3b": Figures(79_674_391_296, 3_874_929_408, 3_563_764_480, 3_221_225_472, 1_650_471_424, 0),
    "qwen3.5-122b-a10b": Figures(122_111_526_912, 9_771_288_576, 9_008_449_536, 3_221_225_472, 2_523_679_232, 0),
    "qwen3.5-27b": Figures(26_895_998_464, 26_895_998_464, 25_624_600_064, 8_589_934_592, 424_699_392, 0),
    "qwen3.5-35b-a3b": Figures(34_660_610_688, 3_454_988_928, 2_946_429_568, 2_684_354_560, 844_640_768, 0),
    "qwen3.5-397b-a17b": Figures(396_346_350_336, 17_349_040_896, 16_331_922_176, 4_026_531_840, 6_595_568_128, 0),
    "qwen3.6-27b": Figures(26_895_998_464, 26_895_998_464, 25_624_600_064, 8_589_934_592, 424_699_392, 0),
    "recurrentgemma-2b": Figures(2_682_862_080, 2_682_862_080, 2_682_862_080, 16_777_216, 0, 0),
    "smollm2-1.7b": Figures(1_711_376_384, 1_711_376_384, 1_711_376_384, 25_769_803_776, 0, 0),
    "seed-oss-36b": Figures(36_151_104_512, 36_151_104_512, 35_356_808_192, 34_359_738_368, 0, 0),
    "smollm3-3b": Figures(3_075_098_624, 3_075_098_624, 3_075_098_624, 9_663_676_416, 0, 0),
    "step-3.5-flash": Figures(196_956_118_272, 11_987_311_872, 11_459_353_856, 6_511_656_960, 0, 12_096),
    "trinity-large": Figures(398_635_272_192, 13_371_672_576, 12_756_682_752, 8_808_038_400, 0, 13_824),
    "zamba2-7b": Figures(7_356_749_648, 7_356_749_648, 7_356_749_648, 48_855_252_992, 0, 0),
}


def test_the_catalogue_is_whole() -> None:
    assert set(llmarch.names()) == set(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_figures(name: str) -> None:
    profile = llmarch.profile(name, context=131_072, engine="measured")
    assert Figures(*(getattr(profile, field) for field in Figures._fields)) == FIGURES[name]


# Bytes a token of index keys, in bf16: 128 values in each layer with an indexer.
INDEXED = {
    "deepseek-v3.2": 61 * 256,
    "deepseek-v4-flash": 21 * 64,
    "deepseek-v4-pro": 30 * 64,
    "glm-5": 78 * 256,
    "glm-5.2": 21 * 256,  # the other layers read the indices of one below
    "minimax-m3": 57 * 256,
}


@pytest.mark.parametrize("name", INDEXED)
def test_index_keys(name: str) -> None:
    profile = llmarch.profile(name, context=131_072, engine="measured")
    assert profile.index_bytes == 131_072 * INDEXED[name]


# Bytes a sequence of recurrences, in float32, and of convolutions' inputs, in bf16.
STATES = {
    "kimi-linear-48b-a3b": 43_417_600,
    "mamba2-2.7b": 169_836_544,
    "qwen3-next-80b-a3b": 77_266_944,
    "qwen3.5-122b-a10b": 153_649_152,
    "qwen3.5-27b": 153_944_064,
    "qwen3.5-35b-a3b": 64_389_120,
    "qwen3.5-397b-a17b": 192_061_440,
    "qwen3.6-27b": 153_944_064,
    "falcon-h1-0.5b": 28_698_624,
    "granite-4.0-h-small": 152_819_712,
    "granite-4.0-h-tiny": 57_341_952,
    "jamba-v0.1": 16_056_320,
    "lfm2-8b-a1b": 147_456,
    "nemotron-3-nano-30b-a3b": 49_082_368,
    "nemotron-3-super-120b-a12b": 170_229_760,
    "nemotron-h-56b": 912_605_184,
    "nemotron-nano-9b-v2": 143_548_416,
    "zamba2-7b": 152_243_712,
}


@pytest.mark.parametrize("name", STATES)
def test_states(name: str) -> None:
    assert llmarch.profile(name, context=131_072, engine="measured").state_bytes == STATES[name]


@pytest.mark.parametrize("name", FIGURES)
def test_every_spec_says_where_it_comes_from(name: str) -> None:
    spec = llmarch.load(name)
    assert spec.organization
    assert spec.source
    assert spec.released
    assert spec.license
    assert spec.context_length


def test_a_model_of_the_same_shape_is_the_same_model() -> None:
    ours, parent = llmarch.load("deepseek-r1"), llmarch.load("deepseek-v3")
    told_apart_by = dict.fromkeys(("name", "source", "released", "license"))
    assert ours.model_dump() | told_apart_by == parent.model_dump() | told_apart_by


@pytest.mark.parametrize("name", FIGURES)
def test_an_editor_knows_the_schema(name: str) -> None:
    text = (specs_directory() / f"{name}.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=schema.json\n")
    assert (specs_directory() / "schema.json").is_file()


def test_certificates_are_current() -> None:
    """Each bundled spec has one for the code as it is; if not, run `make certificates`."""
    found = certificates._bundled()
    keys = {certificates.key(llmarch.load(name), Workload()): name for name in FIGURES}
    assert set(found) == set(keys), "run `make certificates`"
    for key, name in keys.items():
        window = llmarch.load(name).context_length
        assert {*certificates.PROMPTS, window} <= set(found[key].prompts)


@pytest.mark.parametrize("name", ["deepseek-v3", "gemma3-27b", "qwen3.5-27b", "nemotron-3-nano-30b-a3b", "gpt-oss-20b"])
def test_certificates_hold(name: str) -> None:
    spec = llmarch.load(name)
    kept = certificates.find(spec, Workload())
    made = certify(spec, Workload())
    assert kept is not None
    assert made is not None
    assert (kept.points, kept.weights) == (made.points, made.weights)
