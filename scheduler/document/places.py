"""Sites, their energy assets and connections, and the links between them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from scheduler.data import Tier
from scheduler.document.cooling import CoolingPart
from scheduler.document.fields import Count, Name, Part, Text, TimeOfDay, Unit, about
from scheduler.document.fitted_errors import FittedErrorsPart
from scheduler.document.signals import MeasuredPart, SignalsPart
from scheduler.document.site_assets import AssetPart
from scheduler.document.storage import StoragePart

MANY = 100_000


class SleepPart(Part):
    """How a node sleeps that runs nothing; the plan in force wakes it in time, what no plan foresaw waits for it."""

    after_minutes: Annotated[float, about("Idle time after which it goes to sleep.", gt=0), Unit("min")]
    power_kw: Annotated[float, about("IT power while asleep.", ge=0), Unit("kW")]
    down_s: Annotated[float, about("Time that going to sleep takes; it cannot be broken off.", ge=0), Unit("s")]
    down_kw: Annotated[float, about("IT power in that time.", ge=0), Unit("kW")]
    up_s: Annotated[float, about("Time that waking up takes.", ge=0), Unit("s")]
    up_kw: Annotated[float, about("IT power in that time.", ge=0), Unit("kW")]


class NodesPart(Part):
    """A group of equal nodes."""

    name: Annotated[Name, about("Name of the group, unique in its site; nodes are called <site>.<name>-<number>.")]
    count: Annotated[Count, about("Number of nodes.", ge=1, le=MANY)] = 1
    cores: Annotated[Count, about("Cores of one node.", ge=1, le=MANY)]
    memory_gb: Annotated[float, about("Memory of one node.", ge=0), Unit("GB")]
    gpus: Annotated[Count, about("GPUs of one node.", ge=0, le=MANY)] = 0
    idle_kw: Annotated[float, about("IT power of one node that runs nothing.", ge=0), Unit("kW")]
    peak_kw: Annotated[float, about("IT power of one node whose cores are all busy.", ge=0), Unit("kW")]
    failsafe_kw: Annotated[
        float | None, about("Power cap of one node that lost its controller; idle_kw when left out.", ge=0), Unit("kW")
    ] = None
    sleep: Annotated[SleepPart | None, about("How a node sleeps that runs nothing; it never does when left out.")] = None


class SolarPart(Part):
    """Sun: a SimBench profile, or a model of weather on a tilted plane, or a measured series."""

    KIND: ClassVar[str] = "solar"

    peak_kw: Annotated[float | None, about("Installed peak power; not needed for a measured series.", gt=0), Unit("kW")] = None
    profile: Annotated[Text | None, about("SimBench profile, for example PV5; needs a network.")] = None
    tilt_deg: Annotated[float | None, about("Tilt from the horizontal; needs weather.", ge=0, le=90), Unit("deg")] = None
    azimuth_deg: Annotated[
        float | None, about("Direction, clockwise from north (south is 180); 180 when left out.", ge=0, le=360), Unit("deg")
    ] = None
    latitude_deg: Annotated[
        float | None, about("Latitude, north positive; that of the weather when left out.", ge=-90, le=90), Unit("deg")
    ] = None
    longitude_deg: Annotated[
        float | None, about("Longitude, east positive; that of the weather when left out.", ge=-180, le=180), Unit("deg")
    ] = None
    inverter_kw: Annotated[
        float | None,
        about("AC rating at which the inverter clips (with tilt_deg); peak_kw / 1.1 when left out.", gt=0),
        Unit("kW"),
    ] = None
    measured: Annotated[MeasuredPart | None, about("A series of AC power.")] = None
    fitted_errors: Annotated[
        FittedErrorsPart | None,
        about("Errors of the forecast as fitted to real ones, in place of errors.solar_sigma and errors.error_correlation_h."),
    ] = None


class WindPart(Part):
    """Wind: a SimBench profile, or a turbine in the weather, or a measured series."""

    KIND: ClassVar[str] = "wind"

    rated_kw: Annotated[float | None, about("Rated power; not needed for a measured series.", gt=0), Unit("kW")] = None
    profile: Annotated[Text | None, about("SimBench profile, for example WP4; needs a network.")] = None
    turbine: Annotated[Text | None, about("Turbine type of windpowerlib; needs weather.")] = None
    hub_height_m: Annotated[float | None, about("Height of the hub; needs a turbine.", gt=0, le=400), Unit("m")] = None
    measured: Annotated[MeasuredPart | None, about("A series of AC power.")] = None
    fitted_errors: Annotated[
        FittedErrorsPart | None,
        about("Errors of the forecast as fitted to real ones, in place of errors.wind_sigma and errors.error_correlation_h."),
    ] = None


class WearPart(Part):
    """What a battery's use costs in life, from a kind of cells and the price of new ones."""

    cell: Annotated[
        Literal["lfp", "nmc"], about("Kind of cells: lithium iron phosphate, or nickel manganese cobalt (deep cycles wear more).")
    ]
    replacement_eur_per_kwh: Annotated[float, about("Price of a new battery per kWh of capacity.", gt=0), Unit("EUR/kWh")]
    end_of_life: Annotated[
        float, about("Share of the capacity that is left when it is replaced.", ge=0, le=0.95), Unit("share")
    ] = 0.7


