// llama.cpp's side: a prompt of made-up tokens, then one token at a time, greedy. One run to warm up, one that counts; JSON on standard output.
//
//   node llama.mjs MODEL.gguf PROMPT TOKENS THREADS
import { getLlama } from 'node-llama-cpp';

const [path, prompt, tokens, threads] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const llama = await getLlama({ gpu: false, maxThreads: threads, build: 'never', progressLogs: false, logLevel: 'error' });
const model = await llama.loadModel({ modelPath: path });
const context = await model.createContext({ contextSize: prompt + tokens + 8, batchSize: prompt, threads });
const sequence = context.getSequence();
const ids = Array.from({ length: prompt }, (_, i) => (i * 37 + 11) % 49152);
const out = { prefill_ms: [], token_ms: [] };
for (const counts of [false, true]) {
  await sequence.clearHistory();
  let count = 0;
  let before = performance.now();
  // The first token ends the prompt; each later one is a step of its own.
  for await (const _ of sequence.evaluate(ids, { temperature: 0, yieldEogToken: true })) {
    const now = performance.now();
    if (counts) (count === 0 ? out.prefill_ms : out.token_ms).push(now - before);
    before = now;
    if (++count > tokens) break;
  }
}
console.log(JSON.stringify(out));
process.exit(0);
