"""The offline engine alone: texts a second on one core, one text's time, and what a process that analyses holds in memory.

    python -m bench.analysis

measures in a process of its own and prints JSON; the section `analysis` starts that and makes figures of it.
"""

import asyncio
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson

from bench.server import peak_memory_kb
from bench.session import Session, middle
from bench.table import Figure, Goal
from civicpulse.evaluation.analysis import records_of
from civicpulse.packs.loader import read_pack
from civicpulse.packs.model import Pack, compile_pack
from civicpulse.triage.analysis import ReportText
from civicpulse.triage.model import load_model
from civicpulse.triage.offline import OfflineAnalyst
from civicpulse.triage.seeds import seeds_of
from civicpulse.triage.trainer import fit_apart

RATE_GOAL = 3000
MEMORY_GOAL_MB = 400
COMMENTS = Path(__file__).resolve().parents[2] / "shared" / "data" / "boston_vision_zero_before_cut.csv.gz"
BATCH = 500
ROUNDS = 5


def analysis(session: Session) -> None:
    """The whole path: language, category, tone, priority, summary without personal data, advice."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.analysis"], env=session.server.environment, capture_output=True, check=False
    )
    if done.returncode:
        session.say.print(done.stderr.decode(errors="replace"), markup=False, style="red")
        session.add(Figure("analysis", "offline", 0.0, "/s", failed=True))
        return
    found: dict[str, Any] = orjson.loads(done.stdout)
    texts = f"{found['texts']:,} {found['source']}, {found['letters']:.0f} characters in the mean"
    rate, goal = found["per_second"], Goal(RATE_GOAL, at_least=True)
    session.add(Figure("analysis", "offline, in batches, one core", rate, "/s", goal, note=texts))
    session.add(Figure("analysis", "offline, one at a time", found["one_ms"], "ms p50", note="words met before"))
    session.add(Figure("analysis", "model of a pack, training", found["train_s"], "s", note="in a process of its own"))
    session.add(Figure("memory", "process that analyses, peak", found["peak_mb"], "MB", Goal(MEMORY_GOAL_MB)))


def _measure() -> dict[str, Any]:
    """Rates are of processor time: what else the machine does then matters less."""
    pack = compile_pack(read_pack("civic"))
    began = time.perf_counter()
    payload = asyncio.run(fit_apart(seeds_of(pack), facts={}))
    trained = time.perf_counter() - began
    source, texts = _texts(pack)
    analyst = OfflineAnalyst(pack, load_model(payload), version="1")
    batches = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
    analyst.analyse_now(texts[:BATCH])  # loads what is loaded at the first text
    rates = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for batch in batches:
            analyst.analyse_now(batch)
        rates.append(len(texts) / (time.process_time() - began))
    singles = []
    for text in texts[:1000]:
        began = time.perf_counter()
        analyst.analyse_now([text])
        singles.append((time.perf_counter() - began) * 1000)
    return {
        "source": source,
        "texts": len(texts),
        "letters": sum(len(text.text) for text in texts) / len(texts),
        "per_second": middle(rates),
        "one_ms": middle(singles),
        "train_s": trained,
        "peak_mb": peak_memory_kb(os.getpid()) / 1024,
    }


def _texts(pack: Pack) -> tuple[str, list[ReportText]]:
    """Real comments where they lie beside the project, else sentences put together from the pack's examples."""
    if COMMENTS.exists():
        said = [record["COMMENTS"] for record in records_of(COMMENTS, ["COMMENTS"])]
        return "real comments", [ReportText(text) for text in said if text.strip()]
    rng = random.Random(5)
    sentences = [example for category in pack.categories.values() for example in category.examples]
    made = [f"{' '.join(rng.sample(sentences, 2))} Near number {number} since May." for number in range(5000)]
    return "generated texts", [ReportText(text) for text in made]


if __name__ == "__main__":
    sys.stdout.buffer.write(orjson.dumps(_measure()))
