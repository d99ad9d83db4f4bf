"""What turns observations into features: kinds of torsos, each with its options. Torch-free: see `agents/config.py`.

network:
  torso: nature_cnn                             # by its kind alone, with the options' defaults
  torso: {kind: resnet, stages: [2, 2, 2]}      # or as a section

A kind more is a section more in `Torso`, and a function in `supervised/networks/torso.py: TORSOS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from experiment.config import Config, Count, Natural, Several

# What several kinds have means the same in each, and stands once in tables of options.
Stages = Annotated[
    Several[Count],
    Field(
        description="layers or blocks of each stage; the next has twice the filters (vgg: 8 times the first's at most) "
        "and half the side"
    ),
]
Filters = Annotated[Count, Field(description="of the first stage")]
Shrink = Annotated[
    bool,
    Field(
        description="begin with a 7 x 7 convolution and pooling, which leave a quarter of the side; for pictures of "
        "64 x 64 and more"
    ),
]
Width = Annotated[Count, Field(description="features of a patch, or of a step")]
Layers = Annotated[Count, Field(description="blocks or cells, one above the other")]
Heads = Annotated[Count, Field(description="that share the width among them in attention")]
Encoder = Annotated[
    Literal["mlp", "nips_cnn", "nature_cnn", "lenet", "vgg", "resnet", "densenet", "vit"],
    Field(description="the kind of torso, with its defaults, whose features of each step are remembered"),
]


class PlainTorsoOptions(Config):
    """A torso without options of its own."""

    kind: Literal["mlp", "nips_cnn", "nature_cnn", "lenet"] = "mlp"
    """mlp: the hidden layers alone, for vectors; of pictures: nips_cnn and nature_cnn, the convolutions of DQN in 2013
    and 2015; lenet (LeCun et al. 1998)"""


class ConvolutionOptions(Config):
    filters: Count
    """pictures that come out"""
    kernel: Count = 3
    """side of the square that is looked at, in pixels"""
    stride: Count = 1
    """pixels from one square to the next"""
    padding: Natural = 0
    """zeros around the picture"""
    pool: Count = 1
    """then the largest of each square of this side; 1 leaves all"""


class CNNOptions(Config):
    kind: Literal["cnn"] = "cnn"
    """cnn: convolutions as listed"""
    convolutions: Several[ConvolutionOptions]
    """one after the other, `network.activation` after each"""


class VGGOptions(Config):
    kind: Literal["vgg"] = "vgg"
    """vgg: stages of 3 x 3 convolutions with pooling between (Simonyan & Zisserman 2015)"""
    stages: Stages = (2, 2)
    filters: Filters = 32


class ResNetOptions(Config):
    kind: Literal["resnet"] = "resnet"
    """resnet: stages of blocks whose input is added to their output (He et al. 2016)"""
    stages: Stages = (2, 2)
    filters: Filters = 32
    bottleneck: bool = False
    """blocks of 1 x 1, 3 x 3 and 1 x 1 convolutions, four times as wide outside as inside, in place of two of 3 x 3"""
    squeeze: bool = False
    """weigh the filters of each block by what the whole picture shows (squeeze and excitation, Hu et al. 2018)"""
    shrink: Shrink = False


class DenseNetOptions(Config):
    kind: Literal["densenet"] = "densenet"
    """densenet: stages of layers which all see what every one before them put out (Huang et al. 2017)"""
    stages: Stages = (2, 2)
    growth: Count = 16
    """filters that each layer adds"""
    shrink: Shrink = False


class ViTOptions(Config):
    kind: Literal["vit"] = "vit"
    """vit: a transformer that reads a picture patch by patch (Dosovitskiy et al. 2021)"""
    patch: Count = 4
    """side of a patch, in pixels"""
    width: Width = 64
    layers: Layers = 1
    heads: Heads = 4


class RecurrentOptions(Config):
    kind: Literal["rnn", "gru", "lstm"] = "gru"
    """rnn, gru, lstm: cells that remember the episode"""
    width: Width = 64
    layers: Layers = 1
    encoder: Encoder = "mlp"


class TransformerOptions(Config):
    kind: Literal["transformer"] = "transformer"
    """transformer: causal attention to the steps of the episode"""
    width: Width = 64
    layers: Layers = 1
    heads: Heads = 4
    window: Count = 16
    """steps that a layer looks back, this one counted; linear attention looks at all and computes so many at once"""
    norm: Literal["pre", "post"] = "pre"
    """normalize what a block reads, or what it puts out"""
    positions: Literal["sinusoidal", "learned", "relative", "none"] = "sinusoidal"
    """how a step shows when it was"""
    attention: Literal["softmax", "linear"] = "softmax"
    """weigh steps by the softmax of products (Vaswani et al. 2017), or by products (Katharopoulos et al. 2020)"""
    encoder: Encoder = "mlp"


Recalling = RecurrentOptions | TransformerOptions  # torsos that remember the steps of an episode
Named = Literal[
    "mlp", "nips_cnn", "nature_cnn", "lenet", "vgg", "resnet", "densenet", "vit", "rnn", "gru", "lstm", "transformer"
]
SECTIONS: dict[str, type[Any]] = {
    **dict.fromkeys(("mlp", "nips_cnn", "nature_cnn", "lenet"), PlainTorsoOptions),
    **{"vgg": VGGOptions, "resnet": ResNetOptions, "densenet": DenseNetOptions, "vit": ViTOptions},
    **dict.fromkeys(("rnn", "gru", "lstm"), RecurrentOptions),
    "transformer": TransformerOptions,
}


def spelt_out(kind: str) -> Any:
    """The section that a kind alone stands for."""
    return SECTIONS[kind](kind=kind)


def kind(given: Any) -> str | None:
    """By which a section is told: that of a mapping or section, "named" for anything else."""
    if isinstance(given, Mapping):
        return None if given.get("kind") is None else str(given["kind"])
    return getattr(given, "kind", "named")


Torso = Annotated[
    Annotated[Annotated[Named, AfterValidator(spelt_out)], Tag("named")]
    | Annotated[PlainTorsoOptions, Tag("mlp")]
    | Annotated[PlainTorsoOptions, Tag("nips_cnn")]
    | Annotated[PlainTorsoOptions, Tag("nature_cnn")]
    | Annotated[PlainTorsoOptions, Tag("lenet")]
    | Annotated[CNNOptions, Tag("cnn")]
    | Annotated[VGGOptions, Tag("vgg")]
    | Annotated[ResNetOptions, Tag("resnet")]
    | Annotated[DenseNetOptions, Tag("densenet")]
    | Annotated[ViTOptions, Tag("vit")]
    | Annotated[RecurrentOptions, Tag("rnn")]
    | Annotated[RecurrentOptions, Tag("gru")]
    | Annotated[RecurrentOptions, Tag("lstm")]
    | Annotated[TransformerOptions, Tag("transformer")],
    Discriminator(kind),
]
