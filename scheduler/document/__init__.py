"""The scenario document: YAML at the edge, ``scheduler.scenario.Scenario`` inside.

A document is read as a tree with lines (``tree``), templates are filled in (``templates``), the models check every field
(``model`` and the parts it is made of), ``checks`` looks at what fields say together, ``sources`` reads the series it names,
and ``loader`` builds the scenario. Every step adds to one list of findings, so that a person sees all of them at once.
"""

from scheduler.document.loader import check_file, check_notes, load_scenario, scenario_feeds

__all__ = ["check_file", "check_notes", "load_scenario", "scenario_feeds"]
