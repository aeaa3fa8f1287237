"""The list of public datasets. Facts only: what no document states is said to be so, and a checksum is here only if computed.

Addresses of files in a repository name the commit, so that the file cannot change. Their checksums were computed from the files
of these very commits. Where no checksum stands here, the first download records one (``shelf``); later ones are held against it.
Files are laid out as the scenarios and commands that read ``OZZO_DATA`` expect them.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from grid.errors import Finding, InputError

RAW = "https://raw.githubusercontent.com"
STEAM = f"{RAW}/atlarge-research/OpenDC-STEAM/4ee975240a4662c153830f4a09d887518d57bd8d"
DACF = f"{RAW}/carbonfirst/DACF/bde62273135703c731090552436a36b464aa97ef"
EMERALD = f"{RAW}/ai-emerald/emerald-ai-demo-may-2025/34403aef78c2690a8e4f0ba8f7f62d302cdba967"
ZEUS = f"{RAW}/ml-energy/zeus/75a8b9398034eb9baf74ca0a830c2c31bcce52cd/examples/research_reproducibility/zeus_nsdi23/trace"
CLUSTER = f"{RAW}/HewlettPackard/sustain-cluster/293fbd152dae52a4b77fee50362b0b61641f16d1"
RORO = f"{RAW}/umassos/roro-experiments/b362dbc5e6a43f16899801e8de2c5dcabe109887"
ARCHIVE = "https://www.cs.huji.ac.il/labs/parallel/workload"
OPSD = "https://data.open-power-system-data.org/time_series/2020-10-06"


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of a dataset.

    Attributes:
        path: place below the data folder, with ``/``.
        url: address, without a question.
        sha256: checksum in hex, or None when none is known.
        size: bytes, or None when not known.
    """

    path: str
    url: str
    sha256: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """Files that belong together.

    Attributes:
        name: what it is called on the command line.
        about: what it holds, with units and period.
        licence: what the publisher states, in words; also that nothing is stated.
        citation: how to cite it.
        home: page of the publisher.
        files: its files.
    """

    name: str
    about: str
    licence: str
    citation: str
    home: str
    files: tuple[DataFile, ...]


def _hub(url: str) -> str:
    """The page of a repository, of an address of one of its raw files."""
    owner, name, commit = url.removeprefix(f"{RAW}/").split("/")[:3]
    return f"https://github.com/{owner}/{name}/tree/{commit}"


def _carbon(zone: str, sha256: str, size: int) -> DataFile:
    """Four years of one zone."""
    name = f"{zone}_2021-2024.parquet"
    return DataFile(f"carbon/{name}", f"{STEAM}/carbon_traces/{name}", sha256, size)


def _zeus(gpu: str, sha256: str, size: int) -> DataFile:
    """The measurements of one kind of GPU."""
    return DataFile(f"gpu_power/summary_power_{gpu}.csv", f"{ZEUS}/summary_power_{gpu}.csv", sha256, size)


def _emerald(name: str, sha256: str, size: int) -> DataFile:
    """One table of the trial."""
    return DataFile(f"emerald/{name}.csv", f"{EMERALD}/data/{name}.csv", sha256, size)


def _weather(zone: str, year: int, sha256: str, size: int) -> DataFile:
    """A year at one place."""
    return DataFile(f"weather/{zone}_{year}.json", f"{CLUSTER}/data/weather/{zone}/{year}.json", sha256, size)


def _log(folder: str, name: str) -> DataFile:
    """A job log of the Parallel Workloads Archive, cleaned by the archive."""
    return DataFile(f"pwa/{name}", f"{ARCHIVE}/{folder}/{name}")


PWA_LICENCE = "none stated; offered freely to researchers, who are asked to name the archive and to cite its paper"
PWA_PAPER = "Feitelson, Tsafrir, Krakov, 'Experience with using the Parallel Workloads Archive', JPDC 2014"

