"""One data set made as four ranges under a local Ray, and again in a single run: both must be the same, byte for byte.

    pip install ray
    python tests/reference/annotate_ray.py FACEXT FACES COUNT

FACEXT is the program, FACES a photo pack or folder, COUNT a multiple of 4. Exits 1 if a byte differs.
"""

import hashlib
import pathlib
import subprocess
import sys
import tempfile

import ray


def command(program, faces, out, count, shard, extra):
    return [program, "annotate", "--faces", faces, "--out", str(out), "--count", str(count), "--shard", str(shard), "--seed", "7", *extra]


@ray.remote(num_cpus=1)
def make(program, faces, out, count, shard, first, last):
    """Makes one range; shards are whole files, so workers share nothing but the folder."""
    extra = ["--range", f"{first}..{last}", "--jobs", "1"]
    done = subprocess.run(command(program, faces, out, count, shard, extra), capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def hashes(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def main():
    program, faces, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    shard = count // 4
    with tempfile.TemporaryDirectory() as temp:
        single, ranges = pathlib.Path(temp, "single"), pathlib.Path(temp, "ranges")
        subprocess.run(command(program, faces, single, count, shard, []), check=True)
        ray.init(num_cpus=2, include_dashboard=False, logging_level="error")
        work = [make.remote(program, faces, str(ranges), count, shard, a, a + shard) for a in range(0, count, shard)]
        for code, text in ray.get(work):
            if code != 0:
                sys.exit(f"a range failed with {code}: {text}")
        a, b = hashes(single), hashes(ranges)
        for name in sorted(a | b):
            print(f"{'same' if a.get(name) == b.get(name) else 'DIFFERENT'}  {name}")
        sys.exit(0 if a == b else 1)


if __name__ == "__main__":
    main()
