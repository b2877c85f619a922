"""``ASARSSequenceModel``: its options, how it is built and fitted, and its files."""

from spotlight_asars.model.asars_model import ASARSSequenceModel

__all__ = ["ASARSSequenceModel"]
