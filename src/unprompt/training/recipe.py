"""Training recipes: one section per subject, every value with its type, bounds and default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias

from unprompt.checked import Bounds
from unprompt.models.store.weights import RANDOM

RUN_RECIPE = "recipe.json"
"""The file in a run's folder that holds its recipe."""

Precision: TypeAlias = Literal["bf16", "fp16", "fp32"]
Features: TypeAlias = Literal["pooled", "tokens", "classes", "layers"]


Share: TypeAlias = Annotated[float, Bounds(0, 1)]
Whole: TypeAlias = Annotated[int, Bounds(0)]
Positive: TypeAlias = Annotated[int, Bounds(1)]
Amount: TypeAlias = Annotated[float, Bounds(0)]


@dataclass(frozen=True)
class Optimisation:
    """How the loop optimises. The defaults suit small models on few pairs."""

    epochs: Whole = 1
    batch_size: Positive = 64  # per step, over all parts and processes
    accumulate: Positive = 1  # parts of a batch, computed one after the other to save memory
    learning_rate: Amount = 1e-4
    final_learning_rate: Amount = 0.0  # cosine decay ends here
    warmup: Share = 0.05  # share of all steps
    weight_decay: Amount = 0.05
    layer_decay: Share = 1.0  # each block's rate is this times that of the block above
    frozen: Share = 0.0  # share of the blocks, from the bottom, including what precedes them
    ema: Share = 0.0  # decay of the moving average of weights; 0 turns it off
    clip: Amount = 1.0  # largest gradient norm; 0 turns it off
    precision: Precision = "bf16"  # slower than fp32 on CPUs without bf16 units
    checkpoint_gradients: bool = False  # recompute activations instead of storing them: less memory, a third slower
    seed: Annotated[int, Bounds(0, 2**32 - 1)] = 0
    evaluations: Whole = 0  # in the whole run; 0: one per epoch
    checkpoint_minutes: Amount = 5.0


@dataclass(frozen=True)
class Data:
    """Pictures with their prompts, in any layout that `unprompt.datasets.pairs` reads."""

    train: str = "../shared/data/pairs/train.jsonl"
    validation: str = "../shared/data/pairs/val.jsonl"
    root: str = ""  # the folder that the names of lists are relative to; empty: that of each list
    skip_bad: bool = False  # skip unusable records; otherwise they end the run before its first step
    decode_first: bool = True  # look for broken pictures before the first step, and not only for missing ones
    draw: Literal["pictures", "prompts"] = "pictures"  # prompts: each prompt once per epoch, with one of its pictures
    group_balance: Amount = 0.0  # drawn in proportion to 1 / (size of the group of similar prompts) ** this
    photo_weight: Amount = 1.0  # weight of photos in drawing, relative to generated pictures
    workers: Whole = 0  # threads that decode pictures; 0: one per core


@dataclass(frozen=True)
class Network:
    """The image network under the head."""

    name: str = "vit_tiny_patch16_224"  # architecture, or architecture.tag
    weights: str = RANDOM  # or "hub", or a safetensors file with the network's own names
    features: Features = "pooled"
    input_size: Whole = 0  # 0: the network's own
    drop_path: Share = 0.0
    patch_drop: Share = 0.0  # share of the patches that a vision transformer does not see in training
    options: Mapping[str, Any] = field(default_factory=dict)  # override sizes of the architecture


@dataclass(frozen=True)
class Sight:
    """The preprocessing of pictures, where it should differ from the network's own."""

    resize: Literal["", "shortest", "squash"] = ""
    interpolation: Literal["", "bicubic", "bilinear"] = ""
    crop_share: Share = 1.0  # share of the shorter side, after resizing; 0: the network's own
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    views: tuple[Literal["whole", "mirrored", "middle"], ...] = ("whole",)  # averaged at evaluation and prediction


@dataclass(frozen=True)
class Head:
    """The head, which maps the network's features to the vector."""

    kind: Literal["linear", "wide", "perceptron"] = "linear"
    hidden: Whole = 0  # 0: the kind's own
    dropout: Share = 0.0
    standardise: bool = True  # scale features to mean 0 and standard deviation 1 first, if there is a probe
    start: str = ""  # folder of the run whose head to start from, such as that of a text head


