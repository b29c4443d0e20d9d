"""Runs a captioning network with torch: loaded on first use, in batches on a GPU, picture by picture on the CPU."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from operator import attrgetter
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from unprompt.captioners.hypotheses import first_sound
from unprompt.captioners.settings import CaptionSettings
from unprompt.images.decode import Picture
from unprompt.models.networks.device import OnDevice, ShrinkingBatches


class Writer(Protocol):
    """A captioning network with its weights, on its device."""

    network: nn.Module

    def see(self, picture: Picture) -> Any:
        """The picture's pixels, prepared for the network; in most, a tensor (3, height, width)."""

    def join(self, seen: Any, /) -> Any:
        """What several pictures gave in `see`, as one input that has `to(device)`; in most, (pictures, 3, ...)."""

    def write(self, pixels: Any) -> Tensor:
        """Caption what `join` gave.

        Returns tokens (pictures, hypotheses, length) on the CPU, best first; the length is the same in every call.
        """

    def read(self, tokens: Sequence[int]) -> str:
        """The text of a hypothesis, without the question."""


@dataclass(frozen=True, slots=True)
class WriterSource:
    """Where a writer comes from: `load` reads its weights for a device, `identify` returns their hash.

    Both raise ModelError if the weights are not available.
    """

    load: Callable[[torch.device], Writer]
    identify: Callable[[], str]


class TorchCaptioner:
    """Captions pictures with one network; a `Captioner` as in `interrogation.captions`.

    On the CPU each picture is processed alone, so its caption is the same to the bit whatever else is in the call. On a
    GPU weights are in half precision and pictures are batched. It is thread-safe; calls run one at a time. The first
    picture raises ModelError if the weights are not available, NoRoomError if the device has no room for them.
    """

    shorter_side = None
    """The full resolution, since the network's own processor scales pictures down from that."""

    def __init__(self, name: str, settings: CaptionSettings, source: WriterSource) -> None:
        self.name = name
        self.settings = settings
        self._source = source
        self._writer = OnDevice(
            name,
            lambda device: self._source.load(device),
            network_of=attrgetter("network"),
            forgets=True,
            ways="hide it (CUDA_VISIBLE_DEVICES=), or take a smaller captioner",
        )
        self._batches = ShrinkingBatches(settings.batch_size if self._writer.device.type == "cuda" else 1)
        self._lock = threading.Lock()

    def identities(self) -> Mapping[str, str]:
        """The captioner's name and hash. Unless the weights are from the hub, the first call reads all of them."""
        return {self.name: self._identity}

    def captions(self, pictures: Sequence[Picture]) -> list[str]:
        with self._lock:
            return list(chain.from_iterable(self._batches(pictures, self._captions)))

    def unload(self) -> None:
        """Free memory on the device once running calls are done; the next picture loads the weights again.

        Meanwhile they are in main memory or, if that is the device's memory, on disk.
        """
        with self._lock:
            self._batches.reset()
            self._writer.unload()

    def _captions(self, pictures: Sequence[Picture]) -> list[str]:
        writer = self._writer.bring()
        pixels = writer.join([writer.see(picture) for picture in pictures])
        with torch.inference_mode():
            hypotheses = writer.write(pixels.to(self._writer.device))
        return [self._caption([writer.read(tokens) for tokens in proposed]) for proposed in hypotheses.tolist()]

    def _caption(self, hypotheses: Sequence[str]) -> str:
        caption = first_sound(hypotheses).lstrip(" ,")
        return caption + self.settings.suffix if caption else ""

    @cached_property
    def _identity(self) -> str:
        return self._source.identify()