DATASETS: tuple[Dataset, ...] = (
    Dataset(
        "carbon-2021-2024",
        "average life-cycle carbon intensity of consumption, gCO2eq/kWh, hourly, UTC: BE DE FR GB IS NL NO",
        "repository MIT; the data are Electricity Maps', under ODbL by the statement of others that use them",
        "Electricity Maps (2025), hourly carbon intensity 2021-2024, version of 27 January 2025; STEAM, CCGrid 2026 (repository)",
        _hub(STEAM),
        (
            _carbon("BE", "48484ff036e9b43561b15b0c726f451b5c9f4947ecf9715fa484f0938c25fcd3", 437_071),
            _carbon("DE", "40a157b4f9f16c4833e0ba50ef016280296aac565165993fce2ad86e7219be8b", 471_884),
            _carbon("FR", "437e1257d70818b5b9093f1a8c4ed22f93371a9d5a2a342b79e1ab4251eb8dac", 397_441),
            _carbon("GB", "2e5b7f6e5b2fbe5e42bd2afcc18a4a9de9c76d1dd0e7e65c8b27714c4c1f26bd", 448_886),
            _carbon("IS", "84f56fffac31e87f3bf6e78e4760b741e1f7f788ffe13863007522dc61b51499", 328_768),
            _carbon("NL", "03b90f5a6f3ebab1037c3a30cfa7b507261bc3872df091cbf6a354e278748284", 464_008),
            _carbon("NO", "950253e8dfa8f2fb0174b678cb8a8f9b68ff45dc998aac40dce42548d6e0d626", 363_409),
        ),
    ),
    Dataset(
        "surf-2022",
        "194,917 jobs of SURF's cluster (NL), 2022-06-30 to 2022-11-01: submission and length in ms, 16 cores each",
        "MIT",
        "STEAM, CCGrid 2026, AtLarge Research (the whole artefact: Zenodo record 19134788)",
        _hub(STEAM),
        (
            DataFile(
                "jobs/surf_2022_tasks.parquet",
                f"{STEAM}/workload_traces/surf/tasks.parquet",
                "fb4e46dfd5ff3caca66c10a6226a343785a077c19e2507a6ad5e1c16f10550d5",
                3_625_898,
            ),
        ),
    ),
    Dataset(
        "dacf-generation",
        "MW by fuel with day-ahead forecasts, hourly, UTC: California and Sweden 2020-2021 (forecasts stand 24 h early there);"
        " forecasts of Germany (sums of four quarter-hours) and Sweden, July to December 2021",
        "Apache-2.0",
        "Maji, Sitaraman, Shenoy, 'DACF: Day-ahead Carbon Intensity Forecasting of Power Grids using Machine Learning',"
        " ACM e-Energy 2022",
        _hub(DACF),
        (
            DataFile(
                "generation/CISO_direct_emissions.csv",
                f"{DACF}/data/CISO/CISO_direct_emissions.csv",
                "09b69575aa3a74169f1887853776ebdcdcd98eb953538e03b87e3df83ce690b6",
                3_654_614,
            ),
            DataFile(
                "generation/SE_direct_emissions.csv",
                f"{DACF}/data/SE/SE_direct_emissions.csv",
                "c422a99460d3bc90151e99e23dbb81cfc88169f3d5f848f02298c127faf59621",
                2_927_872,
            ),
            DataFile(
                "generation/SE_src_prod_forecasts.csv",
                f"{DACF}/data/SE/SE_src_prod_forecasts_test_period.csv",
                "aa8222e2f0a6a4f82009e9e2a73c66236abdb61a49987326b681f63b9d949e80",
                273_579,
            ),
            DataFile(
                "generation/DE_src_prod_forecasts.csv",
                f"{DACF}/data/DE/DE_src_prod_forecasts_test_period.csv",
                "ecc202ea2e091b94802c08d34b215abb694532773f57a808bf2d6d388d7bd589",
                529_113,
            ),
        ),
    ),
    Dataset(
        "emerald-phoenix-2025",
        "a demand-response trial on 256 GPUs, Phoenix, 3 May 2025: cluster power by minute, load of the utility, throughput",
        "Apache-2.0",
        "arXiv 2507.00909 and its repository",
        _hub(EMERALD),
        (
            _emerald("SRP_total_power", "75f54ebb443898768e585fc970cd51739d1da0fa6cc80d849ff94b744e120fef", 17_043),
            _emerald("SRP_0503", "8a4155b54876ac2f530907f03422fcc26004e5f6301b75a584f258e0805aa71a", 576),
            _emerald("SRP_exp_performance", "e82300a82851ffa8810c042c03c81e02ec3edea197b6bdd8eddfb794ce6c6817", 314),
            _emerald("dvfs_sweep", "65025daeb2c723019c27d05ed7da900f5800b5b5b0f957ccb23e7903b4028bd7", 3_949),
        ),
    ),
    Dataset(
        "zeus-gpu-power",
        "time (s) and power (W) of training under power limits (W): V100, A40, RTX6000, P100",
        "Apache-2.0",
        "You, Chung, Chowdhury, 'Zeus: Understanding and Optimizing GPU Energy Consumption of DNN Training', NSDI 2023",
        _hub(ZEUS),
        (
            _zeus("v100", "f0b066dd1a451bd78f730e001ac3a7c411979bc7f0846f12c1a9fb604aa90628", 32_534),
            _zeus("a40", "f4ec111fc9b06b353182faab9160ecb1236a486b2741ed93383b80497332031e", 29_641),
            _zeus("rtx6000", "edccecc7f8b7a6102962b03f0f37767dd9cd2f03469ebccadc9805e82901bdc4", 27_704),
            _zeus("p100", "158e9a6784b6e2d26710529b132cf173b227dc8688f4931c19a637bce2b7503b", 18_163),
        ),
    ),
    Dataset(
        "openmeteo-weather",
        "temperature (C), humidity and cloud (%), wind at 10 m (km/h), hourly, fixed local offset: Frankfurt, London 2022-2023",
        "CC-BY-4.0 (Open-Meteo); repository MIT",
        "Zippenfenig, P. (2023), Open-Meteo.com Weather API; Guillen et al., 'SustainCluster', NeurIPS 2025 (repository)",
        _hub(CLUSTER),
        (
            _weather("DE-LU", 2022, "a34bc30b807cd3f799149644754850a9400fdcee3a3e7cff874c2cf82c421dae", 870_335),
            _weather("DE-LU", 2023, "8cbcb5482579889e7f93abcf74e80453b520e47dfc3b84c275d365ba39333089", 871_912),
            _weather("GB", 2022, "c9dce10fbf231b999a7fa6d119e7c887b738f9b145de01be1b7c2952e5b6e9b8", 872_605),
            _weather("GB", 2023, "12b54d7ab5f611810072edd39a102b7698c232a3d7f03d971af10943c63a03ce", 873_461),
        ),
    ),
    Dataset(
        "nsrdb-los-angeles",
        "satellite irradiance (W/m2), temperature (C), wind (m/s), hourly at hh:30, UTC-8:"
        " 2019-2021; no place is named, the sun fits Los Angeles",
        "data Creative Commons Attribution (as data.gov lists NREL's NSRDB); the repository that holds the file states none",
        "Sengupta et al., 'The National Solar Radiation Data Base (NSRDB)',"
        " Renewable and Sustainable Energy Reviews 89 (2018) 51-60",
        _hub(RORO),
        (
            DataFile(
                "weather/solar_radiation.csv",
                f"{RORO}/solar_radiation.csv",
                "e75b4a8bc38971aab415c41366e1cdda0b9f0aa09ef5799a4ae21a17904b407d",
                2_024_409,
            ),
        ),
    ),
    Dataset(
        "pwa-kth-sp2",
        "jobs of a 100-node IBM SP2, September 1996 to August 1997, Standard Workload Format, gzip",
        PWA_LICENCE,
        f"{PWA_PAPER}; log by Lars Malinowsky",
        f"{ARCHIVE}/",
        (_log("l_kth_sp2", "KTH-SP2-1996-2.1-cln.swf.gz"),),
    ),
    Dataset(
        "opsd-time-series",
        "load, wind, sun (MW) and day-ahead prices of European countries, hourly, version 2020-10-06",
        "none stated for the package; the publisher points to the terms of the primary owners of the data",
        "Open Power System Data, data package time series, version 2020-10-06",
        f"{OPSD}/",
        (DataFile("opsd/time_series_60min_singleindex.csv", f"{OPSD}/time_series_60min_singleindex.csv"),),
    ),
)
"""All that ozzo knows, in the order of the list."""


def chosen(names: list[str], datasets: tuple[Dataset, ...] = DATASETS) -> list[Dataset]:
    """The datasets of these names, each once and in the order of the list; all of them when there are no names.

    Raises:
        InputError: names that are not known, all at once.
    """
    known = [item.name for item in datasets]
    wrong = []
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1, 0.3)
            wrong.append(Finding("NAME", None, "", repr(name), "a name that 'ozzo data list' shows", close[0] if close else None))
    if wrong:
        raise InputError(wrong)
    return [item for item in datasets if not names or item.name in names]
