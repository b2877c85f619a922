"""What ``benchmark.py`` and ``ablations.py`` share: the ``runs``, the page of ``results`` and the ``figures``."""
