"""The vectors of a bank by many workers: each encodes every Nth portion of the prompts, as shards of a run."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from unprompt.bank.building import Counts, Encoded, Known, portions
from unprompt.bank.layout import Makers
from unprompt.display import printable
from unprompt.errors import DataError
from unprompt.scale.listing import POSITION, Listing
from unprompt.scale.merging import Missing, merged, parts_of
from unprompt.scale.runs import Run
from unprompt.scale.shards import Work


def list_portions(prompts: Iterable[str], counts: Counts) -> Listing:
    """How many portions the prompts are, and a hash of all. Memory is 8 bytes per prompt. Raises DataError for none."""
    digest, number = hashlib.sha256(), 0
    for portion in portions(prompts, counts):
        digest.update(_hash(portion).encode())
        number += 1
    if not number:
        raise DataError("expected prompts for the bank, found none; give some that are neither empty nor too long")
    return Listing(number, digest.hexdigest())


def run_of(makers: Makers, listing: Listing, shards: int, lease_s: float, command: Sequence[str]) -> Run:
    """What all who encode for one bank agree on."""
    return Run(shards, lease_s, listing.pictures, listing.sha256, makers.to_json(), {"of": "a bank"}, command)


def encode_shard(
    work: Work, run: Run, prompts: Iterable[str], encode: Known, advance: Callable[[int], None] = lambda _count: None
) -> None:
    """Encode the portions of a shard that its part lacks; `advance` is told the prompts of each that is there.

    Raises LostShardError, DataError if the prompts are not those of the run, and what `encode` raises.
    """
    with work.part.open("ab") as file:
        digest, number, own = hashlib.sha256(), 0, 0
        for number, portion in enumerate(portions(prompts, Counts()), 1):
            digest.update(_hash(portion).encode())
            if run.shards is None or (number - 1) % run.shards != work.shard:
                continue
            work.check()
            if own >= work.lines:
                file.write(_line(number - 1, portion, encode(portion)))
                file.flush()
            own += 1
            advance(len(portion))
    if (number, digest.hexdigest()) != (run.pictures, run.listing):
        raise DataError(f"the prompts changed while shard {work.shard} was encoded; begin anew in another -o")


def known_vectors(folder: Path, run: Run) -> Known:
    """The vectors that shards have encoded, portion by portion in order. Raises DataError for other prompts."""
    lines = (placed.line for placed in merged(parts_of(folder, run), run, Missing()))
    return lambda portion: _vectors(next(lines, b"null"), portion, folder)


def _line(position: int, portion: Sequence[str], vectors: Encoded) -> bytes:
    compared = None if vectors.compared is None else base64.b64encode(vectors.compared).decode()
    record = {
        POSITION: position,
        "prompts": _hash(portion),
        "sentences": base64.b64encode(vectors.sentences).decode(),
        "compared": compared,
    }
    return (json.dumps(record) + "\n").encode()


def _vectors(line: bytes, portion: Sequence[str], folder: Path) -> Encoded:
    try:
        record = json.loads(line)
        if record["prompts"] != _hash(portion):
            raise ValueError("they are of other prompts")
        compared = record["compared"]
        return Encoded(
            base64.b64decode(record["sentences"], validate=True),
            None if compared is None else base64.b64decode(compared, validate=True),
        )
    except (ValueError, TypeError, LookupError) as error:
        raise DataError(
            f"expected vectors of these prompts in {printable(str(folder))}, found others; give the prompts that its "
            "shards were encoded from"
        ) from error


def _hash(portion: Sequence[str]) -> str:
    return hashlib.sha256("".join(f"{prompt}\n" for prompt in portion).encode("utf-8", "surrogatepass")).hexdigest()
