"""What should run: jobs, data, sites, the optimiser, the plan and its reasons (floor 2, imports only ``grid``)."""
