"""Rows a second and peak memory of `civicpulse import requests`, on a server of its own.

    python bench/import_speed.py [--rows 100000] [--passes 2]

Multiplies the Boston file beside the project (../shared/data) under new ids; each pass adds all rows to what is there.
"""

import argparse
import asyncio
import csv
import gzip
import itertools
import resource
import sys
import tempfile
from pathlib import Path

import psycopg

from civicpulse.accounts.tenants import create_tenant
from civicpulse.base.embedded import embedded_server
from civicpulse.base.logins import application_url
from civicpulse.base.migrate import make_ready
from civicpulse.base.services import open_services
from civicpulse.imports.load import import_requests
from civicpulse.imports.mapping import read_mapping
from civicpulse.packs.loader import read_pack
from civicpulse.places.zones import import_zones
from civicpulse.settings import Settings

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def multiply(source: Path, target: Path, rows: int) -> None:
    """The rows of `source`, again and again, until there are `rows` of them; the first column is the id."""
    with target.open("w", encoding="utf-8", newline="") as file:
        writer, written = csv.writer(file), 0
        for turn in itertools.count():
            with gzip.open(source, "rt", encoding="utf-8-sig", newline="") as records:
                reader = csv.reader(records)
                header = next(reader)
                if turn == 0:
                    writer.writerow(header)
                for record in reader:
                    if written == rows:
                        return
                    writer.writerow([f"{turn}-{record[0]}", *record[1:]])
                    written += 1


async def measure(url: str, file: Path, passes: int) -> None:
    """Imports the file `passes` times, each time as another source."""
    async with open_services(Settings(database_url=application_url(url), migration_url=url, pool_size=4)) as services:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as owner:
            pack = read_pack("civic").model_dump(mode="json")
            tenant = await create_tenant(owner, slug="bench", name="Bench", kind="city", pack_document=pack)
        async with services.db.transaction(tenant) as tx:
            await import_zones(tx, DATA / "zones" / "boston_wards.geojson.gz", code_property="WARD")
        for number in range(passes):
            mapping = read_mapping("boston").model_copy(update={"source": f"boston-{number}"})
            report = await import_requests(services, tenant, file, mapping)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
            print(
                f"pass {number + 1}: {report.added} rows with {report.added + 2 * report.by_status['closed']} events in "
                f"{report.seconds:.1f} s, {report.rows_per_second:.0f} rows/s, peak {peak:.0f} MB"
            )


def main() -> None:
    """Parses the command line and runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--passes", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "boston.csv"
        multiply(DATA / "boston_311_2011-07_09.csv.gz", file, given.rows)
        with embedded_server(Path(folder) / "server") as url:
            make_ready(url)
            asyncio.run(measure(url, file, given.passes))


if __name__ == "__main__":
    main()
