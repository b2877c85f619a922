"""Ready callbacks of ``fit``: the loss and the validation of each epoch, for TensorBoard and for MLflow.

A callback is any function of a model and the number of an epoch, ``fit(sessions, callbacks=[function])``:

>>> from spotlight_asars import ASARSSequenceModel, SessionInteractions
>>> seen = []
>>> model = ASARSSequenceModel(n_iter=2, random_state=0)
>>> model = model.fit(SessionInteractions([[1, 2, 3]]), callbacks=[lambda model, epoch: seen.append(epoch)])
>>> seen
[1, 2]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spotlight_asars.runtime.distributed import processes


class TensorBoardMetrics:
    """Writes the metrics of each epoch where TensorBoard reads them.

    Parameters
    ----------
    folder : str or Path
        Of this run.

    Raises
    ------
    ImportError
        Without tensorboard.
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            way_out = "pip install 'spotlight-asars[tensorboard]' brings it"
            raise ImportError(f"TensorBoardMetrics needs tensorboard; {way_out}") from error
        self._open, self._folder = SummaryWriter, str(folder)
        self._writer: Any = None

    def __call__(self, model: Any, epoch: int) -> None:
        """Write the latest epoch; on the first rank alone."""
        if processes().rank > 0:
            return
        if self._writer is None:
            self._writer = self._open(self._folder)
        for name, value in latest_metrics(model).items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def close(self) -> None:
        """Close the file; a later epoch opens another one."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class MLflowMetrics:
    """Logs the metrics of each epoch to MLflow's active run, which it starts where there is none.

    Raises
    ------
    ImportError
        Without mlflow.
    """

    def __init__(self) -> None:
        try:
            import mlflow
        except ImportError as error:
            way_out = "pip install 'spotlight-asars[mlflow]' brings it"
            raise ImportError(f"MLflowMetrics needs mlflow; {way_out}") from error
        self._mlflow = mlflow

    def __call__(self, model: Any, epoch: int) -> None:
        """Log the latest epoch; on the first rank alone."""
        if processes().rank == 0:
            self._mlflow.log_metrics(latest_metrics(model), step=epoch)


def latest_metrics(model: Any) -> dict[str, float]:
    """What the latest epoch of a model found, by name: the loss, and the validation where there was one."""
    loss, validation = model.epochs[-1]
    return {"loss": loss} if validation is None else {"loss": loss, "validation": validation}
