"""Readers of outside data: each turns one kind of file into series, and reports every repair.

``reading`` holds what a reader found (``Reading``, ``Fault``); ``table``, ``market_prices``, ``electricity_maps``,
``csv_series``, ``open_meteo`` and ``simbench_profiles`` each know one format and its traps. Nothing here guesses: a file
with faults is refused, or repaired when the scenario asks for it, and the report says so.
"""
