"""`unprompt bank build` in shards: prompts that several machines encode, and their vectors put together."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from unprompt.cli.progress import Steps
from unprompt.cli.sharding import ShardOptions, given_command, said_missing, work_on
from unprompt.errors import EXIT_FINE, DataError

if TYPE_CHECKING:
    from unprompt.bank.building import Known
    from unprompt.bank.layout import Numbers
    from unprompt.scale.places import Place
    from unprompt.scale.shards import Work
    from unprompt.towers.two_tower import TwoTower


def encode_shards(
    options: ShardOptions,
    place: Place,
    prompts: Callable[[], Iterator[str]],
    towers: TwoTower,
    numbers: Numbers,
    threads: int,
    *,
    quiet: bool,
) -> int:
    """Encodes the chosen shards of the prompts, which are read once for each and once before; returns the exit code."""
    from unprompt.bank.building import Counts, encoding
    from unprompt.bank.layout import Makers
    from unprompt.scale.banks import encode_shard, list_portions, run_of

    shards, wanted = options.chosen(place)
    makers = Makers.of(towers, numbers)
    listing = list_portions(prompts(), Counts())
    run = run_of(makers, listing, shards, options.lease_s, given_command())
    steps = Steps(quiet=quiet)

    def compute(work: Work) -> int:
        with encoding(towers, makers, threads) as encode, steps("encoding", None) as advance:
            encode_shard(work, run, prompts(), encode, advance)
        return EXIT_FINE

    return work_on(place, run, wanted, compute, quiet=quiet)


@contextlib.contextmanager
def vectors_in(where: str | None, towers: TwoTower, numbers: Numbers) -> Iterator[Known | None]:
    """The vectors that shards have computed, if there are any.

    Raises DataError if shards are missing, or were encoded by another model.
    """
    if where is None:
        yield None
        return
    from unprompt.bank.layout import Makers
    from unprompt.scale.banks import known_vectors
    from unprompt.scale.merging import missing_shards
    from unprompt.scale.places import place_at
    from unprompt.scale.runs import read_run

    place = place_at(where)
    run = read_run(place)
    if run.model != Makers.of(towers, numbers).to_json():
        raise DataError(
            f"expected vectors of {towers.name} as {numbers} in {place}, found others; give the --clip, --weights and "
            "--numbers of its shards"
        )
    if shards := missing_shards(place, run):
        raise DataError(said_missing(place, run, shards))
    with place.local() as folder:
        yield known_vectors(folder, run)
