"""Contracts of sites with their grid operator: rights, limitations, group caps, tariffs; pure, no file is read here."""
