"""Loads Stable Diffusion by name or from a folder, for one device, without running code from it (torch, diffusers)."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any, TypeAlias

import torch

from unprompt.datasets.generation.hub_model import INDEX, is_hub_name
from unprompt.datasets.generation.settings import SCHEDULER
from unprompt.display import first_line, printable
from unprompt.errors import DataError, ModelError
from unprompt.models.networks.torchvision_cure import cure_torchvision
from unprompt.models.store.hub_cache import cache_alone
from unprompt.models.store.hub_download import check_reachable
from unprompt.progress import Report

Pipeline: TypeAlias = Any
"""A diffusers.StableDiffusionPipeline, whose own annotations cover neither its components nor calling it."""

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}

_INDEX_LIMIT_BYTES = 1 << 20
_CLASS = "StableDiffusionPipeline"
_LIBRARIES = ("diffusers", "transformers", "stable_diffusion")
"""The libraries from which an index may name classes; diffusers would import any module that it names."""


def choose_device(name: str) -> torch.device:
    """The device called `name`, or the best of this machine for "auto". Raises DataError if there is no such device."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch built without that device
        found = f"{printable(name)!r}: {first_line(error)}"
        raise DataError(f"expected a device of this machine, such as cpu or cuda, found {found}") from error
    return device


def load_pipeline(model: str, *, device: torch.device, precision: str, offline: bool, report: Report) -> Pipeline:
    """Load the pipeline of a hub model or a local folder, with DPM-Solver++ (Lu et al. 2022) as scheduler.

    A hub model that is not cached is downloaded, which is reported, unless `offline`. Only safetensors are read. Raises
    ModelError if the weights are missing, incomplete or of another kind of model.
    """
    cure_torchvision()
    import diffusers
    import transformers
    from safetensors import SafetensorError

    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    folder = _folder_of(model, offline=offline, report=report)
    _check_index(folder)
    try:
        with warnings.catch_warnings():  # about configs of old models, which users cannot change
            warnings.simplefilter("ignore", FutureWarning)
            pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
                folder, torch_dtype=DTYPES[precision], use_safetensors=True, local_files_only=True
            )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise ModelError(f"cannot load {printable(model)} from {folder}: {first_line(error)}") from error
    pipeline.scheduler = diffusers.DPMSolverMultistepScheduler.from_config(
        pipeline.scheduler.config, algorithm_type=SCHEDULER
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def _folder_of(model: str, *, offline: bool, report: Report) -> Path:
    """The folder of the model's files, downloaded if necessary and allowed."""
    if os.path.isdir(model):
        return Path(model)
    if not is_hub_name(model):
        raise ModelError(f"expected an existing folder, or a hub model as OWNER/NAME, found {printable(model)!r}")
    import httpx
    from diffusers import StableDiffusionPipeline
    from huggingface_hub import constants

    try:
        with cache_alone():
            return Path(StableDiffusionPipeline.download(model, use_safetensors=True, local_files_only=True))
    except (OSError, ValueError) as error:
        if offline or constants.HF_HUB_OFFLINE:
            raise ModelError(
                f"expected the weights of {printable(model)} in {constants.HF_HUB_CACHE}, found none or not all; run "
                "once without --offline and HF_HUB_OFFLINE, or copy the model's folder from another machine and give "
                "it as --model FOLDER"
            ) from error
    check_reachable(printable(model))
    report(f"fetching the weights of {printable(model)} into {constants.HF_HUB_CACHE}, several GB")
    try:
        return Path(StableDiffusionPipeline.download(model, use_safetensors=True))
    except (OSError, ValueError, httpx.HTTPError) as error:
        found = first_line(error.__cause__ or error)
        raise ModelError(
            f"cannot fetch {printable(model)}: {found}; check the name and the network, or give a local folder as "
            "--model"
        ) from error


def _check_index(folder: Path) -> None:
    """Raise ModelError if a folder is not a Stable Diffusion pipeline, or requires code of its own."""
    try:
        with (folder / INDEX).open("rb") as file:
            index = json.loads(file.read(_INDEX_LIMIT_BYTES))
    except FileNotFoundError as error:
        raise ModelError(f"expected a diffusers model with a {INDEX} in {folder}, found none") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"cannot read {folder / INDEX}: {error}") from error
    found = index.get("_class_name") if isinstance(index, dict) else None
    if found != _CLASS:
        raise ModelError(f"expected a {_CLASS} (Stable Diffusion 1 or 2) in {folder}, found {printable(repr(found))}")
    for name, part in index.items():
        known = isinstance(part, list) and len(part) == 2 and part[0] in (*_LIBRARIES, None)
        if isinstance(part, list) and not name.startswith("_") and not known:
            raise ModelError(
                f"expected {printable(name)} to come from {' or '.join(_LIBRARIES)}, found {printable(repr(part))} in "
                f"{folder / INDEX}; code of models is never run"
            )
