"""Architectures of today as ONNX models: `transformers` configurations, random weights, both exporters of torch.

    python benchmarks/architectures.py FOLDER [--only NAME]...

Needs torch and transformers. Every architecture is exported four ways: by the TorchScript exporter and by the dynamo
exporter, each with and without the exporter's own optimization, the batch dynamic. Weights are random but not
degenerate: convolutions and matrices by Kaiming's rule, and the statistics of BatchNormalization drawn at random, so
that folding them changes every number.
"""

# transformers is not among the project's own dependencies, and torch's stubs are partial
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as tf
from torch import nn

SMALL_PICTURE = (3, 64, 64)
WAYS = ("legacy", "legacy-plain", "dynamo", "dynamo-plain")


class Wrapped(nn.Module):
    """A model of transformers as a function of tensors, its first output alone."""

    def __init__(self, model: nn.Module, input_names: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.input_names = model, input_names

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.model(**dict(zip(self.input_names, inputs, strict=True)), return_dict=False)[0]


def pictures(model: nn.Module, shape: tuple[int, ...] = SMALL_PICTURE) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    return Wrapped(model, ("pixel_values",)), (torch.randn(2, *shape),)


def tokens(model: nn.Module, size: int, masked: bool = True) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    ids = torch.randint(1, size, (2, 16))
    mask = torch.ones_like(ids)
    mask[1, 11:] = 0
    if masked:
        return Wrapped(model, ("input_ids", "attention_mask")), (ids, mask)
    return Wrapped(model, ("input_ids",)), (ids,)


def resnet() -> Any:
    config = tf.ResNetConfig(depths=[2, 2, 2, 2], hidden_sizes=[32, 64, 96, 128], embedding_size=16)
    return pictures(tf.ResNetForImageClassification(config))


def mobilenet_v2() -> Any:
    return pictures(tf.MobileNetV2ForImageClassification(tf.MobileNetV2Config(depth_multiplier=0.5)), (3, 96, 96))


def efficientnet() -> Any:
    config = tf.EfficientNetConfig(width_coefficient=0.5, depth_coefficient=0.5, hidden_dim=640)
    return pictures(tf.EfficientNetForImageClassification(config), (3, 96, 96))


def regnet() -> Any:
    config = tf.RegNetConfig(embedding_size=16, hidden_sizes=[32, 64, 96, 128], depths=[1, 2, 3, 1], groups_width=16)
    return pictures(tf.RegNetForImageClassification(config))


def convnext() -> Any:
    config = tf.ConvNextConfig(hidden_sizes=[32, 64, 96, 128], depths=[2, 2, 3, 2])
    return pictures(tf.ConvNextForImageClassification(config))


def vit() -> Any:
    config = tf.ViTConfig(
        hidden_size=64, num_hidden_layers=4, num_attention_heads=4, intermediate_size=128, image_size=64
    )
    return pictures(tf.ViTForImageClassification(config))


def swin() -> Any:
    config = tf.SwinConfig(image_size=64, embed_dim=24, depths=[2, 2], num_heads=[2, 4], window_size=4)
    return pictures(tf.SwinForImageClassification(config))


def levit() -> Any:
    config = tf.LevitConfig(
        image_size=64, hidden_sizes=[32, 48, 64], num_attention_heads=[2, 3, 4], depths=[2, 2, 2], key_dim=[8, 8, 8]
    )
    return pictures(tf.LevitForImageClassification(config))


def mobilevit() -> Any:
    config = tf.MobileViTConfig(
        image_size=64, hidden_sizes=[32, 40, 48], neck_hidden_sizes=[8, 16, 24, 32, 40, 48, 96], num_attention_heads=4
    )
    return pictures(tf.MobileViTForImageClassification(config))


def bert() -> Any:
    config = tf.BertConfig(
        vocab_size=500, hidden_size=64, num_hidden_layers=3, num_attention_heads=4, intermediate_size=128
    )
    return tokens(tf.BertForSequenceClassification(config), 500)


def gpt2() -> Any:
    config = tf.GPT2Config(vocab_size=500, n_embd=64, n_layer=3, n_head=4, n_positions=64, use_cache=False)
    return tokens(tf.GPT2LMHeadModel(config), 500)


def llama() -> Any:
    config = tf.LlamaConfig(
        vocab_size=500, hidden_size=64, intermediate_size=128, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, use_cache=False,
    )  # fmt: skip
    return tokens(tf.LlamaForCausalLM(config), 500)


def whisper_encoder() -> Any:
    config = tf.WhisperConfig(
        d_model=64, encoder_layers=3, encoder_attention_heads=4, encoder_ffn_dim=128, max_source_positions=50,
        num_mel_bins=40, decoder_layers=1, decoder_attention_heads=4,
    )  # fmt: skip
    model = tf.WhisperModel(config).get_encoder()
    return Wrapped(model, ("input_features",)), (torch.randn(2, 40, 100),)


def detr() -> Any:
    backbone = tf.ResNetConfig(
        depths=[1, 1, 1, 1], hidden_sizes=[16, 32, 48, 64], embedding_size=16, out_features=["stage4"]
    )
    config = tf.DetrConfig(
        use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, backbone_config=backbone, d_model=64,
        encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=128,
        decoder_ffn_dim=128, num_queries=10,
    )  # fmt: skip
    return pictures(tf.DetrForObjectDetection(config))


ARCHITECTURES: dict[str, Callable[[], Any]] = {
    f.__name__.replace("_", "-"): f
    for f in (
        resnet, mobilenet_v2, efficientnet, regnet, convnext, vit, swin, levit, mobilevit, bert, gpt2, llama,
        whisper_encoder, detr,
    )
}  # fmt: skip


def randomize(model: nn.Module) -> None:
    """Weights by Kaiming's rule, statistics at random: every channel of every layer matters."""
    for module in model.modules():
        if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.1)
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 2.0)


def export(model: nn.Module, inputs: tuple[torch.Tensor, ...], way: str, path: Path) -> None:
    names = [f"input{i}" for i in range(len(inputs))]
    if way.startswith("legacy"):
        plain = way.endswith("plain")
        torch.onnx.export(
            model, inputs, str(path), dynamo=False, opset_version=17, input_names=names, output_names=["output"],
            dynamic_axes={n: {0: "batch"} for n in [*names, "output"]}, do_constant_folding=not plain,
            training=torch.onnx.TrainingMode.PRESERVE if plain else torch.onnx.TrainingMode.EVAL,
        )  # fmt: skip
        return
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.onnx.export(
        model, inputs, dynamo=True, input_names=names, output_names=["output"], verbose=False,
        dynamic_shapes=(tuple({0: batch} for _ in inputs),), optimize=not way.endswith("plain"),
    )  # fmt: skip
    assert program is not None
    program.save(str(path))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", action="append", choices=list(ARCHITECTURES))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name in arguments.only or ARCHITECTURES:
        torch.manual_seed(0)
        model, inputs = ARCHITECTURES[name]()
        model.eval()
        randomize(model)
        for way in WAYS:
            path = arguments.folder / f"{name}.{way}.onnx"
            try:
                with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
                    warnings.simplefilter("ignore")
                    export(model, inputs, way, path)
                print(f"{path.name}: {path.stat().st_size:,} bytes", flush=True)
            except Exception as error:  # an exporter's failure is its own row: it may raise anything
                failed += 1
                print(f"{path.name}: not exported: {str(error).strip().splitlines()[0][:150]}", flush=True)
    return 1 if failed == len(WAYS) * len(ARCHITECTURES) else 0


if __name__ == "__main__":
    sys.exit(main())
