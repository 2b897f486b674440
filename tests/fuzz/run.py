"""Fuzzes one target for a while: `python tests/fuzz/run.py TARGET --seconds N [--corpus DIR] [--findings DIR]`.

It uses Atheris, which is guided by coverage, if it is installed (`pip install '.[fuzz]'`), and random mutations of the
corpus otherwise. The first finding is saved as a file, and the exit status is 1.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import time
import traceback
from importlib.util import find_spec
from pathlib import Path
from random import Random

sys.path[:0] = [str(Path(__file__).parents[2])]

_INSIDE = "--inside-atheris"  # libFuzzer ends its process itself


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path, help="inputs to begin with; default: those kept beside this file")
    parser.add_argument("--findings", type=Path, default=Path("findings"))
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--plain", action="store_true", help="without Atheris, even if it is installed")
    parser.add_argument(_INSIDE, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside_atheris:
        return _inside(options)
    from mutation import CORPUS
    from targets import TARGETS
    if options.target not in TARGETS:
        parser.error(f"{options.target}: must be one of {', '.join(TARGETS)}")
    options.corpus = options.corpus or CORPUS / options.target
    if options.plain or find_spec("atheris") is None:
        return _random(options, TARGETS[options.target])
    return _guided(options)


def _random(options, target):
    from mutation import HIGHEST, load, mutated
    corpus, random = load(options.corpus), Random(options.seed)
    until, runs = time.monotonic() + options.seconds, 0
    while time.monotonic() < until:
        edits = [[random.randrange(HIGHEST) for _ in range(4)] for _ in range(random.randint(1, 8))]
        data = mutated(random.choice(corpus), edits, corpus, target.tokens)
        runs += 1
        try:
            target.run(data)
        except Exception:
            traceback.print_exc()
            options.findings.mkdir(parents=True, exist_ok=True)
            path = options.findings / f"{options.target}-{hashlib.sha256(data).hexdigest()[:12]}"
            path.write_bytes(data)
            print(f"{options.target}: {runs} runs, saved {path}")
            return 1
    print(f"{options.target}: {runs} runs, nothing found")
    return 0


def _guided(options):
    options.findings.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="wsdgateway-fuzz-") as grown:
        ended = subprocess.run([
            sys.executable, str(Path(__file__).resolve()), options.target, _INSIDE, "--seconds", str(options.seconds),
            "--corpus", str(options.corpus.resolve()), "--findings", str(options.findings.resolve()),
            "--seed", str(options.seed)], check=False, cwd=grown)
    return 1 if ended.returncode else 0


def _inside(options):
    """Runs Atheris; in a process of its own, because libFuzzer exits without returning to Python."""
    import atheris
    with atheris.instrument_imports(include=["wsdgateway"]):
        from targets import TARGETS
    target = TARGETS[options.target]
    words = Path("dictionary")
    words.write_text("".join('"{}"\n'.format("".join(f"\\x{byte:02x}" for byte in token)) for token in target.tokens))
    Path("grown").mkdir()
    atheris.Setup([
        sys.argv[0], f"-max_total_time={options.seconds}", f"-artifact_prefix={options.findings}/{options.target}-",
        f"-seed={options.seed % (1 << 31)}", f"-dict={words}", "-max_len=16384", "-timeout=20", "-rss_limit_mb=2048",
        "-print_final_stats=1", "grown", str(options.corpus)], target.run)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
