"""What energy costs and how much carbon it carries."""

from __future__ import annotations

from dataclasses import dataclass

from grid.series import Series


@dataclass(frozen=True, slots=True, eq=False)
class Tariff:
    """Prices at the meter.

    Attributes:
        import_eur_per_mwh: price of import: market price plus fees and taxes per MWh.
        export_eur_per_mwh: price paid for export; may be negative.
        peak_eur_per_kw: charge per kW of the highest 15-minute mean import above ``peak_reached_kw``.
        peak_reached_kw: peak already paid for in this billing period.
    """

    import_eur_per_mwh: Series
    export_eur_per_mwh: Series
    peak_eur_per_kw: float = 0.0
    peak_reached_kw: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Carbon:
    """Carbon intensity of imported energy; average and marginal are never mixed.

    Attributes:
        average_g_per_kwh: average intensity; used for accounting (reports).
        marginal_g_per_kwh: marginal intensity, or None; used in the objective when ``Weights.carbon_signal`` says so.
    """

    average_g_per_kwh: Series
    marginal_g_per_kwh: Series | None = None
