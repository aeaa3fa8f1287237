"""Room of the forecasts: ways to forecast a series, scores of what they said, generators of errors as they really are."""
