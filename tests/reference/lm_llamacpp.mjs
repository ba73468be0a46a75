// Token ids of many strings and of the parity prompts by llama.cpp (npm node-llama-cpp, prebuilt binary), and its own
// greedy continuation as a cross-check of lm.py. Writes tests/fixtures/lm/tokens.json.
//
//   npm i node-llama-cpp && node tests/reference/lm_llamacpp.mjs MODEL.gguf
import { getLlama } from "node-llama-cpp";
import { writeFileSync, mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const strings = [
  "", "a", " ", "  ", "\n", "\n\n", "\t tab", "Hello, world!", " leading space", "trailing space ", "two  spaces", "many     spaces here",
  "It's the left eye's fault; they'll say we've seen it.", "DON'T SHOUT", "1234567890", "in 2024, 3.14 and 1e-5", "v1.2.3-rc4", "10,000 × 10,000",
  "Ünïcödé façade naïve", "Größe und Maß", "Привет, мир", "日本語のテキスト", "中文分词测试。", "한국어 문장", "مرحبا بالعالم", "שלום עולם", "हिन्दी पाठ", "ไทย",
  "😀😃 emoji 👩‍👩‍👧 family 🇩🇪", "e\u0301 combining", "zero\u200bwidth", "non\u00a0breaking", "½ ² ٣ ৪ Ⅷ", "<p>left eye</p>[SEG]", "<|im_end|> is text here",
  "def f(x):\n    return x**2\n", "https://example.org/a?b=c#d", "{\"json\": [1, 2, null]}", "The skin of the left cheek is smeared along the jaw.",
  "\r\nwindows\r\n", "....!!!???", "—–-−", "snake_case CamelCase kebab-case", "ﬁ ligature", "\u0000nul", "a\u0301\u0302\u0303", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
];
// [kind, content]: special tokens by id, text by tokeniser. The chat template of the model.
const chat = (user) => [["s", 1], "system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face", ["s", 2], "\n", ["s", 1], `user\n${user}`, ["s", 2], "\n", ["s", 1], "assistant\n"];
const prompts = [chat("What is the capital of France? Answer in one short sentence."), ["A photograph of a face shows two eyes, a nose and a mouth. If the light falls from the left,"]];

const llama = await getLlama({ gpu: false, maxThreads: 1, build: "never", progressLogs: false });
const model = await llama.loadModel({ modelPath: process.argv[2] });
const encode = (text) => Array.from(model.tokenize(text, false));
const out = { source: "llama.cpp through node-llama-cpp", strings: strings.map((text) => ({ text, ids: encode(text) })), prompts: [] };
const context = await model.createContext({ contextSize: 256, batchSize: 256, threads: 1 });
const sequence = context.getSequence();
for (const parts of prompts) {
  const ids = parts.flatMap((p) => (typeof p === "string" ? encode(p) : [p[1]]));
  await sequence.clearHistory();
  const greedy = [];
  for await (const token of sequence.evaluate(ids, { temperature: 0, yieldEogToken: true })) {
    greedy.push(token);
    if (greedy.length === 16) break;
  }
  out.prompts.push({ text: parts.map((p) => (typeof p === "string" ? p : model.detokenize([p[1]], true))).join(""), ids, llamacpp_greedy: greedy });
  console.log(ids.length, greedy, model.detokenize(greedy));
}
const dir = fileURLToPath(new URL("../fixtures/lm/", import.meta.url));
mkdirSync(dir, { recursive: true });
writeFileSync(dir + "tokens.json", JSON.stringify(out, null, 1) + "\n");
process.exit(0);
