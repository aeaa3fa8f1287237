"""The large-scale solver: price decomposition with a proven bound (docs/model.md, "How many jobs are planned").

``case`` holds a problem as flat arrays, ``kernels`` what is done for every job in compiled code, ``energy`` the energy side,
``bound`` and ``prices`` the dual, ``construct`` and ``improve`` the plan.
"""
