"""Recorded traces of jobs, and the signals that they are replayed against, as arrays.

``trace`` holds a trace (a structure of arrays, never one object a job) and what was repaired in it; ``swf``, ``arrivals`` and
``opendc`` each read one format in pieces; ``signals`` reads carbon intensities and prices through the readers of ``grid.feeds``;
``read`` tells the formats apart. What is wrong becomes findings, all at once; what is mended is counted, never silent.
"""
