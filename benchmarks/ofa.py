"""Captions by OFA of the published sizes, with random weights: pictures a second, and where the time goes.

The same network captions the same pictures (480 pixels, 5 beams, 20 tokens and the end) in four ways, which take turns
in one process: all pictures together over cached keys and values, as `unprompt` does; one picture at a time; and all
together without caches, where each step computes all words again, and the keys and values of what the encoder saw, for
each beam as the published program does, or once for all beams of a picture. On a GPU all are in bfloat16, and the first
is measured in float32 too.

    python benchmarks/ofa.py [--sizes base large] [--pictures 8] [--turns 3] [--threads 2]

A turn of base takes about 300 seconds of processor time for 8 pictures, one of large four times as much, nearly all of
it without caches.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from statistics import median

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from unprompt.captioners.ofa.beam_search import Continuation, Hypothesis, SearchSettings, search
from unprompt.captioners.ofa.checkpoint import expected_weights, fill
from unprompt.captioners.ofa.configuration import END, START, Configuration
from unprompt.captioners.ofa.encoder import Memory
from unprompt.captioners.ofa.network import Captioning, Network

SIZES = {
    "tiny": (256, 4, 4, 4, "resnet50"),
    "medium": (512, 4, 4, 8, "resnet101"),
    "base": (768, 6, 6, 12, "resnet101"),
    "large": (1024, 12, 12, 16, "resnet152"),
    "huge": (1280, 24, 12, 16, "resnet152"),
}
"""Size, layers of encoder and of decoder, heads and front end, as published."""

SIDE = 480
QUESTION = [START, *range(10, 16), END]  # " what does the image describe?" has as many
SETTINGS = SearchSettings(min_length=20)
TOGETHER, ALONE, FLOAT32 = "together", "one picture at a time", "together, float32"
UNCACHED, SHARED = "without caches", "without caches, beams share the picture"

Made = list[list[Hypothesis]]


def random_network(size: str, device: torch.device, dtype: torch.dtype) -> Network:
    """OFA of a published size whose weights mean nothing."""
    width, *layers, heads, resnet = SIZES[size]
    parts = {
        f"{part}_{key}": value
        for part, deep in zip(("encoder", "decoder"), layers, strict=True)
        for key, value in {"layers": deep, "attention_heads": heads, "ffn_dim": 4 * width}.items()
    }
    shared = {"vocab_size": 59_457, "max_position_embeddings": 1024, "token_bucket_size": 256, "image_bucket_size": 42}
    config = Configuration.from_config(
        {"model_type": "ofa", "d_model": width, "resnet_type": resnet, **parts, **shared}
    )
    torch.manual_seed(0)
    state = {name: torch.randn(value.shape) * 0.02 for name, value in expected_weights(config).items()}
    state |= {name: torch.ones_like(value) for name, value in state.items() if name.endswith("running_var")}
    return fill(config, state, dtype).to(device)


class Recaptioning:
    """What `Captioning` does, without caches; where beams do not share the memory, each has a copy of it."""

    def __init__(self, network: Network, memory: Memory, shared: bool) -> None:
        self._network, self._memory, self._shared = network, memory, shared

    def logits(self, tokens: Tensor) -> Tensor:
        """See `Continuation`."""
        states = self._memory.states
        copies = states if self._shared else states.repeat_interleave(len(tokens) // len(states), 0)
        decoding = self._network.decoder.begin(replace(self._memory, states=copies), tokens.shape[1])
        return self._network.logits(decoding.advance(self._network.embed_tokens(tokens))[:, -1])

    def keep(self, rows: Tensor, pictures: Tensor) -> None:
        """See `Continuation`."""
        self._memory = replace(self._memory, states=self._memory.states[pictures])


@torch.inference_mode()
def caption(network: Network, pixels: Tensor, begin: Callable[[Memory], Continuation]) -> Made:
    """pixels (pictures, 3, side, side); captions of each."""
    question = torch.tensor([QUESTION], device=pixels.device).expand(len(pixels), -1)
    return search(begin(network.encode(pixels, question)), len(pixels), SETTINGS, pixels.device)


class Clock:
    """Seconds of wall time in each of some parts of a network, the inner ones in the outer ones too."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.spent: dict[str, float] = {}

    def now(self) -> float:
        """Once the device has done what it was given."""
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    @contextmanager
    def watching(self, parts: dict[str, nn.Module]) -> Iterator[None]:
        """Counts the time of these parts."""
        started: dict[str, float] = {}

        def start(name: str) -> Callable[..., None]:
            return lambda *_: started.update({name: self.now()})

        def stop(name: str) -> Callable[..., None]:
            return lambda *_: self.spent.update({name: self.spent.get(name, 0.0) + self.now() - started[name]})

        hooks = [part.register_forward_pre_hook(start(name)) for name, part in parts.items()]
        hooks += [part.register_forward_hook(stop(name)) for name, part in parts.items()]
        yield
        for hook in hooks:
            hook.remove()


