"""Reading of published files: find and unpack (``files``), parse and check (``tables``), make a log (``events``)."""
