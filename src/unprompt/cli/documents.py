"""Files that a command writes whole besides what it shows: checked before there is anything to lose."""

from __future__ import annotations

from collections.abc import Iterable


def check_documents(
    documents: Iterable[str | None],
    dataset: str,
    *,
    inputs: Iterable[str] = (),
    outputs: Iterable[str] = (),
    overwrite: bool,
    resume: bool = False,
) -> None:
    """Raise DataError if one cannot be written, or would replace anything that nobody said may be replaced.

    `dataset` and `inputs` are read. `outputs` are written beside the documents and check by themselves what they need.
    With `resume` a document is that of the earlier run, and is written again.
    """
    from unprompt.datasets.outputs import check_unread
    from unprompt.output.documents import check_apart, check_new, check_writable

    wanted = [document for document in documents if document is not None]
    check_apart([*wanted, *outputs], [dataset, *inputs])
    for document in wanted:
        check_unread(document, dataset)
        check_writable(document)
        check_new(document, overwrite=overwrite, resume=resume, begun=resume)
