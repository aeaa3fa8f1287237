"""The controller that stays: ``ozzo serve``, with its state, modes, overrides, evidence and standby.

``loop`` observes, plans, rehearses, commands and records until it is told to leave; ``fleet`` speaks with nodes that may be away;
``state`` keeps everything in one SQLite file, from which a killed controller goes on; ``leader`` says who may speak.
"""
