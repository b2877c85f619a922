"""Training: the objective of one mini-batch, the loop over epochs, checkpoints and averaging."""

from spotlight_asars.training.loop import train
from spotlight_asars.training.objective import NextItemObjective

__all__ = ["NextItemObjective", "train"]
