"""torchvision beside a CPU build of torch; each case in an interpreter of its own, because an import happens once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch


def _run(code: str, *path: Path) -> str:
    pytest.importorskip("torch")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_what_imports_torchvision_can_be_imported() -> None:
    code = """
from unprompt.models.networks.torchvision_cure import _schemas, cure_torchvision
cure_torchvision()
needed = len(_schemas)
cure_torchvision()
import timm, torchvision.transforms
from transformers import BertModel
print(needed <= 1, len(_schemas) == needed, timm.is_model("vit_tiny_patch16_224"), BertModel.__name__)
"""
    assert _run(code) == "True True True BertModel"


def test_a_torchvision_that_works_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "torchvision.py").write_text("works = True")
    code = """
from unprompt.models.networks.torchvision_cure import _schemas, cure_torchvision
cure_torchvision()
import torch, torchvision
print(torchvision.works, _schemas, hasattr(torch.ops.torchvision, "nms"))
"""
    assert _run(code, tmp_path) == "True [] False"


def test_another_fault_of_torchvision_is_not_hidden(tmp_path: Path) -> None:
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('disk on fire')")
    code = """
from unprompt.models.networks.torchvision_cure import cure_torchvision
try:
    cure_torchvision()
except RuntimeError as error:
    print(error)
"""
    assert _run(code, tmp_path) == "disk on fire"


def test_no_torchvision_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "torchvision.py").write_text("raise ModuleNotFoundError('No module named torchvision')")
    code = """
import sys
from unprompt.models.networks.torchvision_cure import cure_torchvision
cure_torchvision()
print("torch" in sys.modules)
"""
    assert _run(code, tmp_path) == "False"
