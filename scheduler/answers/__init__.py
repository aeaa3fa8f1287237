"""Answers about a plan: why a job is here, what the second best costs, what would help, what energy and room are worth.

Nothing here reads or writes files; ``ozzo.commands_answers`` and its neighbours print what these modules find.
"""
