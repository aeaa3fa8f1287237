"""Signals: where prices, carbon intensity and weather come from."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, model_validator

from scheduler.document.fields import Part, Text, Unit, about, custom

MOST_KW = 1e9
"""Highest power of a series: a terawatt, above any site."""
MOST_EUR_PER_MWH = 1e6
"""Highest price of a series, either sign: a hundred times the technical limits of markets and of imbalance."""
MOST_G_PER_KWH = 1e5
"""Highest carbon intensity of a series: a hundred times that of coal."""
PATH_WORDS = "Path (relative to the document's folder, or $OZZO_DATA/...)"


class SourcePart(Part):
    """A series over time from exactly one source.

    Of each kind ``UNIT`` is the unit, and ``RANGE`` what its values may be: one outside has another sign or unit, or is damaged.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("csv", "parquet")
    COMPANIONS: ClassVar[dict[str, tuple[str, ...]]] = {"csv": ("time", "value"), "parquet": ("time", "value")}

    csv: Annotated[Text | None, about(f"{PATH_WORDS} of a CSV file with a header; each value holds until the next time.")] = None
    parquet: Annotated[
        Text | None, about(f"{PATH_WORDS} of a Parquet file; timestamps without a zone are UTC; a value holds until the next.")
    ] = None
    time: Annotated[Text | None, about("Column of the times (csv, parquet).")] = None
    value: Annotated[Text | None, about("Column of the values (csv, parquet).")] = None
    unit: Annotated[Text | None, about("Unit of the values (csv, parquet); the signal's own unit when left out.")] = None
    time_zone: Annotated[
        Text | None,
        about("Clock of the file's times when they carry no offset (csv, market_prices); the scenario's when left out."),
    ] = None
    repair: Annotated[
        Literal["none", "interpolate"],
        about("What to do with gaps and clock-change faults: none reports them as findings, interpolate fills them and says so."),
    ] = "none"

    @model_validator(mode="after")
    def _one_source(self) -> SourcePart:
        given = [kind for kind in self.KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            found = f"both {given[0]} and {given[1]}" if given else "no source"
            raise custom(f"exactly one of {', '.join(self.KINDS)}", line_of=given[-1] if given else "", found=found)
        for kind, companions in self.COMPANIONS.items():
            missing = [name for name in companions if kind in given and getattr(self, name) is None]
            if missing:
                raise custom(f"also {' and '.join(missing)} beside {kind}", line_of=kind, found=f"{kind} without {missing[0]}")
        return self

    @property
    def kind(self) -> str:
        """Name of the source that is given."""
        return next(kind for kind in self.KINDS if getattr(self, kind) is not None)


class MeasuredPart(SourcePart):
    """A series of AC power in kW."""

    KINDS: ClassVar[tuple[str, ...]] = ("constant_kw", "quantiles", "csv", "parquet")
    UNIT: ClassVar[str] = "kW"
    RANGE: ClassVar[tuple[float, float]] = (0.0, MOST_KW)

    constant_kw: Annotated[float | None, about("The same power all the time.", ge=0), Unit("kW")] = None
    quantiles: Annotated[
        Text | None,
        about(
            f"{PATH_WORDS} of a forecast as quantiles: CSV or Parquet with a column 'time' and columns p10, p50, p90 or others;"
            " p50 is the forecast, and the quantiles are its error in place of errors.solar_sigma or wind_sigma."
        ),
    ] = None


HOURS = 24


def _every_hour(values: tuple[float, ...] | None) -> tuple[float, ...] | None:
    """One number for each hour of the local day."""
    if values is not None and len(values) != HOURS:
        raise custom(f"{HOURS} numbers, one for each hour of the local day from 00:00 on", found=f"{len(values)} numbers")
    return values


class TemperaturePart(SourcePart):
    """Outdoor temperature."""

    KINDS: ClassVar[tuple[str, ...]] = ("constant_c", "by_hour_c", "csv", "parquet")
    UNIT: ClassVar[str] = "degC"
    RANGE: ClassVar[tuple[float, float]] = (-60.0, 60.0)

    constant_c: Annotated[float | None, about("The same temperature all the time.", ge=-60, le=60), Unit("degC")] = None
    by_hour_c: Annotated[
        tuple[Annotated[float, about("Temperature.", ge=-60, le=60), Unit("degC")], ...] | None,
        AfterValidator(_every_hour),
        about("Temperature in each hour of every local day: 24 numbers."),
    ] = None


class HeatDemandPart(SourcePart):
    """Heat that somebody needs, in kW."""

    KINDS: ClassVar[tuple[str, ...]] = ("constant_kw", "by_hour_kw", "csv", "parquet")
    UNIT: ClassVar[str] = "kW"
    RANGE: ClassVar[tuple[float, float]] = (0.0, MOST_KW)

    constant_kw: Annotated[float | None, about("The same demand all the time.", ge=0), Unit("kW")] = None
    by_hour_kw: Annotated[
        tuple[Annotated[float, about("Demand.", ge=0), Unit("kW")], ...] | None,
        AfterValidator(_every_hour),
        about("Demand in each hour of every local day: 24 numbers."),
    ] = None


class PricePart(SourcePart):
    """Market price of electricity, before fees."""

    KINDS: ClassVar[tuple[str, ...]] = ("constant_eur_per_mwh", "table", "market_prices", "csv", "parquet", "feed")
    COMPANIONS: ClassVar[dict[str, tuple[str, ...]]] = {**SourcePart.COMPANIONS, "table": ("column",)}
    UNIT: ClassVar[str] = "EUR/MWh"
    RANGE: ClassVar[tuple[float, float]] = (-MOST_EUR_PER_MWH, MOST_EUR_PER_MWH)

    constant_eur_per_mwh: Annotated[float | None, about("The same price all the time; may be negative."), Unit("EUR/MWh")] = None
    table: Annotated[Text | None, about(f"{PATH_WORDS} of a CSV table with one row for each month and local hour.")] = None
    column: Annotated[Text | None, about("Column of that table.")] = None
    market_prices: Annotated[
        Text | None, about(f"{PATH_WORDS} of a day-ahead file with columns 'Datetime' (local) and 'Price (EUR/MWh)'.")
    ] = None
    feed: Annotated[Text | None, about("Name of a live feed of kind entsoe_prices.")] = None


class CarbonPart(SourcePart):
    """Carbon intensity of electricity."""

    KINDS: ClassVar[tuple[str, ...]] = ("constant_g_per_kwh", "table", "electricity_maps", "csv", "parquet", "feed")
    COMPANIONS: ClassVar[dict[str, tuple[str, ...]]] = {**SourcePart.COMPANIONS, "table": ("column",)}
    UNIT: ClassVar[str] = "g/kWh"
    RANGE: ClassVar[tuple[float, float]] = (0.0, MOST_G_PER_KWH)

    constant_g_per_kwh: Annotated[float | None, about("The same intensity all the time.", ge=0), Unit("g/kWh")] = None
    table: Annotated[Text | None, about(f"{PATH_WORDS} of a CSV table with one row for each month and local hour.")] = None
    column: Annotated[Text | None, about("Column of that table.")] = None
    electricity_maps: Annotated[
        Text | None, about(f"{PATH_WORDS} of a Parquet file with columns 'timestamp' (UTC) and 'carbon_intensity', average.")
    ] = None
    feed: Annotated[Text | None, about("Name of a live feed of kind electricity_maps (carbon_average only).")] = None


class WeatherPart(Part):
    """Weather, for solar and wind models, from exactly one source."""

    KINDS: ClassVar[tuple[str, ...]] = ("open_meteo", "epw", "tmy3", "feed")

    open_meteo: Annotated[Text | None, about(f"{PATH_WORDS} of an Open-Meteo archive file (JSON).", min_length=1)] = None
    epw: Annotated[
        Text | None,
        about(f"{PATH_WORDS} of an EnergyPlus weather file (EPW): a typical year.", min_length=1),
    ] = None
    tmy3: Annotated[Text | None, about(f"{PATH_WORDS} of a TMY3 file (NREL): a typical year.", min_length=1)] = None
    feed: Annotated[Text | None, about("Name of a live feed of kind open_meteo.", min_length=1)] = None
    repair: Annotated[
        Literal["none", "interpolate"], about("What to do with missing hours: none refuses them, interpolate fills them.")
    ] = "none"

    @model_validator(mode="after")
    def _one_source(self) -> WeatherPart:
        given = [kind for kind in self.KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            found = f"both {given[0]} and {given[1]}" if given else "no source"
            raise custom(f"exactly one of {', '.join(self.KINDS)}", line_of=given[-1] if given else "", found=found)
        return self

    @property
    def kind(self) -> str:
        """Name of the source that is given."""
        return next(kind for kind in self.KINDS if getattr(self, kind) is not None)


class SignalsPart(Part):
    """Signals that may differ from site to site."""

    price: Annotated[PricePart | None, about("Market price.")] = None
    carbon_average: Annotated[CarbonPart | None, about("Average carbon intensity; what reports account with.")] = None
    carbon_marginal: Annotated[CarbonPart | None, about("Marginal carbon intensity; for weights.carbon_signal: marginal.")] = None
    weather: Annotated[WeatherPart | None, about("Weather.")] = None
