"""Config keys without effect on the architecture in any family, each with the values for which this holds."""

from __future__ import annotations

from llmarch_cli.huggingface.importing.keys import ANY, Accepted

_NAMING = """
    architectures auto_map model_type model_name internal_version name_or_path _name_or_path _commit_hash
    custom_pipelines
"""
_SAVING = """
    dtype torch_dtype transformers_version quantization quantization_config compression_config
    unsloth_fixed unsloth_version transformers.js_config
"""
_RUNNING = """
    use_cache cache_implementation output_attentions output_hidden_states output_router_logits output_scores
    return_dict return_dict_in_generate torchscript use_bfloat16 tf_legacy_loss chunk_size_feed_forward
    attn_implementation _attn_implementation _attn_implementation_autoset _experts_implementation
    _flash_attn_2_enabled use_flash_attn use_flash_attention pretraining_tp gradient_checkpointing ep_size
    attention_softmax_in_fp32 scale_attention_softmax_in_fp32 bias_dropout_fusion output_past is_composition
    max_sequence_length use_grouped_mm
"""
_TRAINING = """
    attention_dropout attention_probs_dropout_prob attn_pdrop classifier_dropout emb_pdrop embd_pdrop embed_dropout
    embedding_dropout hidden_dropout hidden_dropout_prob resid_pdrop residual_dropout initializer_range
    router_aux_loss_coef aux_loss_alpha seq_aux router_jitter_noise neftune_noise_alpha init_std
"""
_TOKENS = """
    bos_token_id eos_token_id pad_token_id sep_token_id decoder_start_token_id eod_token_id tokenizer_class prefix
    num_image_tokens
"""
_TASKS = """
    id2label label2id num_labels _num_labels problem_type finetuning_task task_specific_params
    summary_activation summary_first_dropout summary_proj_to_labels summary_type summary_use_proj
"""
_SAMPLING = """
    max_length min_length max_new_tokens do_sample early_stopping num_beams num_beam_groups diversity_penalty
    temperature top_k top_p typical_p repetition_penalty length_penalty no_repeat_ngram_size
    encoder_no_repeat_ngram_size bad_words_ids num_return_sequences forced_bos_token_id forced_eos_token_id
    remove_invalid_values exponential_decay_length_penalty suppress_tokens begin_suppress_tokens
"""

WITHOUT_EFFECT: dict[str, Accepted] = {
    **dict.fromkeys(" ".join((_NAMING, _SAVING, _RUNNING, _TRAINING, _TOKENS, _TASKS, _SAMPLING)).split(), ANY),
    "is_decoder": ANY,  # always a decoder
    "is_encoder_decoder": (False,),
    "add_cross_attention": (False,),
    "cross_attention_hidden_size": (None,),
    "tie_encoder_decoder": (False,),
    "pruned_heads": ({},),
    # Features of some families, turned off in the others.
    **dict.fromkeys(("attention_bias", "mlp_bias", "lm_head_bias", "use_sliding_window"), (False,)),
    "max_window_layers": ANY,  # only for a window, which is off
    "sliding_window": (None,),
    "layer_types": lambda value: isinstance(value, list) and all(each == "full_attention" for each in value),
}

# The other keys of a multimodal config: how its other parts and their inputs are made.
BESIDE_TEXT: dict[str, Accepted] = {
    **dict.fromkeys(
        """
    mm_tokens_per_image ignore_index image_seq_length video_seq_length image_grid_pinpoints image_size patch_size
    num_channels projector_hidden_act projector_layernorm_eps projector_bias projector_pooling_ratio projection_dim
    projection_hidden_size projection_layer_norm_eps projector_hidden_size projector_ln_eps multimodal_projector_bias
    projector_patch_to_query_dict max_value_projector_patch_to_query_dict
    audio_soft_tokens_per_image language_model_only
    vision_feature_layer vision_feature_layers vision_feature_select_strategy vision_use_cls_token vision_aspect_ratio
    spatial_merge_size spatial_pool_mode spatial_pool_stride adapter_layer_norm_eps alignment_intermediate_size
    scale_factor downsample_factor downsample_ratio downsample_rate window_size vocabulary_map
    candidate_resolutions global_view_pos tile_tag image_seq_len
    use_reentrant_checkpointing use_image_newline_parameter system_message
    visual_indicator_token_ids position_id_per_seconds seconds_per_chunk enable_audio_output enable_talker
    audio_merge_size audio_chunk_size acoustic_tokenizer_chunk_size token_classification_bias diffusion_loss_weight
    dynamic_image_size force_image_size min_dynamic_patch max_dynamic_patch pad2square ps_version select_layer template
    use_thumbnail image_fold use_unified_vision_chunk image_placeholder video_placeholder vision_soft_tokens_per_image
    process_image_mode num_reward_heads deepstack_layer_map spatial_vision_layer spatial_target_layers projector_dropout
    density_router_hidden_size density_router_threshold density_router_loss_weight has_lora_adapter
    im_start_id im_end_id im_newline_id
    """.split(),
        ANY,
    ),
    **dict.fromkeys(("use_backbone_lora", "use_llm_lora"), (0, False)),
}

# The endings of keys that number special tokens, in any config.
TOKEN_ENDINGS = ("_token_id", "_token_ids", "_token_index")
