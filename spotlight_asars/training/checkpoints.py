"""Checkpoints: a fit that is killed at any moment and started again ends in the same weights, bit for bit.

- A checkpoint holds all that the rest of the training depends on: weights and optimizer state, now, from before the
  epoch and of the best epoch; the average of the weights, which then are those from before the epoch; the losses so
  far; and every random state, that from which the order of the epoch was drawn among them.
- The latest is in ``latest.safetensors``, the one before it in ``previous.safetensors``. At any moment one of them is
  whole, and either leads to the same end.
- A checkpoint of other sessions or other options is refused.
- Of several processes, rank 0 writes, with the random states of all; every rank reads, so all must see the folder.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from numpy.random import RandomState
from torch import Tensor

from spotlight_asars._checks import require, whole
from spotlight_asars.runtime import tensor_files
from spotlight_asars.runtime.distributed import gathered, processes, wait_for_all
from spotlight_asars.training.progress import Epoch, Progress, Snapshot, copy_weights

FORMAT = 4  # to be raised when files change so that other versions would misread them
LATEST, PREVIOUS = "latest.safetensors", "previous.safetensors"


class Checkpoints:
    """The checkpoints of one fit.

    Parameters
    ----------
    folder : str or path
        Is made if it does not exist.
    every : int, optional
        Batches between two checkpoints within an epoch. There is one at the start of each epoch in any case.
    fit : dict of str
        What the fit is of, by its name: of another fit's checkpoints none is taken.
    random_state : RandomState
        From which the order of each epoch, and the negatives, are drawn.
    device : torch.device
        Whose generator, and that of the CPU, is kept as well.

    Raises
    ------
    OSError
        If the folder can't be written to.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        every: int | None,
        fit: Mapping[str, str],
        random_state: RandomState,
        device: torch.device,
    ) -> None:
        if every is not None:
            whole(every, "every", least=1)
        self._folder, self._every, self._fit = Path(folder).expanduser(), every, dict(fit)
        self._random_state, self._device = random_state, device
        self._order = random_state.get_state(legacy=False)  # from which the order of the epoch was drawn
        self._draws_again = False
        if processes().rank > 0:
            return
        with self._clear_errors():
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder):
                pass
            for left_by_a_kill in self._folder.glob(f".{LATEST}.*"):
                left_by_a_kill.unlink()

    def is_due(self, batches: int) -> bool:
        """Whether to save after so many batches of an epoch."""
        return self._every is not None and batches % self._every == 0

    @contextmanager
    def drawing_order(self) -> Iterator[None]:
        """Inside, the order of an epoch is drawn; for an epoch that was interrupted, the same as before."""
        now = self._random_state.get_state(legacy=False)
        if not self._draws_again:
            self._order = now
            yield
        else:
            self._draws_again = False
            self._random_state.set_state(self._order)
            yield
            self._random_state.set_state(now)

    def save(self, progress: Progress) -> None:
        """Make this the latest checkpoint, and the latest the one before it; to be called by all ranks.

        Raises
        ------
        OSError
            If it can't be written: the latest is still the latest.
        """
        good, kept, average = progress.good, progress.stopping.kept, progress.average
        now = progress.net.state_dict(), progress.optimizer.state_dict()
        if good is not None and not progress.losses:  # the same tensors are written once
            now = {**now[0], **good.saved[0]}, good.saved[1]
        content = {
            "now": now,
            "good": good and good.saved,
            "kept": kept and kept.saved,
            "average": average and (int(average.n_averaged), list(average.parameters())),
            "best": progress.stopping.best,
            "waited": progress.stopping.waited,
            "epochs": [tuple(epoch) for epoch in progress.epochs],
            "losses": torch.stack(progress.losses) if progress.losses else None,
            "finished": progress.finished,
            "torch": self._torch_states(),
            "numpy": self._random_state.get_state(legacy=False),
            "order": self._order,
        }
        if processes().rank > 0:
            return
        try:
            packed, arrays = tensor_files.pack(content)
        except TypeError as error:
            rule = "optimizer_func must make an optimizer whose state is of tensors, numbers and strings"
            raise TypeError(f"{rule}; {str(error).partition('; ')[2]}. Without checkpoint it serves") from None
        header = {"checkpoint": FORMAT, "fit": self._fit, "content": packed}
        with self._clear_errors():
            tensor_files.write(self._folder / LATEST, header, arrays, earlier=self._folder / PREVIOUS)

    def resume(self, progress: Progress) -> None:
        """Go on from the latest checkpoint, if there is one; to be called by all ranks.

        Raises
        ------
        ValueError
            If the file is not whole, no checkpoint, or that of another fit; if not all ranks see the same.
        """
        wait_for_all()  # rank 0 may still be writing the last one of a fit that was stopped
        path = self._folder / LATEST
        if not path.exists():
            path = self._folder / PREVIOUS
        if path.exists():
            self._restore(progress, path)
        place = [len(progress.epochs), len(progress.losses), int(progress.finished)]
        places = gathered(torch.tensor(place)).tolist()
        rule = (
            f"checkpoint must be a folder that all ranks see, with the same epochs and batches; {str(self._folder)!r}"
        )
        require(all(other == place for other in places), rule, places)

    def _restore(self, progress: Progress, path: Path) -> None:
        content = self._read(path)
        trained, stopping = (progress.net, progress.optimizer), progress.stopping
        try:
            Snapshot.of(*trained, content["now"]).restore()
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise ValueError(f"checkpoint must fit the net; got {str(path)!r}: {reason}") from None
        good, kept = content["good"], content["kept"]
        progress.good = good and Snapshot.of(*trained, good, but_weights=progress.average is not None)
        stopping.kept = kept and Snapshot.of(*trained, kept)
        stopping.best, stopping.waited = content["best"], content["waited"]
        if progress.average is not None:
            epochs, weights = content["average"]
            progress.average.n_averaged.fill_(epochs)
            copy_weights(weights, progress.average)
        progress.epochs = [Epoch(*epoch) for epoch in content["epochs"]]
        progress.losses = [] if content["losses"] is None else list(content["losses"].to(self._device).unbind())
        progress.finished = content["finished"]
        self._set_torch_states(content["torch"])
        self._random_state.set_state(content["numpy"])
        self._order, self._draws_again = content["order"], bool(progress.losses)

    def _read(self, path: Path) -> dict[str, Any]:
        """What ``save`` wrote, if it was for this fit."""
        other = self._folder / PREVIOUS
        way_out = f"Without it, fit goes on from {PREVIOUS}" if path != other and other.exists() else ""
        try:
            header, arrays = tensor_files.read(path)
        except ValueError as error:
            raise ValueError(_sentence(f"checkpoint must be whole; got {str(path)!r}: {error}", way_out)) from None
        found = header.get("checkpoint") if isinstance(header, dict) else None
        newer = isinstance(found, int) and found > FORMAT
        wrote_it = f"{'A newer' if newer else 'An earlier'} version of spotlight_asars wrote it, and goes on from it"
        require(found == FORMAT, f"checkpoint must be of format {FORMAT}, in {str(path)!r}", found, wrote_it)
        for name in sorted(self._fit.keys() | header["fit"].keys()):
            ours, theirs = self._fit.get(name), header["fit"].get(name)
            rule = f"checkpoint must be of a fit with {name} {ours}, in {str(path)!r}"
            require(theirs == ours, rule, theirs, "Give every fit a folder of its own")
        content: dict[str, Any] = tensor_files.unpack(header["content"], arrays)
        return content

    def _torch_states(self) -> dict[str, Tensor]:
        """Of all ranks: uint8 (ranks, bytes)."""
        states = {"cpu": gathered(torch.get_rng_state())}
        if self._device.type == "cuda":
            states["cuda"] = gathered(torch.cuda.get_rng_state(self._device))
        return states

    def _set_torch_states(self, states: dict[str, Tensor]) -> None:
        torch.set_rng_state(states["cpu"][processes().rank].clone())
        if "cuda" in states:
            torch.cuda.set_rng_state(states["cuda"][processes().rank].clone(), self._device)

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        """Raise what the operating system refuses with a message that names the argument."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            raise OSError(
                f"checkpoint must be a folder with room to write to; got {str(self._folder)!r}: {reason}. "
                "The checkpoints that are there are as they were"
            ) from error


def _sentence(text: str, way_out: str) -> str:
    return f"{text}. {way_out}" if way_out else text