@dataclass(frozen=True)
class Concepts:
    """The concept head, which says what is in a picture; it learns together with the vector's."""

    least_groups: Whole = 0  # groups of similar prompts in which a word has to occur to be a concept; 0: no concepts
    phrase_groups: Positive = 15  # the same for phrases of two words
    classes: bool = False  # ImageNet's classes as the start weights see them, too; for features with classes
    hidden: Positive = 512  # of the head's perceptron
    weight: Amount = 0.01  # of its loss, the cross entropies of all concepts, beside the vector's


@dataclass(frozen=True)
class Loss:
    """The distance between predicted and true vectors."""

    kind: Literal["cosine", "angular", "cosine-mse"] = "cosine"
    mse: Amount = 1.0  # weight of the squared distance in "cosine-mse"
    contrastive: Amount = 0.0  # weight of the contrastive term: the own prompt among those of the batch
    temperature: Annotated[float, Bounds(1e-3)] = 0.1  # of the contrastive term


@dataclass(frozen=True)
class Augmentation:
    """Random changes to training pictures."""

    crop_scale: Annotated[float, Bounds(0.05, 1)] = 1.0  # smallest share of the area that a random crop keeps
    flip: Share = 0.5  # probability
    colour: Share = 0.0  # largest relative change of brightness, contrast and saturation
    erase: Share = 0.0  # probability that a rectangle is greyed out
    mixgen: Share = 0.0  # share of a batch in which two pictures are overlaid and their prompts joined


@dataclass(frozen=True)
class Lora:
    """Low-rank updates of weight matrices, by peft."""

    rank: Whole = 0  # 0: none
    alpha: Positive = 16
    dropout: Share = 0.0
    first: Share = 0.25  # first block to update, as a share of the depth
    last: Share = 0.75  # end of these blocks


@dataclass(frozen=True)
class TextHead:
    """A head trained on texts alone, from CLIP's text vector to MiniLM's, then applied to CLIP's image vector."""

    texts: tuple[str, ...] = ("../shared/data/prompts/train.txt",)
    validation: str = "../shared/data/prompts/val.txt"
    noise: Amount = 0.0  # length of a random vector added to text vectors, which differ from those of images
    options: Mapping[str, Any] = field(default_factory=dict)  # override sizes of the text tower


@dataclass(frozen=True)
class DecoderRecipe:
    """The vector-to-sentence decoder: texts, tokenizer, network."""

    texts: tuple[str, ...] = ("../shared/data/prompts/train.txt", "../shared/data/pairs/train.jsonl")
    validation: str = "../shared/data/prompts/val.txt"
    vocabulary_size: Positive = 8192
    max_length: Positive = 72
    width: Positive = 256
    depth: Positive = 5
    heads: Positive = 4
    dropout: Share = 0.0
    recombined: Whole = 0  # number of additional texts made by joining parts of two prompts
    noise: Amount = 0.0  # largest length of a random vector added to the unit vectors
    neighbours: Whole = 0  # nearest texts to mix in, since a picture's vector mixes those of possible prompts
    start_weights: str = ""  # a safetensors file; the tokenizer beside it is used
    pictures: str = ""  # a regressor's run with a probe, whose training pictures the decoder learns to describe
    folds: Annotated[int, Bounds(2, 100)] = 2  # parts of these; each is seen by a probe of the others
    texts_a_picture: Amount = 0.5  # texts without a picture in an epoch, for each picture


@dataclass(frozen=True)
class Recipe:
    """One training run. `task` determines which sections are used."""

    task: Literal["regressor", "text-head", "decoder"]
    name: str  # of the resulting model
    optimisation: Optimisation = Optimisation()
    probe: Optimisation = Optimisation(epochs=0)  # training of the head alone on frozen features, before `optimisation`
    data: Data = Data()
    network: Network = field(default_factory=Network)
    sight: Sight = Sight()
    head: Head = Head()
    concepts: Concepts = Concepts()
    loss: Loss = Loss()
    augmentation: Augmentation = Augmentation()
    lora: Lora = Lora()
    text_head: TextHead = field(default_factory=TextHead)
    decoder: DecoderRecipe = DecoderRecipe()
