"""What a bank needs on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from unprompt.bank.bank import Bank
from unprompt.bank.index import CONFIG as INDEX_CONFIG
from unprompt.bank.index import FOLDER as INDEX_FOLDER
from unprompt.bank.index import Index
from unprompt.errors import DataError
from unprompt.models.store.needs import Need, NeededFile, file_need


def bank_need(folder: Path, model: str, *, approximate: bool = False) -> Need:
    """The need for a bank made with a two-tower model. A bank that is half built, cut short or empty counts as missing.

    With `approximate`, a sound index is needed too; if only that is missing, it is reported as a file of its own.
    """
    name, way = f"bank {folder}", f"make it with 'unprompt bank build PROMPTS --clip {model} -o {folder}'"
    if not folder.exists():
        return file_need(name, folder, way)
    try:
        bank = Bank.open(folder)
    except DataError as error:
        return Need(name, (NeededFile(folder.name, folder, here=False),), way, fault=error)
    need = file_need(name, folder, way)
    if approximate:
        try:
            Index.open(bank)
        except DataError as error:
            index = Path(INDEX_FOLDER, INDEX_CONFIG)
            lacking = NeededFile(index.as_posix(), folder / index, here=False)
            return replace(need, files=(*need.files, lacking), fault=error)
    return need
