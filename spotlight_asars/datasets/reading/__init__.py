"""Reading of published files: parse and check (``tables``), make a log (``events``)."""