class BatteryPart(Part):
    """A battery; its state of charge is the energy in its cells."""

    energy_kwh: Annotated[float, about("Usable capacity.", gt=0), Unit("kWh")]
    charge_kw: Annotated[float, about("Largest charging power at the terminal.", ge=0), Unit("kW")]
    discharge_kw: Annotated[float, about("Largest discharging power at the terminal.", ge=0), Unit("kW")]
    charge_efficiency: Annotated[float, about("Terminal to cells.", gt=0, le=1), Unit("share")] = 0.95
    discharge_efficiency: Annotated[float, about("Cells to terminal.", gt=0, le=1), Unit("share")] = 0.95
    initial_soc_kwh: Annotated[
        float | None,
        about("State of charge at the start; half of energy_kwh (at least the reserve) when left out.", ge=0),
        Unit("kWh"),
    ] = None
    reserve_soc_kwh: Annotated[float, about("State of charge that is never undercut (backup).", ge=0), Unit("kWh")] = 0.0
    wear_eur_per_kwh: Annotated[
        float, about("Price of wear per kWh through the terminal, half on charge, half on discharge.", ge=0), Unit("EUR/kWh")
    ] = 0.0
    wear: Annotated[WearPart | None, about("Wear by depth of cycles and by charge held, instead of wear_eur_per_kwh.")] = None
    ups: Annotated[
        bool,
        about("Carries the load without a break when the mains fail; always so where it bridges emergency generators."),
        Field(strict=True),
    ] = False


class WindowPart(Part):
    """Other limits of a connection in one part of every day; of windows that overlap the lower limit holds."""

    from_: Annotated[TimeOfDay, about("First local time of the window."), Field(alias="from")]
    to: Annotated[TimeOfDay, about("First local time after the window; earlier than 'from' runs over midnight.")]
    import_limit_kw: Annotated[float | None, about("Largest import; as outside the window when left out.", ge=0), Unit("kW")] = (
        None
    )
    export_limit_kw: Annotated[float | None, about("Largest export; as outside the window when left out.", ge=0), Unit("kW")] = (
        None
    )


class ConnectionPart(Part):
    """What a site may take from and give to the grid, as means of 15 minutes."""

    import_limit_kw: Annotated[float, about("Largest import.", ge=0), Unit("kW")]
    export_limit_kw: Annotated[float, about("Largest export.", ge=0), Unit("kW")] = 0.0
    windows: Annotated[tuple[WindowPart, ...], about("Limits that differ in a part of every day.")] = ()


