"""Readers of outside data: each turns one kind of file or answer into series, and reports every repair.

``reading`` holds what a reader found (``Reading``, ``Fault``); ``table``, ``market_prices``, ``electricity_maps``,
``csv_series``, ``parquet``, ``quantile_file``, ``open_meteo``, ``typical_year`` (EPW, TMY3), ``entsoe`` and ``simbench_profiles``
each know one format and its traps. Nothing here guesses: a file with faults is refused, or repaired when the scenario asks for
it, and the report says so. Nothing here opens a connection either: ``ozzo.feeds`` fetches answers into ``store``, and a scenario
that names a feed is read from there (``live``), with the age of the answer judged.
"""
