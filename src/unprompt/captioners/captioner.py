"""A captioner run by torch: loaded when first asked, in batches on a GPU, a picture at a time on the CPU."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from operator import attrgetter
from typing import Protocol

import torch
from torch import Tensor, nn

from unprompt.captioners.hypotheses import first_sound
from unprompt.captioners.settings import CaptionSettings
from unprompt.images.decode import Picture
from unprompt.models.networks.device import OnDevice, ShrinkingBatches


class Writer(Protocol):
    """A captioning network with its weights, on its device."""

    network: nn.Module

    def see(self, picture: Picture) -> Tensor:
        """Its pixels (3, height, width), as the network wants them."""

    def write(self, pixels: Tensor) -> Tensor:
        """pixels (pictures, 3, height, width); returns tokens (pictures, hypotheses, length), best first, on the CPU.

        The length is the same in every call.
        """

    def read(self, tokens: Sequence[int]) -> str:
        """The text of a hypothesis, without the question."""


@dataclass(frozen=True, slots=True)
class WriterSource:
    """Where a writer comes from: `load` reads its weights for a device, `identify` gives their hash.

    Both raise ModelError where they cannot be had.
    """

    load: Callable[[torch.device], Writer]
    identify: Callable[[], str]


class TorchCaptioner:
    """Pictures to sentences by one network; satisfies `interrogation.captions.Captioner`.

    On the CPU a caption is the same to the bit whatever else is in the call, because each picture goes through alone.
    On a GPU weights are halved and pictures go in batches. Calls from several threads wait for each other. Raises
    ModelError at the first picture where the weights cannot be had, NoRoomError where the device has no room for one.
    """

    shorter_side = None
    """The network's own processor reduces a picture from every pixel that it has."""

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
        """See `Captioner`. Reads every weight once where they are not the hub's."""
        return {self.name: self._identity}

    def captions(self, pictures: Sequence[Picture]) -> list[str]:
        """See `Captioner`."""
        with self._lock:
            return list(chain.from_iterable(self._batches(pictures, self._captions)))

    def unload(self) -> None:
        """Makes room on the device, after what is going on; the next picture brings the weights back.

        They wait in main memory or, where that is the device's, on disk.
        """
        with self._lock:
            self._batches.begin_anew()
            self._writer.unload()

    def _captions(self, pictures: Sequence[Picture]) -> list[str]:
        writer = self._writer.bring()
        pixels = torch.stack([writer.see(picture) for picture in pictures])
        with torch.inference_mode():
            hypotheses = writer.write(pixels.to(self._writer.device))
        return [self._caption([writer.read(tokens) for tokens in proposed]) for proposed in hypotheses.tolist()]

    def _caption(self, hypotheses: Sequence[str]) -> str:
        caption = first_sound(hypotheses).lstrip(" ,")
        return caption + self.settings.suffix if caption else ""

    @cached_property
    def _identity(self) -> str:
        return self._source.identify()
