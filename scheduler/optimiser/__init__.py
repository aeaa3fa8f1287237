"""The MILP: one constraint family a function, in words first; bound and gap with every plan."""
