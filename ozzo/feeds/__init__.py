"""Fetching live feeds: the only place that opens connections for outside data.

``http`` is one careful request (TLS, time-outs, retries, pauses, secrets kept out of words), ``endpoints`` says what each service
is asked, ``fetch`` keeps the last good answer of every feed of a scenario. Readers are in ``grid.feeds``. The services cannot be
reached from where ozzo is tested: tests run against a server on this machine that answers in the documented shapes.
"""
