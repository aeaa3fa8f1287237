"""Room of the engines: clusters that run jobs by themselves and that ozzo drives from outside."""
