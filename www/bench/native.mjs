// The native program: a whole report by stage, and its language model beside llama.cpp on the same 4-bit SmolLM2, two threads each.
//
// llama.cpp comes as the prebuilt binary of npm's node-llama-cpp, which chooses the instruction set that this CPU has. Both read 256 tokens
// and then choose 32 more greedily; each token's scores reach the host.
import { execFile, execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const VERSION = '3.22.1';
const [PROMPT, TOKENS, RUNS, THREADS] = [256, 32, 3, 2];
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

/** The program's own words, for reading, and its figures. */
export async function report(bin, weights, photo, device, log) {
  const { stdout } = await promisify(execFile)(bin, ['bench', photo, '--weights', weights, '--device', device, '--runs', '3', '--json']);
  const { peak_mib: peak, tokens, ...stages } = JSON.parse(stdout);
  const all = { engine: 'facext base', backend: `native ${device}`, threads: THREADS, ratio_to_peer: null };
  log(`${tokens.median_ms} tokens, peak ${peak} MiB`);
  return [
    ...Object.entries(stages).map(([stage, { min_ms, median_ms }]) => ({
      work: { total: 'base: whole report', per_token: 'base: a token' }[stage] ?? `base: stage ${stage}`, ...all, min_ms, median_ms,
      ...(stage === 'total' ? { note: `${tokens.median_ms} tokens` } : {}),
    })),
    { work: 'base: process, peak resident', ...all, min_ms: null, median_ms: null, value: peak, unit: 'MiB' },
  ];
}

/** Ours and llama.cpp in turns; a peer that cannot be had here is a row that says why. */
export async function besideLlama(bin, weights, gguf, folder, log) {
  const ours = { prefill: [], token: [] };
  const theirs = { prefill: [], token: [] };
  let why = '';
  try {
    install(folder, log);
  } catch (thrown) {
    why = `llama.cpp could not be installed: ${String(thrown.message).split('\n')[0]}`;
  }
  for (let run = 0; run < RUNS; run++) {
    const args = ['bench', '--lm', '--weights', weights, '--device', 'cpu', '--runs', '1', '--prompt', `${PROMPT}`, '--tokens', `${TOKENS}`, '--json'];
    const { stdout } = await promisify(execFile)(bin, args, { env: { ...process.env, RAYON_NUM_THREADS: `${THREADS}` } });
    const { prefill_ms, token_ms } = JSON.parse(stdout);
    ours.prefill.push(...prefill_ms);
    ours.token.push(...token_ms);
    if (why) continue;
    try {
      const { stdout: out } = await promisify(execFile)(process.execPath, [join(folder, 'llama.mjs'), gguf, `${PROMPT}`, `${TOKENS}`, `${THREADS}`], { cwd: folder });
      const { prefill_ms, token_ms } = JSON.parse(out.trim().split('\n').at(-1));
      theirs.prefill.push(...prefill_ms);
      theirs.token.push(...token_ms);
    } catch (thrown) {
      why = `llama.cpp did not run: ${String(thrown.stderr ?? thrown.message).split('\n')[0]}`;
    }
  }
  log(why || `ours ${(1000 / median(ours.token)).toFixed(1)} tokens/s, llama.cpp ${(1000 / median(theirs.token)).toFixed(1)}`);
  const row = (work, engine, ms, peer, tokens) => ({
    work, engine, backend: 'native cpu', threads: THREADS,
    min_ms: ms.length ? Math.min(...ms) : null, median_ms: ms.length ? median(ms) : null, runs: ms.length,
    ratio_to_peer: ms.length && peer.length ? Math.min(...ms) / Math.min(...peer) : null,
    ...(ms.length ? { note: `${(tokens * 1000 / median(ms)).toFixed(0)} tokens/s (median)` } : { note: why }),
  });
  return [
    row('SmolLM2-135M 4-bit: a token at 256', 'facext', ours.token, theirs.token, 1),
    row('SmolLM2-135M 4-bit: a token at 256', 'llama.cpp', theirs.token, theirs.token, 1),
    row('SmolLM2-135M 4-bit: prompt of 256', 'facext', ours.prefill, theirs.prefill, PROMPT),
    row('SmolLM2-135M 4-bit: prompt of 256', 'llama.cpp', theirs.prefill, theirs.prefill, PROMPT),
  ];
}

/** The package and the one binary of this platform; its others, for GPUs, are hundreds of megabytes. */
function install(folder, log) {
  mkdirSync(folder, { recursive: true });
  cpSync(fileURLToPath(new URL('llama.mjs', import.meta.url)), join(folder, 'llama.mjs'));
  if (existsSync(join(folder, `node_modules/.${VERSION}`))) return;
  log('installing llama.cpp (npm node-llama-cpp)');
  const platform = { linux: 'linux', darwin: 'mac', win32: 'win' }[process.platform];
  const binary = `@node-llama-cpp/${platform}-${process.arch}${platform === 'mac' && process.arch === 'arm64' ? '-metal' : ''}`;
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'facext-bench-llama', version: '0.0.0', private: true, type: 'module' }));
  execFileSync('npm', ['install', '--ignore-scripts', '--omit=optional', '--no-audit', '--no-fund', '--loglevel=error', `node-llama-cpp@${VERSION}`, `${binary}@${VERSION}`], { cwd: folder, stdio: 'pipe' });
  writeFileSync(join(folder, `node_modules/.${VERSION}`), '');
}

/** On a machine with a real GPU: the program on it, natively, in its own words. */
export function onGpu(bin, weights, photo) {
  for (const args of [['bench', '--lm'], ['bench', photo]]) execFileSync(bin, [...args, '--weights', weights, '--device', 'gpu'], { stdio: 'inherit' });
}
