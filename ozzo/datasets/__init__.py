"""Public datasets by name: what they are, whose they are, where they lie, and whether a copy is the one that was meant.

``table`` is the list (licence, citation, address, checksum), ``download`` brings one file and goes on where it was cut off,
``shelf`` is the folder that files are put in, with the checksums of what lies there. Nothing of the data ships with ozzo.
"""
