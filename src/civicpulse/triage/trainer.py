"""Training in a process of its own: the numeric libraries are loaded there and gone with it.

`python -m civicpulse.triage.trainer` reads examples as JSON lines on stdin and writes the model's bytes to stdout.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import orjson

from civicpulse.triage.model import dump_model
from civicpulse.triage.training import Example, fit

MAX_SECONDS: Final = 600


class TrainingFailed(RuntimeError):
    """The training process ended with an error or took too long; the message holds its last line."""


async def fit_apart(examples: Sequence[Example], *, facts: dict[str, Any]) -> bytes:
    """Gives the stored form of a model fitted to `examples` in another process. Raises TrainingFailed."""
    lines = [orjson.dumps(facts), *(orjson.dumps(asdict(example)) for example in examples)]
    # One thread: training must not take the machine from those who serve.
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, stdin=-1, stdout=-1, stderr=-1, env=os.environ | single
    )
    try:
        async with asyncio.timeout(MAX_SECONDS):
            payload, errors = await process.communicate(b"\n".join(lines))
    except TimeoutError:
        raise TrainingFailed(f"training took longer than {MAX_SECONDS} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        said = errors.decode(errors="replace").strip().splitlines()
        raise TrainingFailed(said[-1] if said else f"training ended with {process.returncode}")
    return payload


def main() -> None:
    """Runs the training process."""
    facts, *rows = sys.stdin.buffer.read().split(b"\n")
    examples = [Example(**orjson.loads(row)) for row in rows]
    sys.stdout.buffer.write(dump_model(fit(examples, facts=orjson.loads(facts))))


if __name__ == "__main__":
    main()