class TariffPart(Part):
    """What stands between the market price and the meter."""

    import_fee_eur_per_mwh: Annotated[float, about("Fees and taxes added to the price of import.", ge=0), Unit("EUR/MWh")] = 0.0
    export_fee_eur_per_mwh: Annotated[float, about("Fee taken off the price of export.", ge=0), Unit("EUR/MWh")] = 0.0
    peak_eur_per_kw: Annotated[
        float, about("Charge per kW of the highest 15-minute mean import above peak_reached_kw.", ge=0), Unit("EUR/kW")
    ] = 0.0
    peak_reached_kw: Annotated[float, about("Peak already paid for in this billing period.", ge=0), Unit("kW")] = 0.0


class SitePart(Part):
    """A place with nodes, energy assets and one connection."""

    name: Annotated[Name, about("Unique name.")]
    like: Annotated[Name | None, about("Template (of site_templates) that gives every field not written here.")] = None
    tier: Annotated[Tier, about("Tier of the data that lives here.")]
    bus: Annotated[Text | None, about("Bus of the network that the site is connected to.")] = None
    nodes: Annotated[tuple[NodesPart, ...], about("Groups of nodes.")] = ()
    pue: Annotated[float, about("Facility power per IT power (cooling and conversion).", ge=1, le=10)] = 1.0
    cooling: Annotated[CoolingPart | None, about("Cooling from which the PUE of each moment follows; in place of pue.")] = None
    overhead_kw: Annotated[
        float, about("Facility power that is always there and is not IT (pue does not count).", ge=0), Unit("kW")
    ] = 0.0
    solar: Annotated[SolarPart | None, about("Sun.")] = None
    wind: Annotated[WindPart | None, about("Wind.")] = None
    battery: Annotated[BatteryPart | None, about("Battery.")] = None
    assets: Annotated[tuple[AssetPart, ...], about("Other assets behind the meter, each with its kind.")] = ()
    storage: Annotated[StoragePart | None, about("Where real data lies; needed only to command a plan's migrations.")] = None
    connection: Annotated[ConnectionPart, about("The grid connection.")]
    tariff: Annotated[TariffPart, about("Fees and the peak charge.")] = TariffPart()
    signals: Annotated[SignalsPart | None, about("Signals of this site where they differ from those of the scenario.")] = None

    @property
    def sizing_pue(self) -> float:
        """PUE for which power is sized: ``pue``, or that of the hottest weather that the cooling is made for."""
        return self.pue if self.cooling is None else self.cooling.hottest_pue


class FeederSitePart(Part):
    """A site on a feeder."""

    site: Annotated[Name, about("Name of the site.")]
    drop_pu_per_kw: Annotated[
        float,
        about("Voltage drop up to here from the site before (or the transformer) per kW that flows this way.", ge=0),
        Unit("pu/kW"),
    ] = 0.0


class FeederPart(Part):
    """A chain of sites behind one transformer: a rating and a voltage band that they share (linearised, without losses)."""

    name: Annotated[Name, about("Unique name.")]
    sites: Annotated[tuple[FeederSitePart, ...], about("The sites, from the transformer outwards.", min_length=1)]
    limit_kw: Annotated[float, about("Largest net import or net export of all of them together.", ge=0), Unit("kW")]
    drop_limit_pu: Annotated[
        float, about("Largest voltage drop or rise between the transformer and any of them.", gt=0, le=1), Unit("pu")
    ] = 0.05


class LinkPart(Part):
    """A data link between two sites, usable both ways."""

    name: Annotated[Name, about("Unique name.")]
    ends: Annotated[tuple[Name, Name], about("The two sites.")]
    rate_mbit_per_s: Annotated[float, about("Rate available to migrations.", gt=0), Unit("Mbit/s")]
    power_kw: Annotated[float, about("IT power that a transfer at full rate adds at each end.", ge=0), Unit("kW")] = 0.0