def measure(size: str, pictures: int, turns: int, device: torch.device) -> Table:
    """The table of one size."""
    half = torch.bfloat16 if device.type == "cuda" else torch.float32
    network = random_network(size, device, half)
    pixels = torch.randn(pictures, 3, SIDE, SIDE, device=device, dtype=half)
    words = SETTINGS.max_length + 1
    ways: dict[str, Callable[[], Made]] = {
        TOGETHER: lambda: caption(network, pixels, lambda memory: Captioning(network, memory, words)),
        ALONE: lambda: [
            captions
            for picture in pixels
            for captions in caption(network, picture[None], lambda memory: Captioning(network, memory, words))
        ],
        UNCACHED: lambda: caption(network, pixels, lambda memory: Recaptioning(network, memory, shared=False)),
        SHARED: lambda: caption(network, pixels, lambda memory: Recaptioning(network, memory, shared=True)),
    }
    if device.type == "cuda":
        whole = random_network(size, device, torch.float32)
        exact = pixels.float()
        ways[FLOAT32] = lambda: caption(whole, exact, lambda memory: Captioning(whole, memory, words))
    caption(network, pixels[:1], lambda memory: Captioning(network, memory, words))  # warm
    clock = Clock(device)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    made: dict[str, Made] = {}
    for _ in range(turns):
        for name, way in ways.items():
            parts = {"ResNet": network.encoder.embed_images, "encoder": network.encoder} if name == TOGETHER else {}
            start = clock.now()
            with clock.watching(parts):
                made[name] = way()
            seconds[name].append(clock.now() - start)
    return _table(size, pictures, seconds, clock.spent, made, device)


def _table(
    size: str,
    pictures: int,
    seconds: dict[str, list[float]],
    spent: dict[str, float],
    made: dict[str, Made],
    device: torch.device,
) -> Table:
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    table = Table(title=f"OFA-{size}, {pictures} pictures, {where}", title_justify="left")
    for column in ("", "s", "pictures/s", "time / together", "same captions"):
        table.add_column(column, justify="left" if not column else "right")
    for name, times in seconds.items():
        ratio = median(taken / base for taken, base in zip(times, seconds[TOGETHER], strict=True))
        same = sum(ours[0].tokens == others[0].tokens for ours, others in zip(made[TOGETHER], made[name], strict=True))
        taken = median(times)
        table.add_row(name, f"{taken:.2f}", f"{pictures / taken:.2f}", f"{ratio:.2f}", f"{same} of {pictures}")
    whole = sum(seconds[TOGETHER])
    resnet, encoder = spent["ResNet"] / whole, spent["encoder"] / whole
    table.caption = (
        f"Together: ResNet {resnet:.0%}, the rest of the encoder {encoder - resnet:.0%}, decoder {1 - encoder:.0%}; "
        f"without caches the decoder takes {_decoding_ratio(seconds, spent):.1f} times as long"
    )
    return table


def _decoding_ratio(seconds: dict[str, list[float]], spent: dict[str, float]) -> float:
    """How much longer decoding takes without caches; what comes before it is the same."""
    before = spent["encoder"]
    return (sum(seconds[UNCACHED]) - before) / (sum(seconds[TOGETHER]) - before)


def main() -> None:
    """Prints a table a size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["base", "large"])
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    console = Console(width=None if sys.stdout.isatty() else 110)
    for size in options.sizes:
        console.print(measure(size, options.pictures, options.turns, device))


if __name__ == "__main__":
    main()
